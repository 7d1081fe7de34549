//! `deploy init`: looks at a folder → what it found, and a manifest that passes `deploy check`. Looking is in [`look`], writing in
//! [`mod@write`]; neither changes anything, the command alone writes the file.

pub(crate) mod look;
mod made;
mod unit;
pub(crate) mod write;

/// A manifest to be written, and why it looks so.
#[derive(Debug)]
pub(crate) struct Draft {
    /// The manifest.
    pub(crate) text: String,
    /// What was found, and what follows from it: one sentence each.
    pub(crate) found: Vec<String>,
    /// What only a person knows and has to fill in.
    pub(crate) missing: Vec<String>,
}

/// A name that a manifest may use, from any text.
pub(crate) fn name_of(text: &str) -> Option<String> {
    let last = text
        .rsplit(['/', '@'])
        .next()
        .unwrap_or_default()
        .trim_end_matches(".git");
    let name: String = last
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') {
                c
            } else {
                '-'
            }
        })
        .collect();
    let name = name
        .trim_start_matches(|c: char| !c.is_ascii_alphanumeric())
        .trim_end_matches('-');
    let name: String = name.chars().take(64).collect();
    (!name.is_empty()).then_some(name)
}

/// A TOML string.
pub(crate) fn quoted(text: &str) -> String {
    // What JSON escapes, TOML reads the same.
    serde_json::Value::from(text)
        .to_string()
        .replace('\u{7f}', "\\u007f")
}
