//! A service on two servers, with a secret, a shared folder and a log.

use std::fs;

use deploy_tests::process::Output;
use deploy_tests::redact::Redactions;
use deploy_tests::scratch::Scratch;
use deploy_tests::sshd::{Fleet, Sshd};

/// The project and its servers.
pub(crate) struct World {
    pub(crate) shop: Scratch,
    pub(crate) fleet: Fleet,
}

/// What nobody may read.
pub(crate) const SECRET: &str = "swordfish-7";

impl World {
    /// Nothing was deployed yet. `more`: keys of the environment.
    pub(crate) fn bare(more: &str) -> Self {
        let fleet = Sshd::named(&["web-1", "web-2"]);
        let root = fleet.host("web-1").root().display().to_string();
        let root = root.replace("web-1", "${host}");
        let shop = Scratch::new();
        let manifest = format!(
            r#"[project]
name = "shop"
[services.web]
secrets = ["TOKEN"]
vars = {{ COLOUR = "blue" }}
[services.web.ssh]
source = "web/"
path = "{root}/srv/web"
shared = ["log"]
logs = "shared/log/*.log"
[environments.production]
ssh_config = "ssh_config"
{more}
[environments.production.secrets]
TOKEN = {{ env = "SHOP_TOKEN" }}
[environments.production.hosts]
web-1 = {{ ssh = "web-1" }}
web-2 = {{ ssh = "web-2" }}
"#
        );
        shop.write("deploy.toml", manifest);
        shop.write(".gitignore", ".deploy/\nssh_config\n");
        shop.write("web/page", "v1\n");
        fs::copy(fleet.ssh_config(), shop.path("ssh_config")).expect("the project can be written");
        shop.commit("Begin");
        shop.set("SHOP_TOKEN", SECRET);
        Self { shop, fleet }
    }

    /// With its first release up.
    pub(crate) fn up(more: &str) -> Self {
        let world = Self::bare(more);
        world.deploy(&["up", "--confirm", "production"]).expect_code(0);
        world.shop.unset("SHOP_TOKEN");
        world
    }

    pub(crate) fn deploy(&self, arguments: &[&str]) -> Output {
        self.shop.deploy(arguments)
    }

    /// Exit code and what a person sees, line by line in one order, without what differs from run to run.
    pub(crate) fn look(&self, output: &Output) -> String {
        let fleet = self.fleet.ssh_config();
        let rules = Redactions::new()
            .path(&self.shop.project(), "project")
            .path(self.shop.root(), "root")
            .path(fleet.parent().expect("it is in a folder"), "fleet");
        let code = output
            .code
            .map_or_else(|| "signal".to_owned(), |code| code.to_string());
        let text = rules.apply(&format!("exit {code}\n{}---\n{}", output.stdout, output.stderr));
        let words = [
            (r"SHA256:[A-Za-z0-9+/]+", "SHA256:[key]"),
            (r"\[?127\.[0-9.]+\]?(:| port )[0-9]+", "[address]"),
        ];
        words.iter().fold(text, |text, (pattern, name)| {
            let pattern = regex::Regex::new(pattern).expect("it is one");
            pattern.replace_all(&text, *name).into_owned()
        })
    }

    /// The events of the journal of this type.
    pub(crate) fn audit(&self, kind: &str) -> Vec<serde_json::Value> {
        let events = self
            .deploy(&["audit", "export", "--events"])
            .expect_code(0)
            .events();
        events.into_iter().filter(|event| event["type"] == kind).collect()
    }
}
