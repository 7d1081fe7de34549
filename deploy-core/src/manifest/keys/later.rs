//! Keys whose parts do not act yet: understood and checked, named by `deploy check`, refused where a gate would be weaker.

use super::environment::SecretRef;
use super::health::{Expect, JsonPointer};
use crate::id::EnvName;
use crate::manifest::leaf::{Command, Period};
use crate::manifest::node::{Node, Value};
use crate::manifest::read::{Cx, FromNode, choices, keys};
use crate::manifest::template::{Template, VarName};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;

keys! {
    /// A smoke test: a command, or requests in order.
    pub struct SmokeSuite {
        /// What runs.
        command: Option<Command> => "'scripts/smoke.sh'",
        /// The requests.
        steps: Vec<SmokeStep> => "[{ name = 'home', get = '${url}/', expect = { status = 200 } }]",
        /// How long all of it may take.
        timeout: Period = Period::secs(300) => "'5m'",
    } rules smoke_rules
}

fn smoke_rules(suite: &SmokeSuite, node: &Node, cx: &mut Cx<'_>) {
    if suite.command.is_some() != suite.steps.is_empty() {
        cx.problem(
            node.span,
            "a smoke test is a `command` or `steps`",
            "write one of them",
        );
    }
}

keys! {
    /// One request of a smoke test.
    pub struct SmokeStep {
        /// What it looks at, for people.
        name: Option<String> => "'home page'",
        /// GET this.
        get: Option<LateText> => "'${url}/'",
        /// POST this.
        post: Option<LateText> => "'${url}/api/items'",
        /// PUT this.
        put: Option<LateText> => "'${url}/api/items/1'",
        /// PATCH this.
        patch: Option<LateText> => "'${url}/api/items/1'",
        /// DELETE this.
        delete: Option<LateText> => "'${url}/api/items/${ID}'",
        /// HEAD this.
        head: Option<LateText> => "'${url}/'",
        /// Headers.
        headers: BTreeMap<String, LateText> => "{ Authorization = 'Bearer ${SMOKE_TOKEN}' }",
        /// A JSON body.
        json: Option<Json> => "{ name = 'smoke' }",
        /// A body as text.
        body: Option<LateText> => "'name=smoke'",
        /// What must be answered.
        expect: Expect = Expect::default() => "{ status = 201 }",
        /// Variables for the steps that follow: name = where in the answer.
        capture: BTreeMap<VarName, JsonPointer> => "{ ID = '/id' }",
        /// How long one request may take.
        timeout: Period = Period::secs(10) => "'10s'",
    } rules step_rules
}

fn step_rules(step: &SmokeStep, node: &Node, cx: &mut Cx<'_>) {
    let methods = [
        &step.get,
        &step.post,
        &step.put,
        &step.patch,
        &step.delete,
        &step.head,
    ];
    if methods.iter().filter(|method| method.is_some()).count() != 1 {
        cx.problem(
            node.span,
            "a step is one request",
            "write one of get, post, put, patch, delete, head",
        );
    }
    if step.json.is_some() && step.body.is_some() {
        cx.problem(
            node.span,
            "a request has one body",
            "write one of `json` and `body`",
        );
    }
}

/// A text that is expanded when it is used, with what earlier steps captured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LateText(pub String);

impl FromNode for LateText {
    fn from_node(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        let Some(text) = node.as_str() else {
            cx.wrong_type(node, "a string");
            return None;
        };
        match crate::manifest::template::parse(text) {
            Ok(_) => Some(Self(text.to_owned())),
            Err(refused) => {
                cx.problem(node.span, refused.message, refused.help);
                None
            }
        }
    }
}
crate::manifest::leaf::schema!(LateText, { "type": "string" });

/// Any JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Json(pub serde_json::Value);

impl FromNode for Json {
    fn from_node(node: &Node, _: &mut Cx<'_>) -> Option<Self> {
        Some(Self(to_json(node)))
    }
}
crate::manifest::leaf::schema!(Json, {});

