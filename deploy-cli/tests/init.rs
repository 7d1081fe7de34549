//! First manifests: from a look at a folder, from a template, from a `.deploy.yaml`. Each passes the check; none is overwritten.

mod common;

use common::Home;
use insta::assert_snapshot;

/// Runs it, checks what it wrote, and shows both.
fn made(home: &Home, args: &[&str]) -> String {
    let said = home.run(args);
    let checked = home.run(&["check"]);
    assert!(checked.starts_with("exit 0\n"), "{said}\n{checked}");
    format!("{said}--- deploy.toml\n{}", home.read("deploy.toml"))
}

#[test]
fn an_empty_folder() {
    assert_snapshot!(made(&Home::new(), &["init"]), @r#"
    exit 0
    --- stdout
      · nothing names a platform: taken as files on a server, by ssh
      ! still to be filled in: the port it listens on, now 3000: no source says one
      ! still to be filled in: the service's unit: `restart` runs systemctl restart project
      ! still to be filled in: the address of production's server, now deploy@server.example
    ✓ deploy.toml written
      next       fill in what is missing, then deploy check
    --- deploy.toml
    [project]
    name = "project"

    [services.web]
    [services.web.ssh]
    source = "."
    path = "/opt/project"
    restart = "systemctl restart project"
    [services.web.health.ready]
    http = "http://localhost:3000/"
    healthy_for = "10s"

    [environments.production]
    confirm = true
    [environments.production.hosts]
    production-1 = { ssh = "deploy@server.example" }
    "#);
}

#[test]
fn what_starts_it_on_a_server() {
    let home = Home::with(&[
        (
            "ops/systemd/shop-web.service",
            "[Service]\nWorkingDirectory=/srv/shop/current\nExecStart=/srv/shop/current/run\n[Install]\nWantedBy=multi-user.target\n",
        ),
        ("Procfile", "web: ./run --port $PORT\nworker: ./work\n"),
        (".env.example", "NAME=shop\nPORT=8421\n"),
        (".deploy.yaml", "targets: {}\n"),
        ("run", "#!/bin/sh\n"),
    ]);
    assert_snapshot!(made(&home, &["init"]), @r#"
    exit 0
    --- stdout
      · nothing names a platform: taken as files on a server, by ssh
      · ops/systemd/shop-web.service is a unit of systemd: `systemctl restart shop-web` restarts it
      · ops/systemd/shop-web.service runs in /srv/shop/current: /srv/shop is the service's folder
      · Procfile starts `./run --port $PORT` as web
      · .env.example says PORT=8421: it listens there
      ! still to be filled in: what .deploy.yaml says: remove this manifest, and `deploy import` takes it over
      ! still to be filled in: the address of production's server, now deploy@server.example
    ✓ deploy.toml written
      next       fill in what is missing, then deploy check
    --- deploy.toml
    [project]
    name = "project"

    [services.web]
    [services.web.ssh]
    source = "."
    path = "/srv/shop"
    restart = "systemctl restart shop-web"
    [services.web.health.ready]
    http = "http://localhost:8421/"
    healthy_for = "10s"

    [environments.production]
    confirm = true
    [environments.production.hosts]
    production-1 = { ssh = "deploy@server.example" }
    "#);
}

#[test]
fn a_node_service_with_branches() {
    let home = Home::with(&[
        ("package.json", r#"{"scripts":{"build":"tsc"}}"#),
        ("package-lock.json", "{}"),
        ("src/server.js", "app.get('/healthz', ok); app.listen(4000)"),
    ]);
    home.git(&["init", "-q"]);
    home.git(&["remote", "add", "origin", "git@git.example:shop/basket.git"]);
    home.git(&["add", "."]);
    home.git(&["commit", "-qm", "Begin"]);
    home.git(&["branch", "main"]);
    assert_snapshot!(made(&home, &["init"]), @r#"
    exit 0
    --- stdout
      · the git remote is called basket: the project's name
      · package.json has a `build` script: `npm run build` makes dist/
      · nothing names a platform: taken as files on a server, by ssh
      · the sources say `.listen(4000`: it listens there
      · the sources answer /healthz: looked at after every switch
      · git has the branches develop, main
      ! still to be filled in: the service's unit: `restart` runs systemctl restart basket
      ! still to be filled in: the address of development's server, now deploy@development.example
      ! still to be filled in: the address of staging's server, now deploy@staging.example
      ! still to be filled in: the address of production's server, now deploy@production.example
    ✓ deploy.toml written
      next       fill in what is missing, then deploy check
    --- deploy.toml
    [project]
    name = "basket"

    [artifacts.app]
    build = "npm ci && npm run build"
    output = "dist"

    [services.web]
    artifact = "app"
    [services.web.ssh]
    path = "/opt/basket"
    restart = "systemctl restart basket"
    [services.web.health.ready]
    http = "http://localhost:4000/healthz"
    healthy_for = "10s"

    [environments.development]
    branches = ["develop"]
    [environments.development.hosts]
    development-1 = { ssh = "deploy@development.example" }

    [environments.staging]
    after = ["development"]
    branches = ["develop"]
    [environments.staging.hosts]
    staging-1 = { ssh = "deploy@staging.example" }

    [environments.production]
    after = ["staging"]
    branches = ["main"]
    confirm = true
    [environments.production.hosts]
    production-1 = { ssh = "deploy@production.example" }
    "#);
}

#[test]
fn a_rust_program() {
    let home = Home::with(&[
        ("Cargo.toml", "[package]\nname = \"basket\"\n"),
        ("src/main.rs", "bind(\"0.0.0.0:8080\")"),
    ]);
    assert_snapshot!(made(&home, &["init"]), @r#"
    exit 0
    --- stdout
      · Cargo.toml makes the program basket
      · nothing names a platform: taken as files on a server, by ssh
      · the sources say `0.0.0.0:8080`: it listens there
      ! still to be filled in: the service's unit: `restart` runs systemctl restart project
      ! still to be filled in: the address of production's server, now deploy@server.example
    ✓ deploy.toml written
      next       fill in what is missing, then deploy check
    --- deploy.toml
    [project]
    name = "project"

    [artifacts.app]
    build = "cargo build --release --locked && mkdir -p dist && cp target/release/basket dist/"
    output = "dist"

    [services.web]
    artifact = "app"
    [services.web.ssh]
    path = "/opt/project"
    restart = "systemctl restart project"
    [services.web.health.ready]
    http = "http://localhost:8080/"
    healthy_for = "10s"

    [environments.production]
    confirm = true
    [environments.production.hosts]
    production-1 = { ssh = "deploy@server.example" }
    "#);
}

#[test]
fn platforms_are_recognised() {
    for (file, text, sign) in [
        (
            "fly.toml",
            "app = \"basket\"\n[http_service]\n",
            "[services.web.fly]",
        ),
        (
            "compose.yaml",
            "services:\n  basket:\n    image: x\n",
            "service = \"basket\"",
        ),
        (
            "k8s/web.yaml",
            "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: basket\n",
            "workload = \"deployment/basket\"",
        ),
        ("go.mod", "module example.org/basket\n", "go build"),
        (
            "Dockerfile",
            "FROM scratch\nEXPOSE 7000\n",
            "http://localhost:7000/",
        ),
    ] {
        let manifest = made(&Home::with(&[(file, text)]), &["init"]);
        assert!(manifest.contains(sign), "{file}: {manifest}");
    }
}

/// A folder's files with their texts.
type Files<'a> = &'a [(&'a str, &'a str)];

#[test]
fn languages_are_recognised() {
    let cases: &[(Files<'_>, &[&str])] = &[
        (
            &[(
                "Cargo.toml",
                "[package]\nname = \"shop-core\"\n[[bin]]\nname = \"shopd\"\n",
            )],
            &["target/release/shopd"],
        ),
        (
            &[
                (
                    "Cargo.toml",
                    "[workspace]\nmembers = [\"crates/*\"]\n[workspace.package]\nname = \"no\"\n",
                ),
                ("crates/model/Cargo.toml", "[package]\nname = \"model\"\n"),
                ("crates/server/Cargo.toml", "[package]\nname = \"server\"\n"),
                ("crates/server/src/main.rs", "fn main() {}"),
            ],
            &["target/release/server"],
        ),
        (&[("Cargo.toml", "[workspace]\n")], &["the program in `build`"]),
        (
            &[
                ("go.mod", "module example.org/basket\n"),
                ("main.go", "http.ListenAndServe(\":9090\", nil)"),
            ],
            &["-o dist/basket .", "localhost:9090/"],
        ),
        (
            &[
                ("go.mod", "module example.org/basket\n"),
                ("cmd/server/main.go", "package main"),
            ],
            &["-o dist/server ./cmd/server", "the port it listens on, now 3000"],
        ),
        (
            &[
                ("requirements.txt", "fastapi"),
                ("app/main.py", "uvicorn.run(app, port=8000)"),
            ],
            &[
                "if_changed = [\"requirements.txt\"]",
                "produces = [\"packages\"]",
                "localhost:8000/",
                "PYTHONPATH",
            ],
        ),
        (
            &[
                ("package.json", r#"{"dependencies":{"express":"4"}}"#),
                ("package-lock.json", "{}"),
            ],
            &[
                "command = \"npm ci --omit=dev\"",
                "produces = [\"node_modules\"]",
                "source = \".\"",
            ],
        ),
        (
            &[
                (
                    "package.json",
                    r#"{"scripts":{"build":"x"},"dependencies":{"next":"15"}}"#,
                ),
                ("pnpm-lock.yaml", ""),
            ],
            &[
                "pnpm install --frozen-lockfile && pnpm run build",
                "\"node_modules\", \".next\"",
            ],
        ),
        (
            &[
                ("package.json", r#"{"scripts":{"build":"vite"}}"#),
                ("yarn.lock", ""),
            ],
            &[
                "yarn install --frozen-lockfile && yarn run build",
                "output = \"dist\"",
            ],
        ),
        (
            &[(
                "docker-compose.yml",
                "services:\n  db:\n    image: postgres\n  web:\n    build: .\nvolumes:\n  x:\n",
            )],
            &["service = \"web\""],
        ),
        (
            &[(
                "k8s/web.yaml",
                "kind: Deployment\nmetadata:\n  labels:\n    name: other\n  name: basket\n",
            )],
            &["deployment/basket"],
        ),
    ];
    for (files, signs) in cases {
        let manifest = made(&Home::with(files), &["init"]);
        for sign in *signs {
            assert!(manifest.contains(sign), "{files:?}: {sign}\n{manifest}");
        }
    }
}

#[test]
fn every_template_passes_the_check() {
    for kind in ["minimal", "ssh", "local", "k8s", "fly", "compose"] {
        made(&Home::new(), &["init", "--template", kind]);
    }
}

#[test]
fn a_manifest_is_never_overwritten() {
    let home = Home::with(&[("deploy.toml", "mine")]);
    assert_snapshot!(home.run(&["init"]), @r#"
    exit 2
    --- stderr
    error: deploy.toml is there already: nothing was written [DPL0005]
      next     deploy check, or -f FILE for another
    "#);
    assert_snapshot!(home.run(&["init", "--json"]), @r#"
    exit 2
    --- stdout
    {"schema":"deploy.error/1","code":2,"failure":{"code":"DPL0005","message":"deploy.toml is there already: nothing was written","next":"deploy check, or -f FILE for another"}}
    "#);
    assert_eq!(home.read("deploy.toml"), "mine");
}

#[test]
fn a_deploy_yaml() {
    let home = Home::with(&[(
        ".deploy.yaml",
        "version: 1.0\ntargets:\n  api:\n    path: /opt/shop/api\n    restart: systemctl restart api\n    health_check: http://localhost:8000/health\n    post_deploy:\n      - npm ci\n      - npm run migrate\n  frontend:\n    path: /opt/shop/frontend\n    build_command: npm run build\n",
    )]);
    assert_snapshot!(made(&home, &["import"]), @r#"
    exit 0
    --- stdout
      ! still to be filled in: `output` of artifact frontend: what `npm run build` leaves, now .
      ! still to be filled in: frontend has no restart: what runs keeps running the old files
      ! still to be filled in: frontend has no health check: only that the files are there is seen
      ! still to be filled in: the server, now deploy@server.example: .deploy.yaml names none; DEPLOY_SERVER and DEPLOY_USER do
    ✓ deploy.toml written
      next       fill in what is missing, then deploy check
    --- deploy.toml
    [project]
    name = "project"

    [services.api]
    [services.api.ssh]
    source = "."
    path = "/opt/shop/api"
    restart = "systemctl restart api"
    [services.api.hooks.post-deploy]
    at = "after"
    command = "npm ci && npm run migrate"
    [services.api.health.ready]
    http = "http://localhost:8000/health"
    healthy_for = "10s"

    [artifacts.frontend]
    build = "npm run build"
    output = "."

    [services.frontend]
    artifact = "frontend"
    [services.frontend.ssh]
    path = "/opt/shop/frontend"

    [environments.production.hosts]
    server = { ssh = "deploy@server.example" }
    "#);
}

#[test]
fn what_an_old_file_says_and_a_manifest_cannot_is_named() {
    let yaml = "targets:\n  agent:\n    source: /srv/agent\n    path: opt/agent\n    restart: \"true\"\n    health_check: localhost:3000/health\n  controller:\n    source: ./controller/\n    path: /opt/controller\n    restart: \"true\"\n    health_check: test -f /tmp/x\n";
    let home = Home::with(&[(".deploy.yaml", yaml), ("controller/server.js", "")]);
    assert_snapshot!(made(&home, &["import"]), @r#"
    exit 0
    --- stdout
      ! still to be filled in: the source of agent, now all of the project: /srv/agent is outside of it
      ! still to be filled in: the path of agent, now /opt/agent: opt/agent is not absolute
      ! still to be filled in: the server, now deploy@server.example: .deploy.yaml names none; DEPLOY_SERVER and DEPLOY_USER do
    ✓ deploy.toml written
      next       fill in what is missing, then deploy check
    --- deploy.toml
    [project]
    name = "project"

    [services.agent]
    [services.agent.ssh]
    source = "."
    path = "/opt/agent"
    restart = "true"
    [services.agent.health.ready]
    http = "http://localhost:3000/health"
    healthy_for = "10s"

    [services.controller]
    [services.controller.ssh]
    source = "controller/"
    path = "/opt/controller"
    restart = "true"
    [services.controller.health.ready]
    command = "test -f /tmp/x"
    healthy_for = "10s"

    [environments.production.hosts]
    server = { ssh = "deploy@server.example" }
    "#);
}

#[test]
fn servers_come_from_the_callers_environment() {
    let home = Home::with(&[(
        ".deploy.yaml",
        "version: \"1.0\"\ntargets:\n  api:\n    path: /opt/api\n",
    )]);
    let mut command = home.command(&["import"]);
    assert_snapshot!(home.show(command.env("DEPLOY_SERVER", "10.0.0.1").env("DEPLOY_USER", "deploy")), @r#"
    exit 0
    --- stdout
      · DEPLOY_SERVER says that production is deploy@10.0.0.1
      ! still to be filled in: api has no restart: what runs keeps running the old files
      ! still to be filled in: api has no health check: only that the files are there is seen
    ✓ deploy.toml written
      next       fill in what is missing, then deploy check
    "#);
    assert!(home.read("deploy.toml").contains("deploy@10.0.0.1"));
}

#[test]
fn what_cannot_be_imported() {
    for (name, yaml) in [
        ("none", None),
        ("not YAML", Some("targets: [\n")),
        (
            "another version",
            Some("version: 2.0\ntargets:\n  api:\n    path: /opt\n"),
        ),
        ("an unknown key", Some("targets:\n  api:\n    paht: /opt\n")),
        ("no targets", Some("version: 1.0\ntargets: {}\n")),
    ] {
        let home = Home::new();
        if let Some(yaml) = yaml {
            home.write(".deploy.yaml", yaml.as_bytes());
        }
        insta::assert_snapshot!(name.replace(' ', "_"), home.run(&["import"]));
        assert!(!home.project().join("deploy.toml").exists(), "{name}");
    }
}

#[test]
fn a_server_where_nothing_runs_on_one() {
    let home = Home::new();
    let said = home.run(&["init", "--template", "fly", "--host", "deploy@10.0.0.1"]);
    assert_snapshot!(said, @r#"
    exit 2
    --- stderr
    error: --host names the server deploy@10.0.0.1, and this manifest would have none [DPL0005]
      next     leave it out, or --template minimal
    "#);
    assert!(!home.project().join("deploy.toml").exists());
    let ssh = made(&home, &["init", "--host", "ssh://deploy@10.0.0.1:2222"]);
    assert!(
        ssh.contains("production-1 = { ssh = \"ssh://deploy@10.0.0.1:2222\" }"),
        "{ssh}"
    );
}
