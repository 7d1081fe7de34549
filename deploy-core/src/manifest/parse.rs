//! From the text to a [`Manifest`]: TOML, keys, and every rule that can be judged without variables.

use super::assemble::{self, Inputs};
use super::graph;
use super::keys::project::Root;
use super::model::{Environment, Project};
use super::node::{Node, Span, from_toml};
use super::read::{Cx, FromNode};
use super::scope::Judging;
use super::slip;
use super::suggest::nearest;
use super::syntax;
use super::template::VarName;
use crate::id::{EnvName, ProjectName, ServiceName};
use crate::problem::{Problem, Problems};
use std::collections::BTreeMap;

/// The largest manifest that is read: far above any real one, far below what would slow a command down.
pub const MAX_BYTES: usize = 256 * 1024;

/// A manifest whose form is right. It holds the text, so that every later problem can show its line.
#[derive(Debug, Clone)]
pub struct Manifest {
    pub(crate) file: String,
    pub(crate) text: String,
    pub(crate) root: Node,
    name: ProjectName,
    environments: Vec<EnvName>,
}

/// Reads a manifest. `file_name` is only for messages.
///
/// # Errors
/// Everything that is wrong, in the order of the file.
pub fn parse(file_name: &str, text: &str) -> Result<Manifest, Problems> {
    if text.len() > MAX_BYTES {
        let message = format!("{} bytes, and a manifest has at most {MAX_BYTES}", text.len());
        return Err(Problem::of_file(file_name, message, "is this the right file?").into());
    }
    let mut cx = Cx::new(file_name, text);
    let (table, errors) = toml::de::DeTable::parse_recoverable(text);
    syntax::report(text, &errors, &mut cx);
    if cx.failed() {
        return Err(cx.into_problems().into());
    }
    let whole: Node = from_toml(table.get_ref(), table.span().into());
    let (root, mut slips) = without_slips(file_name, text, whole);
    let mut draft = Draft {
        file: file_name,
        text,
        root: &root,
    };
    let mut judged = Judged::of(draft);
    // Two tables that only together are right were meant to be one.
    let strays = if judged.problems.is_empty() {
        Vec::new()
    } else {
        slip::strays(&root)
    };
    for stray in &strays {
        draft.root = &stray.joined;
        let joined = Judged::of(draft);
        if joined.problems.len() < judged.problems.len() {
            judged = joined;
            slips.push(stray_problem(file_name, text, stray));
            break;
        }
    }
    match judged {
        Judged {
            name: Some(name),
            environments: Some(environments),
            problems,
        } if problems.is_empty() && slips.is_empty() => Ok(Manifest {
            file: file_name.to_owned(),
            text: text.to_owned(),
            name,
            root,
            environments,
        }),
        judged => Err([slips, judged.problems].concat().into()),
    }
}

/// The tree as it was meant, and a problem for each key that nobody knows.
fn without_slips(file: &str, text: &str, mut root: Node) -> (Node, Vec<Problem>) {
    let mut problems = Vec::new();
    loop {
        let mut cx = Cx::new(file, text);
        Root::from_node(&root, &mut cx);
        // Below a table that is renamed there may be more; each round leaves fewer unknown keys than the one before.
        let slips = cx.take_slips();
        if slips.is_empty() {
            return (root, problems);
        }
        root = slip::mended(&root, &slips);
        problems.extend(slips.into_iter().map(|slip| slip.problem));
    }
}

fn stray_problem(file: &str, text: &str, stray: &slip::Stray) -> Problem {
    let mut cx = Cx::new(file, text);
    let [table, name] = &stray.path;
    let meant = &stray.meant;
    cx.within(stray.path.join("."), |cx| {
        cx.problem(
            stray.key,
            format!("[{table}.{name}] is not whole, and neither is [{table}.{meant}]"),
            format!("did you mean `{meant}`?"),
        );
    });
    cx.into_problems().remove(0)
}

/// What the rules say of a tree.
struct Judged {
    name: Option<ProjectName>,
    environments: Option<Vec<EnvName>>,
    problems: Vec<Problem>,
}

impl Judged {
    fn of(draft: Draft<'_>) -> Self {
        let root = draft.root;
        let mut cx = Cx::new(draft.file, draft.text);
        Root::from_node(root, &mut cx);
        // Keys that depend on variables are not known yet; the name may not.
        let name = root.at(&["project", "name"]).and_then(|node| {
            let name = ProjectName::new(node.as_str()?);
            name.map_err(|error| cx.problem(node.span, error.to_string(), "write another name"))
                .ok()
        });
        for (key, help) in [
            ("environments", "add `[environments.production]`"),
            ("services", "add `[services.web]`"),
        ] {
            let node = root.at(&[key]);
            // What is no table at all has been reported as that.
            if node.is_none_or(|node| node.as_table().is_some_and(|table| table.0.is_empty())) {
                cx.problem(
                    Span::default(),
                    format!("no {key}: there is nothing to deploy"),
                    help,
                );
            }
        }
        let names: Vec<EnvName> = root
            .at(&["environments"])
            .and_then(Node::as_table)
            .into_iter()
            .flat_map(|table| table.0.keys())
            .filter_map(|name| EnvName::new(name).ok())
            .collect();
        let environments = graph::environments(root, &mut cx);
        let mut problems = cx.into_problems();
        // The rules across keys are judged on whatever could be read, so that all problems come at once.
        problems.extend(assemble::check(draft, &names));
        // One value may be read for several environments: it is one problem.
        let problems = Problems::from(problems).into_vec();
        Self {
            name,
            environments,
            problems,
        }
    }
}