/// A tree as JSON; dates and odd numbers are texts.
pub(crate) fn to_json(node: &Node) -> serde_json::Value {
    match &node.value {
        Value::Bool(value) => (*value).into(),
        Value::Int(number) => (*number).into(),
        Value::Float(number) => (*number).into(),
        Value::BadNumber(text) | Value::Str(text) | Value::Datetime(text) => text.clone().into(),
        Value::Array(items) => items.iter().map(to_json).collect(),
        Value::Table(table) => table
            .0
            .iter()
            .map(|(key, entry)| (key.clone(), to_json(&entry.node)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
    }
}

keys! {
    /// Load on an environment, and what it must stand.
    pub struct Load {
        /// GET this.
        get: Template => "'${url}/'",
        /// Requests a second.
        rate: u32 => "50",
        /// How long.
        span as "for": Period => "'30s'",
        /// The most that passes.
        max: Option<LoadMax> => "{ p95 = '300ms', errors = '1%' }",
        /// How much worse than the old release it may be.
        worse_by: Option<Share> => "'10%'",
    }
}

keys! {
    /// Bounds of a load test.
    pub struct LoadMax {
        /// Half of the answers are faster.
        p50: Option<Period> => "'50ms'",
        /// 95 of 100 answers are faster.
        p95: Option<Period> => "'300ms'",
        /// 99 of 100 answers are faster.
        p99: Option<Period> => "'1s'",
        /// The share of answers that may be errors.
        errors: Option<Share> => "'1%'",
    }
}

/// A share in percent, with fractions: `"0.5%"`.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Share(pub f64);

impl FromNode for Share {
    fn from_node(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        cx.parsed(node, "a share, as in `\"10%\"`", |text| {
            let share = text
                .strip_suffix('%')
                .and_then(|share| share.trim().parse::<f64>().ok());
            share
                .filter(|share| (0.0..=1000.0).contains(share))
                .map(Self)
                .ok_or_else(|| format!("`{text}` is not a share"))
        })
    }
}
crate::manifest::leaf::schema!(Share, { "type": "string", "pattern": "%$|\\$\\{" });

keys! {
    /// A metric that is compared while a release moves.
    pub struct Analysis {
        /// The query.
        query: String => "'rate(errors[1m])'",
        /// The most that passes.
        max: Option<f64> => "0.01",
        /// The least that passes.
        min: Option<f64> => "100",
        /// What it is compared with.
        against: Option<Against> => "'old'",
        /// How much worse than that it may be.
        worse_by: Option<Share> => "'20%'",
    } rules analysis_rules
}

fn analysis_rules(analysis: &Analysis, node: &Node, cx: &mut Cx<'_>) {
    if analysis.max.is_none() && analysis.min.is_none() && analysis.against.is_none() {
        cx.problem(
            node.span,
            "an analysis that nothing can fail",
            "add `max`, `min`, or `against` with `worse_by`",
        );
    }
    if analysis.against.is_some() != analysis.worse_by.is_some() {
        cx.problem(node.span, "`against` and `worse_by` go together", "add the other");
    }
}

choices! {
    /// What a metric is compared with.
    pub enum Against {
        /// The release that served before.
        Old = "old",
    }
}

keys! {
    /// Who is told.
    pub struct Notify {
        /// A Slack webhook.
        slack: Option<SecretRef> => "{ env = 'SLACK_WEBHOOK_URL' }",
        /// A Discord webhook.
        discord: Option<SecretRef> => "{ env = 'DISCORD_WEBHOOK_URL' }",
        /// A webhook of one's own, signed with `key`.
        webhook: Option<String> => "'https://hooks.shop.example/deployments'",
        /// People.
        email: Vec<String> => "['team@shop.example']",
        /// The key that signs a webhook.
        key: Option<SecretRef> => "{ env = 'WEBHOOK_KEY' }",
        /// Of what; without it, of every end.
        on: Vec<NotifyOn> => "['succeeded', 'rolled_back']",
        /// Of which environments; without it, of all.
        environments: Vec<EnvName> => "['production']",
    } rules notify_rules
}

fn notify_rules(notify: &Notify, node: &Node, cx: &mut Cx<'_>) {
    let channels = [
        notify.slack.is_some(),
        notify.discord.is_some(),
        notify.webhook.is_some(),
        !notify.email.is_empty(),
    ];
    if !channels.contains(&true) {
        cx.problem(
            node.span,
            "a notification that goes nowhere",
            "add `slack`, `discord`, `webhook` or `email`",
        );
    }
}

choices! {
    /// What people are told of.
    pub enum NotifyOn {
        /// It began.
        Started = "started",
        /// It waits for somebody.
        Waiting = "waiting",
        /// The new release serves.
        Succeeded = "succeeded",
        /// The old release serves again.
        RolledBack = "rolled_back",
        /// Somebody has to look.
        NeedsHuman = "needs_human",
        /// It failed before anything changed.
        Failed = "failed",
    }
}

keys! {
    /// `deploy serve`.
    pub struct Server {
        /// Where it listens.
        listen: String => "'127.0.0.1:8080'",
        /// Where people reach it.
        url: Option<String> => "'https://deploy.shop.example'",
        /// The origins whose pages may call it.
        cors: Vec<String> => "['https://console.shop.example']",
        /// Requests per caller: `100/m`.
        rate_limit: Option<RateLimit> => "'100/m'",
        /// Whose tokens it takes.
        jwt: Option<Jwt> => "{ issuer = 'https://id.shop.example/', audience = 'deploy', jwks = 'https://id.shop.example/jwks' }",
    }
}

keys! {
    /// Whose tokens the server takes.
    pub struct Jwt {
        /// `iss` must be this.
        issuer: String => "'https://id.shop.example/'",
        /// `aud` must be this.
        audience: String => "'deploy'",
        /// Where its keys are.
        jwks: String => "'https://id.shop.example/jwks'",
        /// The algorithms that are taken; fixed, never the token's choice.
        algorithms: Vec<JwtAlgorithm> = vec![JwtAlgorithm::Rs256] => "['RS256']",
        /// Where a token says the groups.
        groups: Option<JsonPointer> => "'/groups'",
    }
}

choices! {
    /// Signature algorithms with public keys.
    pub enum JwtAlgorithm {
        /// RSA with SHA-256.
        Rs256 = "RS256",
        /// RSA with SHA-384.
        Rs384 = "RS384",
        /// RSA with SHA-512.
        Rs512 = "RS512",
        /// RSA-PSS with SHA-256.
        Ps256 = "PS256",
        /// ECDSA on P-256.
        Es256 = "ES256",
        /// ECDSA on P-384.
        Es384 = "ES384",
        /// Ed25519.
        EdDsa = "EdDSA",
    }
}

/// So many requests in a while: `10/s`, `100/m`, `1000/h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateLimit {
    /// How many.
    pub requests: u32,
    /// In how long.
    pub window: Period,
}

impl FromNode for RateLimit {
    fn from_node(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        cx.parsed(node, "a rate, as in `100/m`", |text| {
            let rule = || format!("`{text}` is not a rate");
            let (requests, unit) = text.split_once('/').ok_or_else(rule)?;
            let secs = match unit {
                "s" => 1,
                "m" => 60,
                "h" => 3600,
                _ => return Err(rule()),
            };
            let requests = requests
                .parse()
                .ok()
                .filter(|number| *number > 0)
                .ok_or_else(rule)?;
            Ok(Self {
                requests,
                window: Period::secs(secs),
            })
        })
    }
}
impl JsonSchema for RateLimit {
    fn schema_name() -> Cow<'static, str> {
        "RateLimit".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[0-9]+/[smh]$|\\$\\{" })
    }
}
