//! A service that systemd hands its listening socket to: a plain `restart` under it loses no request.

use std::os::unix::fs::symlink;
use std::time::Duration;

use deploy_tests::machines::{Account, Machines, PORT};
use deploy_tests::proxies::Users;
use deploy_tests::scratch::Scratch;
use deploy_tests::service::{self, WebRelease};

const LIMIT: Duration = Duration::from_mins(3);

/// The service ends by itself when it is told to, as one does that finishes its requests on SIGTERM.
const UNITS: &str = "cat >/etc/systemd/system/shop.socket <<'UNIT'
[Socket]
ListenStream=PORT
[Install]
WantedBy=sockets.target
UNIT
cat >/etc/systemd/system/shop.service <<'UNIT'
[Unit]
Requires=shop.socket
[Service]
WorkingDirectory=/opt/web/current
Environment=STOP_FILE=/run/shop.stop
ExecStartPre=/bin/rm -f /run/shop.stop
ExecStart=/usr/local/bin/deploy-test-web
StandardInput=socket
StandardOutput=journal
ExecStop=/bin/sh -c 'touch /run/shop.stop; while kill -0 $MAINPID; do sleep 0.05; done'
UNIT
systemctl disable --now web; systemctl daemon-reload && systemctl enable --now shop.socket";

#[test]
fn a_restart_under_a_socket_loses_no_request() {
    let scratch = Scratch::new();
    let machines = Machines::start(&[11], Account::Root);
    let [machine] = machines.all() else {
        panic!("one was started")
    };
    machine.put(&service::program("deploy-test-web"), "/usr/local/bin/");
    machine.sh(&UNITS.replace("PORT", &PORT.to_string()));
    symlink(machines.ssh_config(), scratch.path("ssh_config")).expect("the project can be written");
    scratch.write(".gitignore", ".deploy/\nssh_config\n");
    scratch.write(
        "deploy.toml",
        format!(
            r#"[project]
name = "shop"
[services.web.ssh]
source = "web/"
path = "/opt/web"
restart = "systemctl restart shop.service"
[services.web.health.ready]
http = "http://127.0.0.1:{PORT}/health"
healthy_for = "500ms"
interval = "100ms"
deadline = "30s"
[environments.production]
ssh_config = "ssh_config"
[environments.production.hosts]
web-1 = {{ ssh = "{}" }}
"#,
            machine.name()
        ),
    );
    let up = |version: &str| {
        scratch.write_web("web", &WebRelease::healthy(version));
        scratch.commit(version);
        scratch.deploy_within(LIMIT, &["up"]).expect_code(0);
    };
    up("1");
    let users = Users::start_at(machine.address(), PORT);
    users.until_served_by("1");
    for version in ["2", "3"] {
        up(version);
        users.until_served_by(version);
    }
    users.lost_nothing();
}
