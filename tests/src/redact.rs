//! Making what differs from run to run stable, for snapshots.
//!
//! Ids, commits and digests get numbers in the order in which they first appear, so that a snapshot still
//! shows which are the same. Paths and texts that a test knows are named first, then the rest by pattern.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::LazyLock;

use regex::{Captures, Regex};

/// What one test wants to see replaced; the rules for ids, times and the like are always there.
#[derive(Clone, Debug, Default)]
pub struct Redactions {
    known: Vec<(String, String)>,
}

/// Patterns whose finds are numbered by their text: the name, and the pattern with the find as group 1.
const NUMBERED: [(&str, &str); 3] = [
    ("digest", r"\b([0-9a-f]{64})\b"),
    ("sha", r"\b([0-9a-f]{40})\b"),
    ("id", r"\b([0-7][0-9A-HJKMNP-TV-Z]{25})\b"),
];

/// Patterns whose finds are all alike.
const ALIKE: [(&str, &str); 8] = [
    (
        r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d| UTC)?",
        "[time]",
    ),
    (r"\b\d\d:\d\d:\d\d(\.\d+)?\b", "[time]"),
    (r"127\.\d+\.\d+\.\d+:\d+", "[address]"),
    (r"\blocalhost:\d+", "localhost:[port]"),
    (r"\b([Pp]ort) \d+", "$1 [port]"),
    (r"\b(pid|PID|process) \d+", "$1 [pid]"),
    // With what pads it to a column. Whole seconds alone are mostly settings, and stay.
    (
        r" *\b(\d+h)?(\d+m)?\d+(\.\d+)s\b| *\b(\d+h)?\d+m\d+s\b| *\b\d+(\.\d+)? ?(ms|µs)\b",
        " [took]",
    ),
    (r"/tmp/\.?(tmp|dp[sl])\w{6}", "[tmp]"),
];

static NUMBERED_RULES: LazyLock<Vec<(&str, Regex)>> = LazyLock::new(|| {
    NUMBERED
        .iter()
        .map(|(name, pattern)| (*name, compile(pattern)))
        .collect()
});
static ALIKE_RULES: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    ALIKE
        .iter()
        .map(|(pattern, name)| (compile(pattern), *name))
        .collect()
});
static SHORT_SHA: LazyLock<Regex> = LazyLock::new(|| compile(r"\b[0-9a-f]{7,12}\b"));

impl Redactions {
    /// The rules for ids, commits, digests, times, durations, ports, processes and temporary folders.
    pub fn new() -> Self {
        Self::default()
    }

    /// Also replaces `text` by `[name]`. Of several that match, the longest wins.
    #[must_use]
    pub fn text(mut self, text: impl Into<String>, name: &str) -> Self {
        self.known.push((text.into(), format!("[{name}]")));
        self.known.sort_by_key(|(text, _)| std::cmp::Reverse(text.len()));
        self
    }

    /// Also replaces a path by `[name]`.
    #[must_use]
    pub fn path(self, path: &Path, name: &str) -> Self {
        self.text(path.display().to_string(), name)
    }

    /// Also replaces a commit by `[name]`, in full and by its first 7 to 12 characters.
    #[must_use]
    pub fn commit(mut self, sha: &str, name: &str) -> Self {
        for length in (7..=12).chain([sha.len()]) {
            self = self.text(sha.get(..length).unwrap_or(sha), name);
        }
        self
    }

    /// The text with everything replaced, and no blanks at the ends of lines.
    pub fn apply(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (known, name) in &self.known {
            text = text.replace(known, name);
        }
        let mut shas = BTreeMap::new();
        for (name, rule) in NUMBERED_RULES.iter() {
            let mut seen: BTreeMap<String, usize> = BTreeMap::new();
            let number = |found: &Captures<'_>| {
                let next = seen.len() + 1;
                let number = *seen.entry(found[1].to_owned()).or_insert(next);
                format!("[{name}-{number}]")
            };
            text = rule.replace_all(&text, number).into_owned();
            if *name == "sha" {
                shas = seen;
            }
        }
        // Abbreviations are replaced only of what stood there in full: any word of a to f might be one.
        let short = |found: &Captures<'_>| {
            let full = shas.iter().find(|(sha, _)| sha.starts_with(&found[0]));
            full.map_or_else(|| found[0].to_owned(), |(_, number)| format!("[sha-{number}]"))
        };
        text = SHORT_SHA.replace_all(&text, short).into_owned();
        for (rule, name) in ALIKE_RULES.iter() {
            text = rule.replace_all(&text, *name).into_owned();
        }
        let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
        lines.join("\n")
    }
}

fn compile(pattern: &str) -> Regex {
    Regex::new(pattern).expect("the patterns of this file are right: a test compiles them all")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_things_get_the_same_number() {
        let sha = "3f9ac1e0".repeat(5);
        let text = format!(
            "01JB9Q00000000000000000000 {sha} 01JB9Q00000000000000000001 {} 01JB9Q00000000000000000000",
            &sha[..8]
        );
        assert_eq!(
            Redactions::new().apply(&text),
            "[id-1] [sha-1] [id-2] [sha-1] [id-1]"
        );
    }

    #[test]
    fn what_changes_goes_and_what_matters_stays() {
        let rules = Redactions::new()
            .path(Path::new("/tmp/dpsAb12Cd/project"), "project")
            .commit("deadbeefdeadbeefdeadbeefdeadbeefdeadbeef", "good");
        for (text, wanted) in [
            ("✓ schema   applied        0.6s", "✓ schema   applied [took]"),
            ("verified · 2m31s · exit 3", "verified · [took] · exit 3"),
            (
                "wanted 30s healthy, 12 of 12 probes",
                "wanted 30s healthy, 12 of 12 probes",
            ),
            ("at 2026-11-21T07:08:27Z on", "at [time] on"),
            ("07:08:27 preparing", "[time] preparing"),
            (
                "ssh 127.0.0.11:40022, http://localhost:4000/health",
                "ssh [address], http://localhost:[port]/health",
            ),
            (
                "127.0.0.11 port 2222, pid 77",
                "127.0.0.11 port [port], pid [pid]",
            ),
            (
                "/tmp/dpsAb12Cd/project/deploy.toml:3:1",
                "[project]/deploy.toml:3:1",
            ),
            ("/tmp/dplXy12Zz/host-1/root", "[tmp]/host-1/root"),
            ("deploy rollback --to deadbee", "deploy rollback --to [good]"),
            ("defaced facade7", "defaced facade7"),
            ("trailing   \nblanks ", "trailing\nblanks"),
        ] {
            assert_eq!(rules.apply(text), wanted);
        }
    }
}
