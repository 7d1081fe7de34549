//! Artifacts and the checks of a commit: what is made once for all environments.

use crate::manifest::leaf::{Command, Glob, Period, RelPath};
use crate::manifest::node::Node;
use crate::manifest::read::{Cx, choices, keys};
use crate::manifest::template::Template;
use serde::{Deserialize, Serialize};

keys! {
    /// An artifact: a tree (`output`), a container image (`image`, `docker`) or a disk (`disk`).
    #[derive(Eq)]
    pub struct ArtifactKeys {
        /// What makes it; sees no environment's variables. Without it an image is pulled and pinned.
        build: Option<Command> => "'npm ci && npm run build'",
        /// The folder it is built in.
        dir: Option<RelPath> => "'app'",
        /// The files it is made from: unchanged inputs, no build. Without them, the whole commit.
        inputs: Vec<Glob> => "['app/**']",
        /// The folder that is the result.
        output: Option<RelPath> => "'app/dist'",
        /// The container image, pinned to its digest when the release is made.
        image: Option<Template> => "'registry.example/shop:${tag}'",
        /// A folder with a Dockerfile: built, pushed, its files the inputs.
        docker: Option<RelPath> => "'app/gateway'",
        /// The disk image that is the result.
        disk: Option<RelPath> => "'golden.qcow2'",
        /// Where it is built; without it, here.
        on: Option<BuildHost> => "{ ssh = 'root@build.example' }",
        /// When a disk is built again.
        rebuild: Rebuild = Rebuild::Auto => "'auto'",
    } rules artifact_rules
}

fn artifact_rules(keys: &ArtifactKeys, node: &Node, cx: &mut Cx<'_>) {
    if let Err((key, message, help)) = kind_of(keys) {
        let span = node.at(&[key]).map_or(node.span, |node| node.span);
        cx.problem(span, message, help);
    }
    if let Some(secret) = keys.image.iter().flat_map(Template::secrets).next() {
        let span = node.at(&["image"]).map_or(node.span, |node| node.span);
        cx.problem(
            span,
            format!("an image's name is stored, and `{secret}` is a secret"),
            "use a variable",
        );
    }
}

type Broken = (&'static str, String, &'static str);

fn kind_of(keys: &ArtifactKeys) -> Result<ArtifactKind, Broken> {
    let image = keys.image.is_some() || keys.docker.is_some();
    match (&keys.output, image, &keys.disk) {
        (None, false, None) => Err((
            "build",
            "an artifact is a tree, an image or a disk, and this says none".to_owned(),
            "add one of `output`, `image`, `docker`, `disk`",
        )),
        (Some(output), false, None) => match &keys.build {
            Some(build) => Ok(ArtifactKind::Tree {
                build: build.clone(),
                output: output.clone(),
            }),
            None => Err((
                "output",
                "an `output` that nothing builds".to_owned(),
                "add `build`, or let the service take the folder with `source`",
            )),
        },
        (None, true, None) => match (&keys.image, &keys.docker, &keys.build) {
            (None, _, _) => Err((
                "docker",
                "a built image has no name".to_owned(),
                "add `image = \"registry.example/name:${tag}\"`",
            )),
            (Some(_), Some(_), Some(_)) => Err((
                "docker",
                "`docker` builds the image, and so does `build`".to_owned(),
                "keep one of them",
            )),
            (Some(image), docker, build) => Ok(ArtifactKind::Image {
                image: image.clone(),
                source: match (docker, build) {
                    (Some(dir), _) => ImageSource::Docker(dir.clone()),
                    (None, Some(build)) => ImageSource::Build(build.clone()),
                    (None, None) => ImageSource::Pull,
                },
            }),
        },
        (None, false, Some(disk)) => match &keys.build {
            Some(build) => Ok(ArtifactKind::Disk {
                build: build.clone(),
                disk: disk.clone(),
                rebuild: keys.rebuild,
            }),
            None => Err(("disk", "a `disk` that nothing builds".to_owned(), "add `build`")),
        },
        _ => Err((
            if keys.disk.is_some() { "disk" } else { "output" },
            "an artifact is one of a tree (`output`), an image (`image`, `docker`) and a disk (`disk`)"
                .to_owned(),
            "make two artifacts of it",
        )),
    }
}

impl ArtifactKeys {
    /// What it is; `None` where a rule is broken, which reading has reported.
    pub(crate) fn kind(&self) -> Option<ArtifactKind> {
        kind_of(self).ok()
    }
}

/// An artifact, ready to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifact {
    /// Its name.
    pub name: crate::id::ArtifactName,
    /// What it is and how it is made.
    pub kind: ArtifactKind,
    /// The folder it is built in, below the manifest's.
    pub dir: Option<RelPath>,
    /// The files it is made from; empty means the whole commit.
    pub inputs: Vec<Glob>,
    /// Where it is built; `None` means here.
    pub on: Option<SshAddress>,
}

/// What an artifact is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ArtifactKind {
    /// A tree of files.
    Tree {
        /// What makes it.
        build: Command,
        /// The folder that is the result, below the manifest's.
        output: RelPath,
    },
    /// A container image.
    Image {
        /// Its name and tag, with facts of the release.
        image: Template,
        /// Where it comes from.
        source: ImageSource,
    },
    /// A disk image.
    Disk {
        /// What makes it.
        build: Command,
        /// The file that is the result, below the manifest's folder.
        disk: RelPath,
        /// When it is built again.
        rebuild: Rebuild,
    },
}

