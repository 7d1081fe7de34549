//! Strategies: how a service moves, and which kinds of target can move that way.

use super::target::TargetKind;
use crate::command::Command;
use crate::id::{GroupName, HostName};
use crate::manifest::leaf::{Amount, Period};
use crate::manifest::node::Node;
use crate::manifest::read::{Cx, choices, keys};
use crate::time::format_duration;
use serde::{Deserialize, Serialize};
use std::time::Duration;

keys! {
    /// How a service moves from the old release to the new one. Keys of another kind may stand beside the one in use.
    pub struct Strategy {
        /// The kind; without it, the usual one of the target: `rolling` where there are several slices.
        kind: Option<StrategyKind> => "'rolling'",
        /// rolling: how many slices move at once; canary, where it is written: how many of one step.
        batch: Amount = Amount::Count(1) => "'25%'",
        /// rolling: how many slices may fail without turning the deployment back, of all of the service (a share is rounded down).
        /// Each is stopped by `ssh.stop`, seen not to serve, and left out.
        max_failures: Amount = Amount::Count(0) => "0",
        /// canary: the shares, in order, and how long each is watched.
        steps: Vec<CanaryStep> => "[{ to = '10%', for = '5m' }]",
        /// blue-green on servers: the two ports that take turns.
        ports: Option<(u16, u16)> => "[4000, 4001]",
        /// blue-green on servers: what sends the traffic.
        proxy: Option<Proxy> => "{ nginx = '/etc/nginx/conf.d/shop.conf' }",
        /// blue-green on servers: how long the old one has to end what it had begun before it is stopped by `ssh.stop`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        drain: Option<Period> => "'10s'",
        /// blue-green on Kubernetes: the one workload.
        blue: Option<String> => "'deployment/app-blue'",
        /// blue-green on Kubernetes: the other workload.
        green: Option<String> => "'deployment/app-green'",
        /// blue-green on Kubernetes: the service whose selector is switched.
        service: Option<String> => "'app'",
        /// blue-green on Kubernetes: the label that tells the two apart.
        label: Option<String> => "'version'",
    } rules strategy_rules
}

/// The longest that one which was relieved has to end what it had begun.
const LONGEST_DRAIN: Duration = Duration::from_mins(5);

impl Default for Strategy {
    fn default() -> Self {
        Self {
            kind: None,
            batch: Amount::Count(1),
            max_failures: Amount::Count(0),
            steps: Vec::new(),
            ports: None,
            proxy: None,
            drain: None,
            blue: None,
            green: None,
            service: None,
            label: None,
        }
    }
}

fn strategy_rules(strategy: &Strategy, node: &Node, cx: &mut Cx<'_>) {
    let span = |key: &str| node.at(&[key]).map_or(node.span, |node| node.span);
    if strategy.batch.is_zero() {
        cx.problem(
            span("batch"),
            "`batch` is 0: nothing would ever move",
            "write 1 or more",
        );
    }
    if strategy.kind == Some(StrategyKind::Canary) && strategy.steps.is_empty() {
        cx.problem(
            span("kind"),
            "a canary has no steps",
            "add `steps = [{ to = \"10%\", for = \"5m\" }]`",
        );
    }
    for pair in strategy.steps.windows(2) {
        let grows = match (pair[0].to, pair[1].to) {
            (Amount::Count(a), Amount::Count(b)) => a < b,
            (Amount::Percent(a), Amount::Percent(b)) => a < b,
            // A count and a share compare only once the number of slices is known.
            _ => true,
        };
        if !grows {
            let message = format!(
                "canary steps go up, and {} comes after {}",
                pair[1].to, pair[0].to
            );
            cx.problem(span("steps"), message, "write them in growing order");
        }
    }
    if strategy.steps.iter().any(|step| step.to.is_zero()) {
        cx.problem(
            span("steps"),
            "a canary step to 0 moves nothing",
            "begin with 1 or more",
        );
    }
    if strategy
        .ports
        .is_some_and(|(one, other)| one == other || one == 0 || other == 0)
    {
        cx.problem(
            span("ports"),
            "`ports` are two different ports",
            "write two, as in `[4000, 4001]`",
        );
    }
    if strategy.drain.is_some_and(|drain| drain.get() > LONGEST_DRAIN) {
        let help = format!("write {} or less", format_duration(LONGEST_DRAIN));
        cx.problem(
            span("drain"),
            "the host is held that long, at the end of a deployment",
            help,
        );
    }
}

