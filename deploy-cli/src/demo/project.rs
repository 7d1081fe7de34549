//! The demo's project: a git repository of its own with a manifest and two services that move together.

use super::machine::Ports;
use super::service::APP;
use super::story::{COMMITS, Commit, ENVIRONMENTS, SERVICES, UP};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The repository, in the demo's folder.
#[derive(Debug)]
pub(super) struct Project {
    /// Where it is.
    pub(super) folder: PathBuf,
}

impl Project {
    /// Makes it: branch `develop` with the manifest, no service yet.
    ///
    /// # Errors
    /// If git is missing or refuses, or the disk does: for people.
    pub(super) fn create(root: &Path, ports: &Ports) -> Result<Self, String> {
        let project = Self {
            folder: root.join("shop"),
        };
        std::fs::create_dir_all(&project.folder).map_err(|error| error.to_string())?;
        project.git(&["init", "--quiet"])?;
        project.git(&["symbolic-ref", "HEAD", "refs/heads/develop"])?;
        project.write("deploy.toml", &manifest(root, ports))?;
        project.write(".gitignore", ".deploy/\n")?;
        project.commit_all("Say where the shop runs")?;
        Ok(project)
    }

    /// Makes the commit `COMMITS[index]` with its tag; the first is on `master` too.
    ///
    /// # Errors
    /// As [`Project::create`].
    pub(super) fn commit(&self, index: usize) -> Result<(), String> {
        let commit = COMMITS[index];
        for service in SERVICES {
            self.write(&format!("{service}/{APP}"), &app(service, commit))?;
        }
        self.commit_all(commit.message)?;
        self.git(&["tag", commit.version])?;
        if index == 0 {
            self.git(&["branch", "master"])?;
        }
        Ok(())
    }

    fn commit_all(&self, message: &str) -> Result<(), String> {
        self.git(&["add", "--all"])?;
        self.git(&["commit", "--quiet", "--message", message])
    }

    fn write(&self, name: &str, text: &str) -> Result<(), String> {
        let path = self.folder.join(name);
        let folder = path.parent().unwrap_or(&self.folder);
        std::fs::create_dir_all(folder)
            .and_then(|()| std::fs::write(&path, text))
            .map_err(|error| format!("{}: {error}", path.display()))
    }

    /// Runs git with nothing of the user's configuration: no signing, no hooks, no other default branch.
    fn git(&self, words: &[&str]) -> Result<(), String> {
        let output = Command::new("git")
            .args(["-c", "user.name=Sasha", "-c", "user.email=sasha@shop.example"])
            .args(words)
            .current_dir(&self.folder)
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .env("HOME", &self.folder)
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .stdin(Stdio::null())
            .output();
        match output {
            Ok(output) if output.status.success() => Ok(()),
            Ok(output) => Err(format!(
                "git {} failed: {}",
                words[0],
                String::from_utf8_lossy(&output.stderr).trim()
            )),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Err("the demo needs git, and there is none here; install it (apt install git)".to_owned())
            }
            Err(error) => Err(format!("git could not be run: {error}")),
        }
    }
}

/// What a service's release holds.
fn app(service: &str, commit: Commit) -> String {
    let message = if service == "web" {
        commit.message
    } else {
        "Prices"
    };
    let health = if service == "web" { commit.web_health } else { UP };
    format!(
        "{{\n  \"version\": \"{}\",\n  \"message\": \"{message}\",\n  \"health\": {health}\n}}\n",
        commit.version
    )
}

/// The manifest: what a person would write, but for the ports, which are the free ones of this machine.
fn manifest(root: &Path, ports: &Ports) -> String {
    let root = root
        .display()
        .to_string()
        .replace('\\', "\\\\")
        .replace('"', "\\\"");
    let mut text = format!(
        r#"# Two services that move together, through three environments on this machine.
[project]
name = "shop"

[vars]
ROOT = "{root}"

[defaults.ssh]
restart = 'sh "$ROOT/machine/restart"'

[defaults.health.ready]
http = "http://127.0.0.1:${{PORT}}/health"
expect = {{ status = 200, json = {{ "/status" = ["UP"] }} }}
version = {{ json = "/version" }}
healthy_for = "500ms"
interval = "100ms"
deadline = "3s"

[services.api.ssh]
source = "api/"
path = "${{ROOT}}/hosts/${{environment}}/api"

[services.web]
needs = ["api"]
[services.web.ssh]
source = "web/"
path = "${{ROOT}}/hosts/${{environment}}/web"
"#
    );
    let rules = [
        "",
        "after = [\"development\"]\n",
        "after = [\"staging\"]\nbranches = [\"master\"]\n",
    ];
    for (environment, rules) in ENVIRONMENTS.iter().zip(rules) {
        let _infallible = write!(
            text,
            "\n[environments.{environment}]\n{rules}[environments.{environment}.hosts]\nhere = {{ local = true }}\n\
             [environments.{environment}.services]\n"
        );
        for service in SERVICES {
            let port = ports
                .get(&format!("{environment}/{service}"))
                .copied()
                .unwrap_or_default();
            let _infallible = writeln!(text, "{service}.vars.PORT = \"{port}\"");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn ports() -> Ports {
        let names = ENVIRONMENTS
            .iter()
            .flat_map(|environment| SERVICES.map(|service| format!("{environment}/{service}")));
        names.zip(4001..).collect()
    }

    #[test]
    fn the_manifest_is_valid_in_every_environment() {
        let text = manifest(Path::new("/tmp/a \"folder\""), &ports());
        let manifest = deploy_core::manifest::parse("deploy.toml", &text).unwrap();
        assert_eq!(manifest.environments().len(), ENVIRONMENTS.len());
        for name in manifest.environments() {
            let environment = manifest.resolve(name, &BTreeMap::new(), &|_| None).unwrap();
            assert_eq!(environment.services.len(), SERVICES.len());
        }
    }

    #[test]
    fn the_history_is_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let project = Project::create(folder.path(), &ports()).unwrap();
        for index in 0..COMMITS.len() {
            project.commit(index).unwrap();
        }
        let log = Command::new("git")
            .args(["-c", "safe.directory=*", "log", "--format=%an: %s%d"])
            .current_dir(&project.folder)
            .output()
            .unwrap();
        insta::assert_snapshot!(String::from_utf8(log.stdout).unwrap(), @r"
        Sasha: Mend the basket (HEAD -> develop, tag: 1.1.1)
        Sasha: Add a basket (tag: 1.1.0)
        Sasha: Open the shop (tag: 1.0.0, master)
        Sasha: Say where the shop runs
        ");
    }
}
