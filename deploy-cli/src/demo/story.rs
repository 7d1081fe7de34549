//! The story that the demo tells, as data: what each act runs, how it ends, and what serves afterwards. Nothing runs here.

/// The environments, in the order a release goes through them.
pub(super) const ENVIRONMENTS: [&str; 3] = ["development", "staging", "production"];
/// The services, in the order they are switched: the second needs the first.
pub(super) const SERVICES: [&str; 2] = ["api", "web"];

/// A commit of the demo's project that changes both services.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Commit {
    /// What it brings; its git tag too.
    pub(super) version: &'static str,
    /// Its message.
    pub(super) message: &'static str,
    /// What `web` says of its health: JSON.
    pub(super) web_health: &'static str,
}

/// The commits, oldest first. The first one is on `master` too.
pub(super) const COMMITS: [Commit; 3] = [
    Commit {
        version: "1.0.0",
        message: "Open the shop",
        web_health: UP,
    },
    Commit {
        version: "1.1.0",
        message: "Add a basket",
        web_health: r#"{"status":"DOWN","components":{"basket":"no such table"}}"#,
    },
    Commit {
        version: "1.1.1",
        message: "Mend the basket",
        web_health: UP,
    },
];

/// A healthy service's word.
pub(super) const UP: &str = r#"{"status":"UP"}"#;

/// What both services of an environment serve: its name and the version.
pub(super) type Serves = (&'static str, &'static str);

/// One way in which an act may end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Way {
    /// The exit code.
    pub(super) code: i32,
    /// What that means, for the announcement.
    pub(super) meaning: &'static str,
    /// What serves then.
    pub(super) serves: &'static [Serves],
}

/// How an act ends.
#[derive(Debug, Clone, Copy)]
pub(super) enum End {
    /// By itself, in one of these ways.
    Itself(&'static [Way]),
    /// By `kill -9`, at the moment when the environment's first service runs `new` and its second still `old`.
    Killed {
        /// The environment.
        environment: &'static str,
        /// What the second service still serves.
        old: &'static str,
        /// What the first service already serves.
        new: &'static str,
    },
}

/// One act.
#[derive(Debug, Clone, Copy)]
pub(super) struct Act {
    /// What happens, in a line.
    pub(super) title: &'static str,
    /// The commit that is made first, by its place in [`COMMITS`].
    pub(super) commit: Option<usize>,
    /// The words after `deploy`.
    pub(super) command: &'static [&'static str],
    /// How it ends.
    pub(super) end: End,
}

/// The story.
pub(super) const ACTS: [Act; 8] = [
    Act {
        title: "Both services of a release go to development.",
        commit: Some(0),
        command: &["up", "-e", "development"],
        end: End::Itself(&[Way {
            code: 0,
            meaning: "it serves",
            serves: &[("development", "1.0.0")],
        }]),
    },
    Act {
        title: "What was verified there moves on.",
        commit: None,
        command: &["promote", "-e", "staging"],
        end: End::Itself(&[Way {
            code: 0,
            meaning: "it serves",
            serves: &[("staging", "1.0.0")],
        }]),
    },
    Act {
        title: "And on to production, which takes only what is merged to master.",
        commit: None,
        command: &["promote", "-e", "production"],
        end: End::Itself(&[Way {
            code: 0,
            meaning: "it serves",
            serves: &[("production", "1.0.0")],
        }]),
    },
    Act {
        title: "A bad release: its api is fine, its web answers 200 with \"DOWN\".",
        commit: Some(1),
        command: &["up", "-e", "development"],
        end: End::Itself(&[Way {
            code: 3,
            meaning: "caught, and both taken back",
            serves: &[("development", "1.0.0")],
        }]),
    },
    Act {
        title: "The mended release, and kill -9 while api is new and web still old.",
        commit: Some(2),
        command: &["up", "-e", "development"],
        end: End::Killed {
            environment: "development",
            old: "1.0.0",
            new: "1.1.1",
        },
    },
    Act {
        title: "Another process picks it up: all new or all old, never mixed.",
        commit: None,
        command: &["resume"],
        end: End::Itself(&[
            Way {
                code: 0,
                meaning: "it went on",
                serves: &[("development", "1.1.1")],
            },
            Way {
                code: 3,
                meaning: "it went back",
                serves: &[("development", "1.0.0")],
            },
        ]),
    },
    Act {
        title: "Past staging, straight to production? The gates refuse, and say all that is missing.",
        commit: None,
        command: &["promote", "-e", "production", "--release", "1.1.1"],
        end: End::Itself(&[Way {
            code: 6,
            meaning: "refused",
            serves: &[("production", "1.0.0")],
        }]),
    },
    Act {
        title: "What runs where.",
        commit: None,
        command: &["status"],
        end: End::Itself(&[Way {
            code: 0,
            meaning: "said",
            serves: &[("staging", "1.0.0"), ("production", "1.0.0")],
        }]),
    },
];