keys! {
    /// One step of a canary.
    #[derive(Eq)]
    pub struct CanaryStep {
        /// How much runs the new release after it: a number of slices, or a share.
        to: Amount => "'10%'",
        /// How long it is watched before the next.
        hold as "for": Period = Period::default() => "'5m'",
    }
}

keys! {
    /// What sends traffic to one of two ports: one of these.
    #[derive(Eq)]
    pub struct Proxy {
        /// An nginx configuration file that is ours to write: an `upstream` block, for an `include` in `http`.
        nginx: Option<String> => "'/etc/nginx/conf.d/shop.conf'",
        /// A Caddy configuration file that is ours to write: a line `to …`, for an `import` in `reverse_proxy`.
        caddy: Option<String> => "'/etc/caddy/shop.caddy'",
        /// An `HAProxy` map file that is ours to write.
        haproxy: Option<String> => "'/etc/haproxy/shop.map'",
        /// What the service is called in the proxy's configuration, an `upstream` of nginx; without it, as here.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        upstream: Option<String> => "'shop'",
        /// What tests the proxy's configuration and changes nothing; without it, `nginx -t` or `caddy validate`, by sudo if needed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        test: Option<Command> => "'sudo -n nginx -t'",
        /// What has the proxy take up its configuration; without it, `nginx -s reload` or `caddy reload`, by sudo if needed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reload: Option<Command> => "'sudo -n systemctl reload nginx'",
    } rules proxy_rules
}

fn proxy_rules(proxy: &Proxy, node: &Node, cx: &mut Cx<'_>) {
    let files = [
        ("nginx", &proxy.nginx),
        ("caddy", &proxy.caddy),
        ("haproxy", &proxy.haproxy),
    ];
    let named: Vec<_> = files
        .iter()
        .filter_map(|(kind, file)| Some((kind, file.as_ref()?)))
        .collect();
    let [(kind, file)] = named[..] else {
        let message = if named.is_empty() {
            "a proxy that is none of those known"
        } else {
            "one service behind two proxies"
        };
        cx.problem(
            node.span,
            message,
            "write one of `nginx`, `caddy` and `haproxy`, with its file",
        );
        return;
    };
    let span = |key: &str| node.at(&[key]).map_or(node.span, |node| node.span);
    let is_file = file.starts_with('/')
        && !file.ends_with('/')
        && !file.split('/').any(|part| part == "..")
        && !file.chars().any(char::is_control);
    if !is_file {
        let message = format!("`{}` is no file on a host", file.escape_debug());
        cx.problem(span(kind), message, "write an absolute path without `..`");
    }
    let is_word = |name: &String| {
        !name.is_empty()
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
    };
    if proxy.upstream.as_ref().is_some_and(|name| !is_word(name)) {
        let help = "write letters, digits, `-`, `_` and `.`";
        cx.problem(span("upstream"), "this cannot be the name of an upstream", help);
    }
}

choices! {
    /// The kinds of strategy.
    pub enum StrategyKind {
        /// In batches.
        Rolling = "rolling",
        /// Stand up beside, switch, keep the old until baked.
        BlueGreen = "blue-green",
        /// In growing shares, watched between.
        Canary = "canary",
        /// Stop the old, then start the new.
        Recreate = "recreate",
        /// Everything in one step.
        AllAtOnce = "all-at-once",
    }
}

impl StrategyKind {
    /// What a kind of target can do.
    pub const fn of(target: TargetKind) -> &'static [Self] {
        match target {
            TargetKind::Ssh | TargetKind::K8s | TargetKind::Fly => Self::ALL,
            TargetKind::GoldenImage => &[Self::Rolling, Self::Canary, Self::Recreate, Self::AllAtOnce],
            TargetKind::Compose => &[Self::Recreate, Self::AllAtOnce],
            TargetKind::Migrations | TargetKind::Exec => &[Self::AllAtOnce],
        }
    }

    /// What it does where nothing is said.
    pub const fn usual(target: TargetKind) -> Self {
        match target {
            TargetKind::Ssh | TargetKind::K8s | TargetKind::Fly | TargetKind::GoldenImage => Self::Rolling,
            TargetKind::Compose => Self::Recreate,
            TargetKind::Migrations | TargetKind::Exec => Self::AllAtOnce,
        }
    }
}

/// The hosts a service runs on: a group, one by its name, or all of the environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum HostSelection {
    /// Every host of the environment.
    All,
    /// The hosts of a group, and those without groups.
    Group(GroupName),
    /// The host of this name: a group of one.
    Host(HostName),
}
