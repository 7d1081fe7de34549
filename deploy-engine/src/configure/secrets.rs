//! Secrets: references resolved as late as can be, held only by whoever hands them to a target. Values are never printed, stored or
//! put on an argument list.

use super::Caller;
use crate::source::process::plain_environment;
use deploy_core::failure::{Code, Failure};
use deploy_core::manifest::{Command, SecretRef, VarName};
use deploy_core::port::target::Secret;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

/// The longest a program that prints a secret may take: it may ask a vault far away, not a person.
const LIMIT: Duration = Duration::from_secs(60);

/// Why a secret has no value. Says where it should come from, never what came.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the secret {name} ({reference}) has no value: {why}")]
pub struct NoSecret {
    /// Which.
    pub name: String,
    /// Where it should come from.
    pub reference: String,
    /// What is missing.
    pub why: String,
}

impl NoSecret {
    /// For people and programs.
    pub fn failure(&self) -> Failure {
        Failure::new(
            Code::VariableUnset,
            self.to_string(),
            "set it where the reference says, then try again",
        )
    }
}

/// Resolves references.
///
/// # Errors
/// The first that has no value.
pub async fn resolve(
    references: &BTreeMap<VarName, SecretRef>,
    folder: &Path,
    facts: &BTreeMap<String, String>,
    caller: &Caller,
) -> Result<BTreeMap<String, Secret>, NoSecret> {
    let mut secrets = BTreeMap::new();
    for (name, reference) in references {
        let value = one(reference, folder, facts, caller)
            .await
            .map_err(|why| NoSecret {
                name: name.to_string(),
                reference: reference.to_string(),
                why: why.to_string(),
            })?;
        secrets.insert(name.to_string(), Secret::new(value));
    }
    Ok(secrets)
}

/// Why one reference has no value: a sentence fragment that holds nothing of the value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoValue {
    /// Nobody set it here.
    #[error("{0}")]
    NotSet(String),
    /// It is set, and could not be had.
    #[error("{0}")]
    Failed(String),
}

/// Resolves one reference.
pub async fn one(
    reference: &SecretRef,
    folder: &Path,
    facts: &BTreeMap<String, String>,
    caller: &Caller,
) -> Result<String, NoValue> {
    match reference {
        SecretRef::Env(name) => caller
            .get(name)
            .cloned()
            .ok_or_else(|| NoValue::NotSet(format!("{name} is not set in the environment"))),
        SecretRef::File(path) => {
            let text = std::fs::read_to_string(folder.join(path)).map_err(|error| match error.kind() {
                std::io::ErrorKind::NotFound => NoValue::NotSet(error.to_string()),
                _ => NoValue::Failed(error.to_string()),
            })?;
            Ok(text.strip_suffix('\n').map_or(text.clone(), str::to_owned))
        }
        SecretRef::Exec(command) => from_program(command, folder, facts, caller)
            .await
            .map_err(NoValue::Failed),
    }
}

async fn from_program(
    command: &Command,
    folder: &Path,
    facts: &BTreeMap<String, String>,
    caller: &Caller,
) -> Result<String, String> {
    let argv = command.argv();
    let Some((program, arguments)) = argv.split_first() else {
        return Err("the command is empty".to_owned());
    };
    let mut child = tokio::process::Command::new(program);
    // A vault's own program needs the caller's environment: its session is in there.
    child
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .envs(plain_environment())
        .envs(caller)
        .envs(facts);
    child.stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(LIMIT, child.output())
        .await
        .map_err(|_| "the command took longer than a minute".to_owned())?
        .map_err(|error| format!("the command could not be run: {error}"))?;
    if !output.status.success() {
        // Its standard error may quote the value it failed on.
        return Err(format!("the command ended with {}", output.status));
    }
    let text = String::from_utf8(output.stdout)
        .map_err(|_| "the command printed something that is not UTF-8".to_owned())?;
    Ok(text.strip_suffix('\n').map_or(text.clone(), str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn values_come_from_where_the_reference_says_and_errors_hold_none_of_them() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("token"), "from-file\n").expect("a file");
        let caller = Caller::from([("TOKEN".to_owned(), "from-env".to_owned())]);
        let facts = BTreeMap::from([("DEPLOY_ENVIRONMENT".to_owned(), "staging".to_owned())]);
        let ask = async |reference: SecretRef| one(&reference, folder.path(), &facts, &caller).await;
        let shell = |line: &str| SecretRef::Exec(Command::Shell(line.to_owned()));
        assert_eq!(
            ask(SecretRef::Env("TOKEN".to_owned())).await,
            Ok("from-env".to_owned())
        );
        assert_eq!(
            ask(SecretRef::File("token".to_owned())).await,
            Ok("from-file".to_owned())
        );
        assert_eq!(
            ask(shell("echo $DEPLOY_ENVIRONMENT-db")).await,
            Ok("staging-db".to_owned())
        );
        assert!(
            ask(SecretRef::Env("NONE".to_owned()))
                .await
                .is_err_and(|why| matches!(why, NoValue::NotSet(why) if why.contains("NONE is not set")))
        );
        let failed = ask(shell("echo hunter2; echo hunter2 >&2; exit 3"))
            .await
            .expect_err("it failed");
        assert!(matches!(failed, NoValue::Failed(_)), "{failed:?}");
        assert!(!failed.to_string().contains("hunter2"), "{failed}");
    }
}
