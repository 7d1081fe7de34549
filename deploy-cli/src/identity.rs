//! Who asks, and how that is known: a CI job's variables, else the checkout's git identity, else the user of the operating
//! system. Nothing here is proof: on a state file that its user owns, who is allowed what is advice. The variables of CI count
//! only where it says that it is CI.

use deploy_core::failure::printable;
use deploy_core::id::Actor;
use deploy_engine::api::Identity;
use std::path::Path;
use std::process::{Command, Stdio};

/// A CI system by its variables: the one that says it is there, its name, who started the job, the branch.
struct Ci {
    mark: &'static str,
    name: &'static str,
    actor: &'static [&'static str],
    branch: &'static [&'static str],
}

const CIS: &[Ci] = &[
    Ci {
        mark: "GITHUB_ACTIONS",
        name: "github",
        actor: &["GITHUB_ACTOR"],
        // A pull request's own branch, not the merge that GitHub makes of it.
        branch: &["GITHUB_HEAD_REF", "GITHUB_REF_NAME"],
    },
    Ci {
        mark: "GITLAB_CI",
        name: "gitlab",
        actor: &["GITLAB_USER_LOGIN"],
        branch: &["CI_MERGE_REQUEST_SOURCE_BRANCH_NAME", "CI_COMMIT_BRANCH"],
    },
    Ci {
        mark: "CIRCLECI",
        name: "circle",
        actor: &["CIRCLE_USERNAME"],
        branch: &["CIRCLE_BRANCH"],
    },
    Ci {
        mark: "BUILDKITE",
        name: "buildkite",
        actor: &["BUILDKITE_BUILD_AUTHOR_EMAIL"],
        branch: &["BUILDKITE_BRANCH"],
    },
    Ci {
        mark: "TF_BUILD",
        name: "azure",
        actor: &["BUILD_REQUESTEDFOREMAIL"],
        branch: &["BUILD_SOURCEBRANCHNAME"],
    },
    Ci {
        mark: "JENKINS_URL",
        name: "jenkins",
        actor: &["BUILD_USER_ID"],
        branch: &["BRANCH_NAME", "GIT_BRANCH"],
    },
];

/// The caller's environment.
pub(crate) type Variables<'a> = &'a dyn Fn(&str) -> Option<String>;

fn ci(variables: Variables<'_>) -> Option<&'static Ci> {
    CIS.iter()
        .find(|ci| variables(ci.mark).is_some_and(|value| !value.is_empty() && value != "false"))
}

fn first(names: &[&str], variables: Variables<'_>) -> Option<String> {
    names
        .iter()
        .filter_map(|name| variables(name))
        .find(|value| !value.is_empty())
}

/// Whether this is CI: nobody is there to be asked, and the disk dies with the job.
pub(crate) fn is_ci(variables: Variables<'_>) -> bool {
    ci(variables).is_some()
        || variables("CI").is_some_and(|value| !matches!(value.as_str(), "" | "0" | "false"))
}

/// The branch that CI says it builds; its checkouts are detached.
pub(crate) fn branch(variables: Variables<'_>) -> Option<String> {
    // A tag's build has a ref name too, and it is no branch.
    if variables("GITHUB_REF_TYPE").is_some_and(|kind| kind == "tag") {
        return None;
    }
    first(ci(variables)?.branch, variables)
}

/// Who asks.
pub(crate) fn identity(folder: &Path, variables: Variables<'_>) -> Identity {
    let user = || first(&["USER", "LOGNAME", "USERNAME"], variables).unwrap_or_else(user_id);
    let (actor, established) = of_ci(variables)
        .or_else(|| Some((git_email(folder)?, "git".to_owned())))
        .unwrap_or_else(|| (user(), "os user".to_owned()));
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let who = printable(&format!("{}@{host} (pid {})", user(), std::process::id()), 200);
    Identity {
        actor: Actor::new(printable(&actor, 200)).unwrap_or_else(|_| unknown()),
        established,
        who,
    }
}

fn of_ci(variables: Variables<'_>) -> Option<(String, String)> {
    let ci = ci(variables)?;
    Some((first(ci.actor, variables)?, format!("ci: {}", ci.name)))
}

fn unknown() -> Actor {
    Actor::new("unknown").expect("a fixed, legal name")
}

fn user_id() -> String {
    format!("uid {}", rustix::process::getuid().as_raw())
}

/// Reads a file of a checkout; it starts no program but git, which answers at once.
fn git_email(folder: &Path) -> Option<String> {
    let folder = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    let output = Command::new("git")
        .args(["config", "--get", "user.email"])
        .current_dir(folder)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let text = text.trim();
    (output.status.success() && !text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with<'a>(pairs: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<String> + 'a {
        move |name| {
            pairs
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).to_owned())
        }
    }

    #[test]
    fn ci_says_who_and_which_branch() {
        let nowhere = Path::new("/nonexistent");
        for (pairs, actor, established, on) in [
            (
                &[
                    ("GITHUB_ACTIONS", "true"),
                    ("GITHUB_ACTOR", "alice"),
                    ("GITHUB_HEAD_REF", ""),
                    ("GITHUB_REF_NAME", "develop"),
                ][..],
                "alice",
                "ci: github",
                Some("develop"),
            ),
            (
                &[
                    ("GITHUB_ACTIONS", "true"),
                    ("GITHUB_ACTOR", "bob"),
                    ("GITHUB_HEAD_REF", "feature/x"),
                    ("GITHUB_REF_NAME", "7/merge"),
                ],
                "bob",
                "ci: github",
                Some("feature/x"),
            ),
            (
                &[
                    ("GITLAB_CI", "true"),
                    ("GITLAB_USER_LOGIN", "carol"),
                    ("CI_COMMIT_BRANCH", "main"),
                ],
                "carol",
                "ci: gitlab",
                Some("main"),
            ),
            (
                &[
                    ("CIRCLECI", "true"),
                    ("CIRCLE_USERNAME", "dan"),
                    ("CIRCLE_BRANCH", "x"),
                ],
                "dan",
                "ci: circle",
                Some("x"),
            ),
            // Variables of CI without CI are somebody's own.
            (
                &[
                    ("GITHUB_ACTOR", "mallory"),
                    ("GITHUB_REF_NAME", "main"),
                    ("USER", "eve"),
                ],
                "eve",
                "os user",
                None,
            ),
            (
                &[
                    ("GITHUB_ACTIONS", "true"),
                    ("GITHUB_ACTOR", "f"),
                    ("GITHUB_REF_TYPE", "tag"),
                    ("GITHUB_REF_NAME", "v1"),
                ],
                "f",
                "ci: github",
                None,
            ),
        ] {
            let variables = with(pairs);
            let found = identity(nowhere, &variables);
            assert_eq!(
                (found.actor.as_str(), found.established.as_str()),
                (actor, established)
            );
            assert_eq!(branch(&variables).as_deref(), on);
        }
    }

    #[test]
    fn an_actor_cannot_forge_a_line() {
        let variables = with(&[("USER", "eve\nadmin")]);
        assert_eq!(
            identity(Path::new("/nonexistent"), &variables).actor.as_str(),
            "eveadmin"
        );
    }
}
