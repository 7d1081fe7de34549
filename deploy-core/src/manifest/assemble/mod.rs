//! Putting an environment together: layers, variables, rules across keys. Lenient when a manifest is only checked (a
//! variable that no layer sets may come later), strict when an environment is resolved.

mod by_host;
mod decide;
mod environment;
mod facts;
mod kind;
mod places;
mod probes;
mod references;
mod service;
mod settings;
mod variables;

use super::graph;
use super::keys::artifact::{Artifact, ArtifactKeys};
use super::keys::project::ProjectKeys;
use super::model::Project;
use super::node::Node;
use super::parse::Draft;
use super::read::{Cx, FromNode};
use super::scope::{Expanded, Judging, Realm, Scope};
use super::template::VarName;
use crate::id::{ArtifactName, EnvName};
use crate::problem::{Problem, Problems};
use std::collections::{BTreeMap, BTreeSet};

pub(super) use environment::environment;
use environment::literal;
pub(super) use places::apart;
pub use variables::parse_env_file;

/// What the caller brings.
pub(super) struct Inputs<'a> {
    pub(super) env_file: &'a BTreeMap<VarName, String>,
    pub(super) caller: &'a dyn Fn(&str) -> Option<String>,
    /// How strictly it is judged.
    pub(super) judging: Judging,
}

/// Every rule of every environment that can be judged now.
pub(super) fn check(manifest: Draft<'_>, names: &[EnvName]) -> Vec<Problem> {
    let nothing = BTreeMap::new();
    let inputs = Inputs {
        env_file: &nothing,
        caller: &|_| None,
        judging: Judging::Draft,
    };
    let mut problems = Vec::new();
    for name in names {
        problems.extend(environment(manifest, name, &inputs).1);
    }
    problems.extend(one_artifact(manifest, names));
    let mut cx = Cx::new(manifest.file, manifest.text);
    let scope = project_scope(manifest, inputs.caller, Judging::Draft);
    cx.scope = Some(&scope);
    artifacts(manifest, &mut cx);
    problems.extend(cx.into_problems());
    problems
}

/// An artifact may differ only where no `after` joins the environment to others.
fn one_artifact(manifest: Draft<'_>, names: &[EnvName]) -> Vec<Problem> {
    let mut cx = Cx::new(manifest.file, manifest.text);
    for name in names {
        let joined = graph::joined(manifest.root, name.as_str());
        for (other, service) in joined
            .iter()
            .filter(|other| other.as_str() < name.as_str())
            .flat_map(|other| {
                service::names(manifest)
                    .into_iter()
                    .map(move |service| (other, service))
            })
        {
            let (Some((here, at)), Some((there, other_at))) = (
                service::raw_content(manifest, name.as_str(), service),
                service::raw_content(manifest, other, service),
            ) else {
                continue;
            };
            if here != there {
                let message = format!(
                    "`{service}` is `{there}` in {other} and `{here}` in {name}, which `after` joins"
                );
                cx.within(format!("environments.{name}.services.{service}"), |cx| {
                    cx.problem(
                        at.or(other_at).unwrap_or_default(),
                        message,
                        "what was verified there must be what comes here: use one artifact",
                    );
                });
            }
        }
    }
    cx.into_problems()
}

fn project_scope<'a>(
    manifest: Draft<'_>,
    caller: &'a dyn Fn(&str) -> Option<String>,
    judging: Judging,
) -> Scope<'a> {
    Scope {
        realm: Realm::Project,
        facts: BTreeMap::new(),
        given: variables::of_project(manifest),
        caller,
        taken: std::cell::RefCell::default(),
        home: "vars".to_owned(),
        judging,
    }
}

fn artifacts(manifest: Draft<'_>, cx: &mut Cx<'_>) -> Option<BTreeMap<ArtifactName, Artifact>> {
    let Some(node) = manifest.root.at(&["artifacts"]) else {
        return Some(BTreeMap::new());
    };
    let keys = cx.within("artifacts", |cx| {
        BTreeMap::<ArtifactName, ArtifactKeys>::from_node(node, cx)
    })?;
    keys.into_iter()
        .map(|(name, keys)| {
            let kind = keys.kind()?;
            let artifact = Artifact {
                name: name.clone(),
                kind,
                dir: keys.dir,
                inputs: keys.inputs,
                on: keys.on.map(|on| on.ssh),
            };
            Some((name, artifact))
        })
        .collect()
}

