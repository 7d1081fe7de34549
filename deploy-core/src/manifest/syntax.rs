//! A text that is not TOML: the first place where it stops being it, in plain words. A parser that goes on after a slip
//! takes the rest for something else, so what it finds further down follows from the first.

use super::read::Cx;

/// What parsers say of a slip, and what was most likely meant. The first that the message contains is taken.
const MEANT: &[(&str, &str)] = &[
    (
        BARE,
        "put a text in quotes: `name = \"shop\"`; only numbers, `true` and `false` stand bare",
    ),
    (
        "invalid boolean",
        "write `true` or `false`, or put a text in quotes",
    ),
    (
        "invalid basic string",
        "close the text with `\"` on the same line",
    ),
    (
        "invalid literal string",
        "close the text with `'` on the same line",
    ),
    (
        "multi-line",
        "close the text with the three quotes that it began with",
    ),
    (
        "missing opening quote",
        "a text has the same quote before and after it",
    ),
    (
        "missing escaped value",
        "write `\\\\` for a backslash, or use single quotes",
    ),
    ("duplicate key", "it stands further up already: keep one of them"),
    (
        "comma between array",
        "write a comma between two values, and `]` at the end",
    ),
    ("unclosed array", "write `]` after its last value"),
    (
        "comma between key-value",
        "write a comma between two keys, and `}` at the end",
    ),
    (
        "inline table element",
        "write `key = value` pairs with commas between them, and `}` at the end",
    ),
    ("unclosed inline table", "write `}` after its last value"),
    ("extra assignment", "write a comma between two keys"),
    (
        "unclosed table",
        "write `]` right after the table's name; its parts are joined by dots",
    ),
    ("unclosed array table", "write `]]` after its name"),
    (
        "key with no value",
        "write `key = value`, or `[name]` for a table",
    ),
    ("missing value", "write a value after the `=`"),
    (
        "invalid unquoted key",
        "write `key = value`; a key with other signs than letters, digits, `-`, `_` is quoted",
    ),
    (
        "leading zero",
        "write the number without the zero before it, or as a text in quotes",
    ),
    ("number", "write a number such as `5`, or put a text in quotes"),
    ("float", "write a number such as `0.5`, or put a text in quotes"),
    ("date", "write a date as a text in quotes"),
    ("extra comma", "remove the comma"),
    ("extra `=`", "remove one `=`"),
    ("unexpected key or value", "begin a new line here, or remove it"),
    ("comment", "a comment goes from `#` to the end of the line"),
];

/// For what no line above knows.
const OTHERWISE: &str = "write `key = value` lines below `[table]` lines; texts are in quotes";

/// What is said of anything bare.
const BARE: &str = "string values must be quoted";

/// Reports the first of a parser's complaints about a text.
pub(super) fn report(text: &str, errors: &[toml::de::Error], cx: &mut Cx<'_>) {
    let place = |error: &&toml::de::Error| error.span().map_or(0, |span| span.start);
    let Some(first) = errors.iter().min_by_key(place) else {
        return;
    };
    // What a parser expected is about its own inner words.
    let said = first.message().trim();
    let said = said.split(", expected").next().unwrap_or(said);
    let span = first.span().unwrap_or(0..0);
    let (said, help) = match text.get(span.clone()).map(str::trim) {
        Some("") if said == BARE => ("a key without a value", "write a value after the `=`"),
        Some(bare) if said == BARE && bare.contains(char::is_whitespace) => {
            (said, "write a comma between two keys, or put a text in quotes")
        }
        _ => {
            let meant = MEANT.iter().find(|(part, _)| said.contains(part));
            (said, meant.map_or(OTHERWISE, |(_, help)| help))
        }
    };
    cx.problem(span.into(), format!("not TOML: {said}"), help);
}