/// Where a container image comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ImageSource {
    /// It is there: pulled and pinned.
    Pull,
    /// A command builds and pushes `$DEPLOY_IMAGE`.
    Build(Command),
    /// Docker builds this folder, and we push.
    Docker(RelPath),
}

choices! {
    /// When a disk is built again.
    pub enum Rebuild {
        /// When its inputs change.
        Auto = "auto",
        /// For every release.
        Always = "always",
        /// Only when asked.
        Manual = "manual",
    }
}

keys! {
    /// A machine that builds.
    #[derive(Eq)]
    pub struct BuildHost {
        /// Its address.
        ssh: SshAddress => "'root@build.example'",
    }
}

keys! {
    /// What produces evidence for a commit.
    #[derive(Eq)]
    pub struct Check {
        /// What runs when the release is made; without it, `deploy attest` brings the evidence.
        command: Option<Command> => "'npm ci && npm test'",
        /// The folder it runs in.
        dir: Option<RelPath> => "'app'",
        /// The `JUnit` files it writes; a failed test in them fails the check.
        junit: Option<Glob> => "'reports/*.xml'",
        /// A scan's findings of this severity or worse fail the check.
        fail_on: Option<Severity> => "'high'",
        /// How long the evidence holds; without it, for ever.
        valid_for: Option<Period> => "'7d'",
        /// How long the command may take.
        timeout: Period = Period::secs(3600) => "'30m'",
        /// A workflow on GitHub whose result counts.
        github: Option<GithubCheck> => "{ repo = 'shop/shop', workflow = 'test.yml' }",
    }
}

choices! {
    /// How bad a finding is.
    pub enum Severity {
        /// Any finding.
        Low = "low",
        /// Medium or worse.
        Medium = "medium",
        /// High or worse.
        High = "high",
        /// Only critical ones.
        Critical = "critical",
    }
}

keys! {
    /// A workflow on GitHub.
    #[derive(Eq)]
    pub struct GithubCheck {
        /// The repository.
        repo: String => "'shop/shop'",
        /// The workflow's file.
        workflow: String => "'test.yml'",
    }
}

/// An ssh destination: `host`, `user@host`, `ssh://user@host:2222`. It can never be taken for an option.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SshAddress {
    /// The user; without it, what the ssh configuration says.
    pub user: Option<String>,
    /// The host: a name, an address, or an alias of the ssh configuration.
    pub host: String,
    /// The port; without it, what the ssh configuration says.
    pub port: Option<u16>,
}

impl SshAddress {
    /// Parses one.
    pub fn new(text: &str) -> Result<Self, String> {
        let broken = |rule: &str| {
            format!(
                "`{}` is not an ssh destination: {rule}",
                crate::failure::printable(text, 80)
            )
        };
        let (rest, url) = match text.strip_prefix("ssh://") {
            Some(rest) => (rest.trim_end_matches('/'), true),
            None => (text, false),
        };
        let (user, host) = match rest.rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, rest),
        };
        let (host, port) = match host.strip_prefix('[').and_then(|host| host.split_once(']')) {
            Some((host, port)) => (host, port.strip_prefix(':').or((!port.is_empty()).then_some("?"))),
            None => match host.rsplit_once(':') {
                Some((host, port)) if url => (host, Some(port)),
                Some((before, _)) if !before.contains(':') => {
                    return Err(broken(&format!(
                        "a port is written `ssh://{}`",
                        rest.trim_start_matches('-')
                    )));
                }
                _ => (host, None),
            },
        };
        let word = |word: &str| {
            !word.is_empty()
                && !word.starts_with('-')
                && word.len() <= 255
                && word
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "._-:%+".contains(c))
        };
        if !word(host) {
            return Err(broken(
                "a host is letters, digits, `.`, `_`, `-` and `:`, and does not begin with `-`",
            ));
        }
        if !user.is_none_or(word) {
            return Err(broken(
                "a user is letters, digits, `.`, `_` and `-`, and does not begin with `-`",
            ));
        }
        let port = match port.map(str::parse::<u16>) {
            None => None,
            Some(Ok(port)) if port > 0 => Some(port),
            Some(_) => return Err(broken("a port is a number from 1 to 65535")),
        };
        Ok(Self {
            user: user.map(str::to_owned),
            host: host.to_owned(),
            port,
        })
    }
}
impl std::fmt::Display for SshAddress {
    /// The shortest form that [`SshAddress::new`] reads back.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let user = self
            .user
            .as_deref()
            .map(|user| format!("{user}@"))
            .unwrap_or_default();
        match self.port {
            None => write!(f, "{user}{}", self.host),
            Some(port) if self.host.contains(':') => write!(f, "ssh://{user}[{}]:{port}", self.host),
            Some(port) => write!(f, "ssh://{user}{}:{port}", self.host),
        }
    }
}
impl TryFrom<String> for SshAddress {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        Self::new(&text)
    }
}
impl From<SshAddress> for String {
    fn from(address: SshAddress) -> String {
        address.to_string()
    }
}
impl crate::manifest::read::FromNode for SshAddress {
    fn from_node(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        cx.parsed(node, "`user@host`, or `ssh://user@host:2222`", Self::new)
    }
}
crate::manifest::leaf::schema!(SshAddress, { "type": "string", "minLength": 1 });
