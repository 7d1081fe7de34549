//! From what was found (or a template) to the text of a manifest. Each is short enough to be read whole, and passes the check.

use super::look::{Looked, Platform};
use super::made::Made;
use super::unit::Unit;
use super::{Draft, quoted};
use crate::args::setup::Template;
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// The server's address, where nothing tells it.
const SERVER: &str = "deploy@server.example";

/// A manifest for what was found. `server`: `user@host`, where the caller's environment tells one.
pub(crate) fn draft(looked: &Looked, server: Option<&str>) -> Draft {
    let mut text = String::new();
    let mut missing = looked.missing.clone();
    let name = &looked.name;
    let _ = writeln!(text, "[project]\nname = {}\n", quoted(name));
    if let (Made::Built { command, output }, Platform::Ssh) = (&looked.made, &looked.platform) {
        let _ = writeln!(
            text,
            "[artifacts.app]\nbuild = {}\noutput = {}\n",
            quoted(command),
            quoted(output)
        );
    }
    text.push_str("[services.web]\n");
    match &looked.platform {
        Platform::Ssh => {
            if matches!(looked.made, Made::Built { .. }) {
                text.push_str("artifact = \"app\"\n");
            }
            text.push_str("[services.web.ssh]\n");
            if matches!(looked.made, Made::Source { .. }) {
                text.push_str("source = \".\"\n");
            }
            let unit = looked.unit.as_ref();
            let path = unit.and_then(|unit| unit.path.clone());
            let path = quoted(&path.unwrap_or_else(|| format!("/opt/{name}")));
            let restart = unit.map_or_else(|| format!("systemctl restart {name}"), Unit::restart);
            let restart = quoted(&restart);
            let _ = writeln!(text, "path = {path}\nrestart = {restart}");
            if let Made::Source {
                install: Some(install),
            } = &looked.made
            {
                let list = |names: &[String]| {
                    let names: Vec<String> = names.iter().map(|name| quoted(name)).collect();
                    names.join(", ")
                };
                let _ = writeln!(text, "[services.web.hooks.install]\nat = \"prepare\"");
                if !install.if_changed.is_empty() {
                    let _ = writeln!(text, "if_changed = [{}]", list(&install.if_changed));
                }
                let _ = writeln!(
                    text,
                    "produces = [{}]\ncommand = {}",
                    list(&install.produces),
                    quoted(&install.command)
                );
            }
            if unit.is_none() {
                missing.push(format!(
                    "the service's unit: `restart` runs systemctl restart {name}"
                ));
            }
        }
        Platform::Fly { app } => {
            let _ = writeln!(
                text,
                "[services.web.fly]\napp = {}\nconfig = \"fly.toml\"",
                quoted(app)
            );
        }
        Platform::Compose { file, service } => {
            let _ = writeln!(
                text,
                "[services.web.compose]\nfile = {}\nservice = {}",
                quoted(file),
                quoted(service)
            );
        }
        Platform::K8s { folder, workload } => {
            let _ = writeln!(
                text,
                "[services.web.k8s]\nmanifests = [{}]\nworkload = {}",
                quoted(folder),
                quoted(workload)
            );
        }
    }
    if looked.platform == Platform::Ssh {
        let url = quoted(&format!("http://localhost:{}{}", looked.port, looked.health));
        let _ = writeln!(
            text,
            "[services.web.health.ready]\nhttp = {url}\nhealthy_for = \"10s\""
        );
    }
    environments(
        &mut text,
        &looked.platform,
        &looked.branches,
        server,
        &mut missing,
    );
    Draft {
        text,
        found: looked.found.clone(),
        missing,
    }
}

/// A template, which needs no look.
pub(crate) fn template(kind: Template, name: &str, server: Option<&str>) -> Draft {
    let pipeline: BTreeSet<String> = ["develop", "master"].map(str::to_owned).into();
    let (platform, branches) = match kind {
        Template::Minimal => (Platform::Ssh, BTreeSet::new()),
        Template::Ssh => (Platform::Ssh, pipeline),
        Template::K8s => (
            Platform::K8s {
                folder: "k8s".to_owned(),
                workload: format!("deployment/{name}"),
            },
            pipeline,
        ),
        Template::Fly => (Platform::Fly { app: name.to_owned() }, BTreeSet::new()),
        Template::Compose => (
            Platform::Compose {
                file: "compose.yaml".to_owned(),
                service: "web".to_owned(),
            },
            BTreeSet::new(),
        ),
        Template::Local => return local(name),
    };
    let looked = Looked {
        name: name.to_owned(),
        platform,
        made: Made::Source { install: None },
        unit: None,
        health: "/health".to_owned(),
        port: 3000,
        branches,
        found: Vec::new(),
        missing: Vec::new(),
    };
    draft(&looked, server)
}

/// This machine alone: nothing to reach, nothing to fill in.
fn local(name: &str) -> Draft {
    let text = format!(
        "[project]\nname = {}\n\n[services.web.ssh]\nsource = \".\"\npath = \".deploy/live\"\n\
         [services.web.health.ready]\ncommand = \"true\"\nhealthy_for = \"1s\"\n\n\
         [environments.development.hosts]\nhere = {{ local = true }}\n",
        quoted(name)
    );
    let missing = vec!["`path`: where it runs, and `restart`: how it starts anew".to_owned()];
    Draft {
        text,
        found: Vec::new(),
        missing,
    }
}

/// Development, staging and production where there is a branch for each; else production alone.
fn environments(
    text: &mut String,
    platform: &Platform,
    branches: &BTreeSet<String>,
    server: Option<&str>,
    missing: &mut Vec<String>,
) {
    let main = ["main", "master"]
        .into_iter()
        .find(|name| branches.contains(*name));
    let develop = ["develop", "development", "dev"]
        .into_iter()
        .find(|name| branches.contains(*name));
    let stages: Vec<(&str, Option<&str>, Option<&str>)> = match (develop, main) {
        (Some(develop), Some(main)) => vec![
            ("development", None, Some(develop)),
            ("staging", Some("development"), Some(develop)),
            ("production", Some("staging"), Some(main)),
        ],
        _ => vec![("production", None, main.or(develop))],
    };
    let several = stages.len() > 1;
    for (name, after, branch) in stages {
        let _ = writeln!(text, "\n[environments.{name}]");
        if let Some(after) = after {
            let _ = writeln!(text, "after = [{}]", quoted(after));
        }
        if let Some(branch) = branch {
            let _ = writeln!(text, "branches = [{}]", quoted(branch));
        }
        if name == "production" {
            text.push_str("confirm = true\n");
        }
        match platform {
            Platform::Ssh => {
                let address = match server {
                    Some(server) if name == "production" => server.to_owned(),
                    _ if several => SERVER.replace("server", name),
                    _ => SERVER.to_owned(),
                };
                if address.ends_with(".example") {
                    missing.push(format!("the address of {name}'s server, now {address}"));
                }
                let _ = writeln!(
                    text,
                    "[environments.{name}.hosts]\n{name}-1 = {{ ssh = {} }}",
                    quoted(&address)
                );
            }
            Platform::K8s { .. } => {
                missing.push(format!("{name}'s context and namespace"));
                let _ = writeln!(
                    text,
                    "[environments.{name}.defaults.k8s]\ncontext = {}\nnamespace = \"default\"",
                    quoted(name)
                );
            }
            Platform::Fly { .. } | Platform::Compose { .. } => {}
        }
    }
}
