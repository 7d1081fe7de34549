//! A project whose services know as what they were started, and are well only if that is what they are asked for.

use deploy_tests::process::Output;
use deploy_tests::scratch::Scratch;
use deploy_tests::wait::PATIENCE;
use std::fs;

/// What restarts a service, as a service manager would: the process that it replaces knew another version, and where there is nothing
/// to start it ends it.
const UNIT: &str = r#"
root=$1 service=$2
if [ ! -e "$DEPLOY_PATH/page" ] && [ ! -e "$DEPLOY_PATH/current/page" ]; then
    rm -f "$root/$service-runs"
    exit
fi
[ -e "$root/stuck" ] || printf %s "${APP_VERSION-$DEPLOY_VERSION}" >"$root/$service-runs"
[ -z "$TOKEN" ] || printf %s "$TOKEN" >"$root/$service-told"
! grep -q sick page || touch "$root/sick"
"#;

/// Two services that know the version they were started as, and are well only if that is the one that is asked for.
pub(crate) fn shop() -> Scratch {
    let shop = Scratch::new();
    let root = shop.root().display().to_string();
    let service = |name: &str, needs: &str| {
        format!(
            r#"[services.{name}]
{needs}
[services.{name}.ssh]
source = "{name}/"
path = "live/{name}"
restart = "sh {root}/project/unit.sh {root} $DEPLOY_SERVICE"
[services.{name}.health.ready]
command = "! test -e {root}/sick && test $(cat {root}/{name}-runs) = $DEPLOY_VERSION && ! grep -qs bad {root}/project/live/{name}/current/page {root}/project/live/{name}/page"
healthy_for = "0s"
interval = "50ms"
deadline = "1s"
"#
        )
    };
    let manifest = format!(
        "[project]\nname = \"shop\"\n{}{}[environments.development.hosts]\nhere = {{ local = true }}\n",
        service("api", ""),
        service("web", "needs = [\"api\"]"),
    );
    shop.write("deploy.toml", manifest);
    shop.write("unit.sh", UNIT);
    shop.write(".gitignore", "live/\n");
    shop
}

/// Deploys a release with these pages.
pub(crate) fn up(shop: &Scratch, api: &str, web: &str) -> Output {
    commit(shop, api, web);
    shop.deploy(&["up"])
}

/// Commits these pages.
pub(crate) fn commit(shop: &Scratch, api: &str, web: &str) {
    shop.write("api/page", api);
    shop.write("web/page", web);
    shop.commit(&format!("{api} {web}"));
}

/// Runs it, and kills it at a point.
#[track_caller]
pub(crate) fn killed_at(shop: &Scratch, point: &str, arguments: &[&str]) {
    let mut command = shop.command(arguments);
    command.env("DEPLOY_FAILPOINT", point);
    let killed = shop.spawn_command(command).wait(PATIENCE);
    assert_eq!(killed.signal, Some(9), "{killed:?}");
}

/// The pages that are live.
pub(crate) fn serves(shop: &Scratch) -> [String; 2] {
    ["api", "web"].map(|service| {
        fs::read_to_string(shop.path(format!("live/{service}/current/page"))).unwrap_or_default()
    })
}
