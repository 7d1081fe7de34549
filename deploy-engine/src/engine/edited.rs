//! Configuration that lies there otherwise than it was committed: what is said of it, and where it is in the way. The rules of a
//! deployment are those of the work tree, so an edit that nobody else has seen could open a gate.

use super::rules::rules;
use super::{Engine, configure_error, failed, git_error};
use crate::api::{DeployAsk, EngineError, What};
use crate::configure::{self, From};
use crate::source::git::Git;
use deploy_core::failure::{Code, Failure};
use deploy_core::gate::Rules;
use deploy_core::id::{CommitId, EnvName};
use deploy_core::manifest::Environment;
use deploy_core::plan::Kind;
use deploy_core::view::EnvironmentView;

/// Files that are not as committed.
struct Edited {
    /// Below the manifest's folder.
    files: Vec<String>,
    /// The commit that is checked out.
    commit: CommitId,
    /// The rules that the commit has; `None` where it has no manifest that can be read.
    committed: Option<Rules>,
}

impl Edited {
    fn text(&self) -> String {
        let differ = if self.files.len() == 1 {
            "differs"
        } else {
            "differ"
        };
        format!(
            "{} {differ} from commit {} (uncommitted)",
            self.files.join(" and "),
            self.commit.short()
        )
    }
}

impl Engine {
    /// What a person should know before anything begins: edits of the configuration that are not committed, and rules that are
    /// looser than those in force. Empty: nothing.
    ///
    /// # Errors
    /// The state or the manifest cannot be read.
    pub async fn forewarnings(&self, name: &EnvName) -> Result<Vec<String>, EngineError> {
        let environment = self.environment(name).await?;
        let here = rules(&environment, &self.project);
        let (mut said, mut told) = (Vec::new(), Vec::new());
        if let Some(edited) = self.edited(&environment).await? {
            let compared = edited.committed.as_ref().map(|old| Rules::compare(old, &here));
            told.extend(
                compared
                    .iter()
                    .flat_map(|lines| lines.looser().map(str::to_owned)),
            );
            let loosened = if told.is_empty() {
                String::new()
            } else {
                format!(": rules loosened: {}", told.join("; "))
            };
            said.push(format!("{}{loosened}", edited.text()));
        }
        if let Some(old) = &self.views().await?.environment(name).rules {
            let compared = Rules::compare(&old.rules, &here);
            let untold = compared
                .looser()
                .filter(|line| !told.iter().any(|told| told == line));
            said.extend(untold.map(|line| format!("rules of {name} are looser than those in force: {line}")));
        }
        Ok(said)
    }

    /// Going forward into an environment that has a gate asks for a configuration that is committed. Going back is held up by
    /// nothing.
    pub(super) async fn refuse_edited(
        &self,
        ask: &DeployAsk,
        environment: &Environment,
        view: &EnvironmentView,
    ) -> Result<(), EngineError> {
        let allowed = matches!(
            ask.what,
            What::Commit {
                allow_dirty: true,
                ..
            }
        );
        if allowed || ask.kind == Kind::Rollback {
            return Ok(());
        }
        let Some(edited) = self.edited(environment).await? else {
            return Ok(());
        };
        let none = Rules::default();
        let here = rules(environment, &self.project);
        let gated = here != none
            || edited.committed.as_ref().is_some_and(|rules| *rules != none)
            || view.rules.as_ref().is_some_and(|old| *old.rules != none);
        if !gated {
            return Ok(());
        }
        let message = format!("{}, and {} has gates", edited.text(), environment.name);
        let next = match ask.what {
            What::Commit { .. } => {
                "commit or stash it; --allow-dirty goes on with the rules as they lie there"
            }
            _ => "commit or stash it, then again",
        };
        Err(failed(Failure::new(Code::DirtyTree, message, next)))
    }

    /// The files by which an environment is configured, where they are not as committed. Without git there is nothing to differ from.
    async fn edited(&self, environment: &Environment) -> Result<Option<Edited>, EngineError> {
        let Ok(git) = &*self.git else { return Ok(None) };
        let look_up = |name: &str| self.caller.get(name).cloned();
        let mut files = vec![self.file.clone()];
        if let Ok(Some(file)) = self.manifest.env_file(&environment.name, &look_up) {
            files.push(file.as_str().to_owned());
        }
        let Ok(commit) = git.resolve("HEAD").await else {
            return Ok(None);
        };
        let files = git.dirty_among(&files).await.map_err(git_error)?;
        if files.is_empty() {
            return Ok(None);
        }
        let committed = self.committed_rules(git, &commit, &environment.name).await.ok();
        Ok(Some(Edited {
            files,
            commit,
            committed,
        }))
    }

    async fn committed_rules(
        &self,
        git: &Git,
        commit: &CommitId,
        name: &EnvName,
    ) -> Result<Rules, EngineError> {
        let look_up = |name: &str| self.caller.get(name).cloned();
        let manifest = configure::manifest_of(git, commit, &self.file)
            .await
            .map_err(configure_error)?;
        let environment = configure::environment(&manifest, name, &From::Commit(git, commit), &self.caller)
            .await
            .map_err(configure_error)?;
        let project = manifest.project(&look_up).map_err(EngineError::Manifest)?;
        Ok(rules(&environment, &project))
    }
}
