//! The kinds of target and each one's own table.

use crate::id::GroupName;
use crate::manifest::leaf::{Command, Glob, InnerPath, OneOrMore, RelPath};
use crate::manifest::node::{Node, Span, Value};
use crate::manifest::read::{Cx, FromNode, choices, keys};
use crate::manifest::template::{Template, VarName};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;

choices! {
    /// What a service runs on.
    pub enum TargetKind {
        /// Plain servers, and this machine.
        Ssh = "ssh",
        /// Kubernetes.
        K8s = "k8s",
        /// Fly.io.
        Fly = "fly",
        /// Virtual machines made from one image.
        GoldenImage = "golden-image",
        /// Docker Compose.
        Compose = "compose",
        /// A database schema.
        Migrations = "migrations",
        /// A program of the team's own.
        Exec = "exec",
    }
}

impl TargetKind {
    /// Whether a service of this kind runs an artifact.
    pub const fn takes_artifact(self) -> bool {
        !matches!(self, Self::Migrations | Self::Exec)
    }
    /// Whether it lives on the environment's `hosts`.
    pub const fn on_hosts(self) -> bool {
        matches!(self, Self::Ssh | Self::GoldenImage)
    }
    /// Whether its health can be asked with probes.
    pub const fn takes_health(self) -> bool {
        !matches!(self, Self::Migrations)
    }
}

/// One kind's table, of the kind that is in use.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TargetConfig {
    /// Plain servers, and this machine.
    Ssh(SshConfig),
    /// Kubernetes.
    K8s(K8sConfig),
    /// Fly.io.
    Fly(FlyConfig),
    /// Virtual machines made from one image.
    GoldenImage(GoldenImageConfig),
    /// Docker Compose.
    Compose(ComposeConfig),
    /// A database schema.
    Migrations(MigrationsConfig),
    /// A program of the team's own.
    Exec(ExecConfig),
}

impl TargetConfig {
    /// Which kind.
    pub const fn kind(&self) -> TargetKind {
        match self {
            Self::Ssh(_) => TargetKind::Ssh,
            Self::K8s(_) => TargetKind::K8s,
            Self::Fly(_) => TargetKind::Fly,
            Self::GoldenImage(_) => TargetKind::GoldenImage,
            Self::Compose(_) => TargetKind::Compose,
            Self::Migrations(_) => TargetKind::Migrations,
            Self::Exec(_) => TargetKind::Exec,
        }
    }
}

keys! {
    /// Plain servers: `<path>/current` is switched between release directories.
    #[derive(Eq)]
    pub struct SshConfig {
        /// The host group, or one host by its name; without it, every host of the environment.
        hosts: Option<GroupName> => "'web'",
        /// The service's folder on each host.
        path: Template => "'/opt/shop/web'",
        /// What makes the new release serve, after the switch.
        restart: Option<Command> => "'systemctl restart shop-web'",
        /// What ends the service on one host: one that fails within `strategy.max_failures`, so that nothing serves there, and with
        /// blue-green what runs at `$DEPLOY_PORT`, once the other port serves and nothing turns back any more.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stop: Option<Command> => "'systemctl stop shop-web'",
        /// Instead of an artifact: a folder of the commit.
        source: Option<RelPath> => "'app/'",
        /// Folders that outlive releases, kept in `<path>/shared`.
        shared: Vec<InnerPath> => "['uploads']",
        /// What `deploy logs` reads: `journal:UNIT`, `user-journal:UNIT`, or a glob of files below `path`; without it, the journal
        /// of the units that `restart` names.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        logs: Option<Template> => "'journal:shop-web'",
        /// Whether a file that is the same in two releases is one file on the host (a hard link): less is written. Only where nothing
        /// ever writes into a file of a release in place, or it writes into the one to go back to as well.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        links: bool = false => "true",
    } rules ssh_rules
}