/// See [`Manifest::project`].
pub(super) fn project(
    manifest: Draft<'_>,
    caller: &dyn Fn(&str) -> Option<String>,
) -> Result<Project, Problems> {
    let scope = project_scope(manifest, caller, Judging::Use);
    let mut cx = Cx::with_scope(manifest.file, manifest.text, &scope);
    let artifacts = artifacts(manifest, &mut cx);
    let empty = Node::table(manifest.root.span, super::node::Table::default());
    let project = manifest.root.at(&["project"]).unwrap_or(&empty);
    let project = cx.within("project", |cx| ProjectKeys::from_node(project, cx));
    let groups: Option<BTreeMap<_, Vec<_>>> = root_key(manifest, &mut cx, "groups");
    let checks = root_key(manifest, &mut cx, "checks");
    let server = root_key::<Option<_>>(manifest, &mut cx, "server");
    // These are expanded in each environment's own words, when they act; here their form is enough.
    cx.scope = None;
    let smoke = root_key(manifest, &mut cx, "smoke");
    let load = root_key(manifest, &mut cx, "load");
    let notify = root_key(manifest, &mut cx, "notify");
    let whole = (|| {
        let project = project?;
        Some(Project {
            name: project.name,
            keep: project.keep,
            records: project.records,
            scripts: project.scripts,
            groups: groups?
                .into_iter()
                .map(|(name, people)| (name, BTreeSet::from_iter(people)))
                .collect(),
            artifacts: artifacts?,
            checks: checks?,
            smoke: smoke?,
            load: load?,
            notify: notify?,
            server: server?,
        })
    })();
    match (whole, cx.failed()) {
        (Some(project), false) => Ok(project),
        _ => Err(cx.into_problems().into()),
    }
}

fn root_key<T: FromNode>(manifest: Draft<'_>, cx: &mut Cx<'_>, key: &str) -> Option<T> {
    match manifest.root.at(&[key]) {
        Some(node) => cx.within(key, |cx| T::from_node(node, cx)),
        None => T::absent(key, manifest.root.span, cx),
    }
}

/// See [`Manifest::state`].
pub(super) fn state(
    manifest: Draft<'_>,
    caller: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<String>, Problems> {
    let Some((node, text)) = manifest
        .root
        .at(&["project", "state"])
        .and_then(|node| Some((node, node.as_str()?)))
    else {
        return Ok(None);
    };
    let scope = project_scope(manifest, caller, Judging::Use);
    let mut cx = Cx::with_scope(manifest.file, manifest.text, &scope);
    let state = cx.within("project.state", |cx| match cx.expand(node, text)? {
        Expanded::Known(template) if template.literal().is_some() => template.literal().map(str::to_owned),
        _ => {
            cx.problem(
                node.span,
                "the state's URL must be known on this machine",
                "use a variable, or `DEPLOY_STATE`",
            );
            None
        }
    });
    match state {
        Some(state) => Ok(Some(state)),
        None => Err(cx.into_problems().into()),
    }
}

/// See [`Manifest::env_file`].
pub(super) fn env_file(
    manifest: Draft<'_>,
    name: &EnvName,
    caller: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<super::RelPath>, Problems> {
    let Some(node) = manifest.root.at(&["environments", name.as_str(), "env_file"]) else {
        return Ok(None);
    };
    let nothing = BTreeMap::new();
    let inputs = Inputs {
        env_file: &nothing,
        caller,
        judging: Judging::Use,
    };
    let scope = environment::scope(manifest, name, &inputs);
    let mut cx = Cx::with_scope(manifest.file, manifest.text, &scope);
    match cx.within(format!("environments.{name}.env_file"), |cx| {
        FromNode::from_node(node, cx)
    }) {
        Some(path) => Ok(Some(path)),
        None => Err(cx.into_problems().into()),
    }
}

/// An environment as far as it can be known without variables; services that depend on them are left out.
pub(super) fn leniently(manifest: Draft<'_>, name: &EnvName) -> Option<super::Environment> {
    leniently_with(manifest, name, &|_| None)
}

/// The same with the caller's variables, but without the environment's own file.
pub(super) fn leniently_with(
    manifest: Draft<'_>,
    name: &EnvName,
    caller: &dyn Fn(&str) -> Option<String>,
) -> Option<super::Environment> {
    let nothing = BTreeMap::new();
    environment(
        manifest,
        name,
        &Inputs {
            env_file: &nothing,
            caller,
            judging: Judging::Draft,
        },
    )
    .0
}

/// The artifacts as far as they can be known without variables.
pub(super) fn lenient_artifacts(manifest: Draft<'_>) -> Option<BTreeMap<ArtifactName, Artifact>> {
    let scope = project_scope(manifest, &|_| None, Judging::Draft);
    artifacts(
        manifest,
        &mut Cx::with_scope(manifest.file, manifest.text, &scope),
    )
}