/// What is there of a manifest, right or not.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Draft<'m> {
    pub(crate) file: &'m str,
    pub(crate) text: &'m str,
    pub(crate) root: &'m Node,
}

impl Manifest {
    pub(crate) fn draft(&self) -> Draft<'_> {
        Draft {
            file: &self.file,
            text: &self.text,
            root: &self.root,
        }
    }

    /// The project's name.
    pub fn name(&self) -> &ProjectName {
        &self.name
    }

    /// The file as the caller named it.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Its environments, each after those it comes after.
    pub fn environments(&self) -> &[EnvName] {
        &self.environments
    }

    /// What holds for all environments.
    ///
    /// # Errors
    /// An unset variable, or a value that breaks a rule once it is expanded.
    pub fn project(&self, caller: &dyn Fn(&str) -> Option<String>) -> Result<Project, Problems> {
        assemble::project(self.draft(), caller)
    }

    /// Where the state is, if the manifest says so.
    ///
    /// # Errors
    /// An unset variable.
    pub fn state(&self, caller: &dyn Fn(&str) -> Option<String>) -> Result<Option<String>, Problems> {
        assemble::state(self.draft(), caller)
    }

    /// The path of an environment's `env_file`, below the manifest's folder; read it, give it to
    /// [`parse_env_file`](super::parse_env_file), and the result to [`Manifest::resolve`].
    pub fn env_file(
        &self,
        environment: &EnvName,
        caller: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Option<super::RelPath>, Problems> {
        self.known(environment)?;
        assemble::env_file(self.draft(), environment, caller)
    }

    /// One environment, its layers merged and its `${…}` expanded.
    ///
    /// # Errors
    /// An unknown environment, an unset variable or secret, or a value that breaks a rule once it is expanded.
    pub fn resolve(
        &self,
        environment: &EnvName,
        env_file: &BTreeMap<VarName, String>,
        caller: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Environment, Problems> {
        self.judged(environment, env_file, caller, Judging::Use)
    }

    /// The same for somebody who asks whether the manifest is right: what works and was surely not meant is a problem too, such as
    /// `${environment}` in a command, or two services in one folder.
    ///
    /// # Errors
    /// Those of [`Manifest::resolve`], and what was surely not meant.
    pub fn check(
        &self,
        environment: &EnvName,
        env_file: &BTreeMap<VarName, String>,
        caller: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Environment, Problems> {
        self.judged(environment, env_file, caller, Judging::Check)
    }

    /// Whether no services of different environments, as they were resolved, are in each other's way on one machine. Judged is what
    /// one of `asked` is part of.
    ///
    /// # Errors
    /// Each with the environments that it is between: what changes one of them would change the other, past its gates.
    pub fn apart(&self, environments: &[Environment], asked: &[EnvName]) -> Result<(), Problems> {
        match assemble::apart(self.draft(), environments, asked) {
            problems if problems.is_empty() => Ok(()),
            problems => Err(problems.into()),
        }
    }

    fn judged(
        &self,
        environment: &EnvName,
        env_file: &BTreeMap<VarName, String>,
        caller: &dyn Fn(&str) -> Option<String>,
        judging: Judging,
    ) -> Result<Environment, Problems> {
        self.known(environment)?;
        let inputs = Inputs {
            env_file,
            caller,
            judging,
        };
        let (resolved, problems) = assemble::environment(self.draft(), environment, &inputs);
        match (resolved, problems.is_empty()) {
            (Some(resolved), true) => Ok(resolved),
            _ => Err(problems.into()),
        }
    }

    /// Every service that is enabled in an environment with what it runs, as far as that can be said without variables that are not
    /// set here: what a release has to hold. An environment that cannot be read at all has none.
    pub fn contents(
        &self,
        environment: &EnvName,
        caller: &dyn Fn(&str) -> Option<String>,
    ) -> BTreeMap<ServiceName, (super::Content, super::TargetKind)> {
        assemble::leniently_with(self.draft(), environment, caller)
            .map(|environment| {
                let services = environment.services.into_iter();
                services
                    .map(|(name, service)| (name, (service.content.clone(), service.kind())))
                    .collect()
            })
            .unwrap_or_default()
    }

    fn known(&self, environment: &EnvName) -> Result<(), Problems> {
        if self.environments.contains(environment) {
            return Ok(());
        }
        let names: Vec<&str> = self.environments.iter().map(EnvName::as_str).collect();
        let help = match nearest(environment.as_str(), names.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("environments are {}", names.join(", ")),
        };
        Err(Problem::of_file(
            &self.file,
            format!("there is no environment `{environment}`"),
            help,
        )
        .into())
    }
}
