//! Two ports behind a proxy, from a service's strategy; with the commands of nginx and Caddy where the manifest names none.

use super::script;
use deploy_core::manifest::{self, Command, Service, StrategyKind};
use deploy_target_ssh::{Beside, Proxy, ProxyKind};
use std::time::Duration;

/// The longest a proxy may take to test or to take up its configuration.
const PROXY_LIMIT: Duration = Duration::from_secs(60);
/// How long a start may take until something listens.
const START: Duration = Duration::from_secs(60);
/// How long the old one has to end what it had begun, where nothing is said.
const DRAIN: Duration = Duration::from_secs(10);

/// `nginx -T` says which files it has read as well: one that includes ours nowhere would be reloaded, and lead nobody anywhere.
const NGINX_TEST: &str = r##"if [ "$(id -u)" = 0 ]; then told=$(nginx -T 2>&1); else told=$(sudo -n nginx -T 2>&1); fi || {
    printf '%s\n' "$told" | tail -n 20
    exit 1
}
case $told in
    *"# configuration file $DEPLOY_PROXY_FILE:"*) ;;
    *)
        echo "no configuration of nginx includes $DEPLOY_PROXY_FILE"
        exit 1
        ;;
esac"##;
const NGINX_RELOAD: &str = r#"if [ "$(id -u)" = 0 ]; then nginx -s reload; else sudo -n nginx -s reload; fi"#;
/// It opens the logs that the configuration names: one that root made in that way, Caddy could not open any more.
const CADDY_TEST: &str = r#"if [ "$(id -u)" = 0 ] && id caddy >/dev/null 2>&1; then
    HOME=~caddy
    export HOME
    exec runuser -u caddy -- caddy validate --adapter caddyfile --config /etc/caddy/Caddyfile
fi
exec caddy validate --adapter caddyfile --config /etc/caddy/Caddyfile"#;
/// By Caddy's own interface on the host, which asks for no rights.
const CADDY_RELOAD: &str = "caddy reload --adapter caddyfile --config /etc/caddy/Caddyfile";

/// How a service stands up beside itself, where its strategy says so.
pub(super) fn of(service: &Service) -> Option<Beside> {
    let strategy = &service.strategy;
    if strategy.kind != StrategyKind::BlueGreen {
        return None;
    }
    let (ports, written) = (strategy.ports?, strategy.proxy.as_ref()?);
    Some(Beside {
        ports,
        proxy: proxy(service, written)?,
        drain: strategy.drain.map_or(DRAIN, manifest::Period::get),
        start: START,
    })
}

fn proxy(service: &Service, written: &manifest::Proxy) -> Option<Proxy> {
    let (kind, file, test, reload) = match (&written.nginx, &written.caddy) {
        (Some(file), _) => (ProxyKind::Nginx, file, NGINX_TEST, NGINX_RELOAD),
        (None, Some(file)) => (ProxyKind::Caddy, file, CADDY_TEST, CADDY_RELOAD),
        (None, None) => return None,
    };
    let command = |given: &Option<Command>, usual: &str| {
        let command = given.clone().unwrap_or_else(|| Command::Shell(usual.to_owned()));
        script(&command, PROXY_LIMIT)
    };
    Some(Proxy {
        kind,
        file: file.clone(),
        name: written
            .upstream
            .clone()
            .unwrap_or_else(|| service.name.to_string()),
        test: command(&written.test, test),
        reload: command(&written.reload, reload),
    })
}