fn ssh_rules(ssh: &SshConfig, node: &Node, cx: &mut Cx<'_>) {
    let span = node.at(&["path"]).map_or(node.span, |node| node.span);
    if let Some(text) = ssh.path.literal() {
        if text.split('/').any(|part| part == "..") || text.chars().any(char::is_control) {
            cx.problem(
                span,
                "a path on a host has no `..` and no control characters",
                "write it out",
            );
        } else if text.trim_matches('/').is_empty() {
            cx.problem(
                span,
                "the root folder or nothing cannot be a service's path",
                "write a folder, as in `/opt/shop`",
            );
        }
    }
    stays("a service's path", "a path", &ssh.path, span, cx);
    for (index, inner) in ssh.shared.iter().enumerate() {
        let written = node.at(&["shared"]).and_then(|list| list.items().get(index));
        let span = written.map_or(node.span, |item| item.span);
        let others = ssh.shared.iter().enumerate();
        let other = others.filter(|(at, _)| *at != index);
        if let Some((at, outer)) = other.into_iter().find(|(_, other)| inner.is_in(other))
            && (inner != outer || at < index)
        {
            let message = if inner == outer {
                format!("`{inner}` is there twice")
            } else {
                format!("`{inner}` lies in `{outer}`, which is shared as a whole")
            };
            cx.problem(span, message, "leave it out");
        }
    }
    if let Some(logs) = &ssh.logs {
        let span = node.at(&["logs"]).map_or(node.span, |node| node.span);
        stays("where a service writes", "this", logs, span, cx);
        if let Some(text) = logs.literal() {
            let unit = text
                .strip_prefix("user-")
                .unwrap_or(text)
                .strip_prefix("journal:");
            if unit.unwrap_or(text).trim().is_empty() || text.chars().any(char::is_control) {
                let message = "neither a unit nor files are named";
                cx.problem(
                    span,
                    message,
                    "write `journal:UNIT`, or a glob as in `shared/log/*.log`",
                );
            } else if text.split('/').any(|part| part == "..") {
                cx.problem(
                    span,
                    "files of a service are below its path",
                    "write it without `..`",
                );
            }
        }
    }
}

/// A text about a host that is the same for every release, and that people see.
fn stays(what: &str, short: &str, text: &Template, span: Span, cx: &mut Cx<'_>) {
    if let Some(fact) = text
        .facts()
        .find(|fact| *fact != super::super::template::Fact::Host)
    {
        let message = format!(
            "{what} stays the same from release to release, and `${{{}}}` does not",
            fact.as_str()
        );
        cx.problem(
            span,
            message,
            "only `${host}`, `${service}`, `${environment}` and variables may stand here",
        );
    }
    if let Some(secret) = text.secrets().next() {
        let message = format!("{short} is shown to people, and `{secret}` is a secret");
        cx.problem(span, message, "use a variable");
    }
}

keys! {
    /// Kubernetes: the team's own manifests, applied to one or more clusters.
    #[derive(Eq)]
    pub struct K8sConfig {
        /// Files or folders of manifests.
        manifests: Vec<RelPath> => "['k8s']",
        /// Files of them that are left out.
        exclude: Vec<Glob> => "['secrets.yaml']",
        /// A command that prints the manifests instead (helm, kustomize).
        render: Option<Command> => "'kustomize build k8s/overlays/$DEPLOY_ENVIRONMENT'",
        /// Whose image is set and whose health counts.
        workload: Option<String> => "'deployment/web'",
        /// The kubeconfig context; several are slices.
        context: Option<OneOrMore<String>> => "'staging'",
        /// The namespace, or a map from theirs to ours.
        namespace: Option<Namespace> => "'shop'",
        /// The kubeconfig file; without it, the usual one.
        kubeconfig: Option<String> => "'ops/kubeconfig'",
        /// Config maps made from variables: name = the variables.
        as_config_map: BTreeMap<String, KeyMap> => "{ app-env = ['LOG_LEVEL'] }",
        /// Secrets made from ours: name = the secrets, or key = secret.
        as_secret: BTreeMap<String, KeyMap> => "{ app-secrets = { database-url = 'DATABASE_URL' } }",
    }
}

/// Where a workload lives in a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Namespace {
    /// This one.
    One(String),
    /// From the namespaces that the manifests name to those of the environment.
    Map(BTreeMap<String, String>),
}
impl FromNode for Namespace {
    fn from_node(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        if node.as_table().is_some() {
            return BTreeMap::from_node(node, cx).map(Self::Map);
        }
        String::from_node(node, cx).map(Self::One)
    }
}
impl JsonSchema for Namespace {
    fn schema_name() -> Cow<'static, str> {
        "Namespace".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [
            { "type": "string" },
            { "type": "object", "additionalProperties": { "type": "string" } },
        ] })
    }
}

/// Keys of a config map or secret, each with the variable that fills it. `["A"]` is `{ A = "A" }`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyMap(pub BTreeMap<String, VarName>);