impl Way {
    /// `exit 3: caught, and both taken back; development serves 1.0.0`.
    pub(super) fn announced(&self) -> String {
        let serves: Vec<_> = self
            .serves
            .iter()
            .map(|(environment, version)| format!("{environment} serves {version}"))
            .collect();
        format!("exit {}: {}; {}", self.code, self.meaning, serves.join(", "))
    }
}

impl End {
    /// What is said before the act.
    pub(super) fn announced(&self) -> String {
        match self {
            Self::Itself(ways) => ways.iter().map(Way::announced).collect::<Vec<_>>().join(" — or "),
            Self::Killed { old, new, .. } => {
                format!(
                    "killed by signal 9 with {} on {new} and {} on {old}",
                    SERVICES[0], SERVICES[1]
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_act_is_about_things_that_are_there() {
        let versions: Vec<_> = COMMITS.iter().map(|commit| commit.version).collect();
        let mut made = 0;
        for act in ACTS {
            if let Some(commit) = act.commit {
                assert_eq!(commit, made, "{}: commits are made in order", act.title);
                made += 1;
            }
            let environments: Vec<_> = match act.end {
                End::Itself(ways) => {
                    assert!(!ways.is_empty(), "{}", act.title);
                    ways.iter().flat_map(|way| way.serves).copied().collect()
                }
                End::Killed {
                    environment,
                    old,
                    new,
                } => {
                    assert_ne!(old, new);
                    vec![(environment, old), (environment, new)]
                }
            };
            for (environment, version) in environments {
                assert!(ENVIRONMENTS.contains(&environment), "{environment}");
                let at = versions
                    .iter()
                    .position(|known| *known == version)
                    .expect("a known version");
                assert!(at < made, "{}: {version} is not made yet", act.title);
            }
        }
        assert_eq!(made, COMMITS.len(), "every commit is used");
    }

    #[test]
    fn the_story_has_all_its_parts() {
        let run = |word: &str| ACTS.iter().filter(|act| act.command[0] == word).count();
        assert!(run("up") >= 1 && run("promote") >= 2 && run("resume") == 1 && run("status") == 1);
        let codes: Vec<_> = ACTS
            .iter()
            .filter_map(|act| match act.end {
                End::Itself([only]) => Some(only.code),
                _ => None,
            })
            .collect();
        assert!(
            codes.contains(&3) && codes.contains(&6),
            "one is taken back, one is refused: {codes:?}"
        );
        let killed = ACTS
            .iter()
            .position(|act| matches!(act.end, End::Killed { .. }))
            .expect("one is killed");
        assert_eq!(ACTS[killed + 1].command, ["resume"]);
    }

    #[test]
    fn announcements_read_well() {
        insta::assert_snapshot!(ACTS[5].end.announced(), @"exit 0: it went on; development serves 1.1.1 — or exit 3: it went back; development serves 1.0.0");
        insta::assert_snapshot!(ACTS[4].end.announced(), @"killed by signal 9 with api on 1.1.1 and web on 1.0.0");
    }
}