impl FromNode for KeyMap {
    fn from_node(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        if let Value::Array(_) = node.value {
            let names = Vec::<VarName>::from_node(node, cx)?;
            return Some(Self(
                names.into_iter().map(|name| (name.to_string(), name)).collect(),
            ));
        }
        BTreeMap::from_node(node, cx).map(Self)
    }
}
impl JsonSchema for KeyMap {
    fn schema_name() -> Cow<'static, str> {
        "KeyMap".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [
            { "type": "array", "items": { "type": "string" } },
            { "type": "object", "additionalProperties": { "type": "string" } },
        ] })
    }
}

keys! {
    /// Fly.io: the machines of one app.
    #[derive(Eq)]
    pub struct FlyConfig {
        /// The app.
        app: String => "'shop-${environment}'",
        /// Its fly.toml.
        config: Option<RelPath> => "'fly.toml'",
        /// The API token: a secret.
        token: Option<Template> => "'${FLY_API_TOKEN}'",
        /// The API's address; without it, Fly.io's own.
        api: Option<String> => "'https://api.machines.dev'",
        /// The regions; without them, those of fly.toml.
        regions: Vec<String> => "['fra']",
        /// How many machines; without it, as many as there are.
        count: Option<u32> => "2",
        /// What happens to a suspended or stopped machine.
        when_stopped: WhenStopped = WhenStopped::Wake => "'wake'",
    }
}

choices! {
    /// What a deployment does with a machine that is stopped until needed.
    pub enum WhenStopped {
        /// Woken to be deployed and verified, then as it was.
        Wake = "wake",
        /// Given the new release without being started or verified.
        Leave = "leave",
    }
}

keys! {
    /// Virtual machines made from one disk image.
    #[derive(Eq)]
    pub struct GoldenImageConfig {
        /// The host group that holds the image; without it, every host of the environment.
        hosts: Option<GroupName> => "'server'",
        /// The image's path on them.
        path: Template => "'/var/lib/shop/golden.qcow2'",
        /// Boots a throw-away machine from `$DEPLOY_DISK` and prints its address.
        boot: Option<Command> => "'scripts/boot-vm.sh'",
        /// Prints the address of each running machine, one a line.
        vms: Option<Command> => "'scripts/list-vms.sh'",
        /// Replaces one machine by one made from the image.
        replace: Option<Command> => "'scripts/replace-vm.sh'",
    }
}

keys! {
    /// Docker Compose: one service of a Compose file.
    #[derive(Eq)]
    pub struct ComposeConfig {
        /// The Compose file.
        file: RelPath => "'docker-compose.yml'",
        /// The Compose project; without it, Compose's own choice.
        project: Option<String> => "'shop'",
        /// The service in it; without it, the service's name here.
        service: Option<String> => "'web'",
    }
}

keys! {
    /// A database schema: numbered files, or Prisma's or Supabase's folders.
    #[derive(Eq)]
    pub struct MigrationsConfig {
        /// The folder of migrations.
        dir: RelPath => "'migrations'",
        /// The database: `postgres://…` or `sqlite:PATH`.
        url: Template => "'${DATABASE_URL}'",
        /// What going back does: run the down files, keep the schema, or be refused.
        rollback: MigrationRollback = MigrationRollback::Down => "'keep'",
        /// The host group to reach the database from; without it, from here.
        via: Option<GroupName> => "'web'",
        /// A backup before it changes anything.
        backup: Option<Backup> => "{ dir = 'backups' }",
        /// The team's own tool instead.
        exec: Option<MigrationCommands> => "{ status = 'bin/db status', up = 'bin/db up' }",
    }
}

choices! {
    /// What going back does to a schema.
    pub enum MigrationRollback {
        /// The down files run.
        Down = "down",
        /// The schema stays: it fits the old release too.
        Keep = "keep",
        /// There is no way back over a migration.
        Forbid = "forbid",
    }
}

keys! {
    /// A backup before a migration.
    #[derive(Eq)]
    pub struct Backup {
        /// Where it is put.
        dir: RelPath => "'backups'",
        /// Restore it into an empty database first, to prove that it can be read.
        drill: bool = false => "true",
    }
}

keys! {
    /// A team's own migration tool.
    #[derive(Eq)]
    pub struct MigrationCommands {
        /// Prints the migrations and whether each is applied.
        status: Command => "'bin/db status'",
        /// Applies what is missing.
        up: Command => "'bin/db up'",
        /// Takes back the last.
        down: Option<Command> => "'bin/db down'",
    }
}

keys! {
    /// A program of the team's own that speaks our protocol.
    #[derive(Eq)]
    pub struct ExecConfig {
        /// The program.
        command: Command => "['ops/deploy-cdn']",
    }
}
