//! `deploy explain`: a key of the manifest, or the code of an error.

use crate::args::setup::Explain;
use crate::context::Context;
use crate::error::{CliError, Exit};
use deploy_core::failure::Code;
use deploy_core::manifest::{Explanation, explain, keys_called};
use serde::Serialize;
use std::fmt::Write as _;

#[derive(Serialize)]
struct OfCode {
    schema: &'static str,
    code: &'static str,
    title: &'static str,
    page: &'static str,
}

#[derive(Serialize)]
struct OfKey<'a> {
    schema: &'static str,
    key: &'a str,
    description: &'a str,
    kind: &'a str,
    example: Option<&'a str>,
    keys: Vec<&'a str>,
}

#[derive(Serialize)]
struct OfSeveral<'a> {
    key: &'a str,
    description: String,
}

#[derive(Serialize)]
struct Several<'a> {
    schema: &'static str,
    keys: Vec<OfSeveral<'a>>,
}

pub(crate) fn run(context: &mut Context<'_>, args: &Explain) -> Result<Exit, CliError> {
    let upper = args.what.to_uppercase();
    if upper.starts_with("DPL") {
        let Some(code) = Code::ALL.iter().find(|code| code.as_str() == upper) else {
            let (first, last) = (Code::ALL.first(), Code::ALL.last());
            let range = first
                .zip(last)
                .map(|(first, last)| format!("codes are {first} to {last}"))
                .unwrap_or_default();
            return Err(CliError::new(
                Code::UnknownName,
                format!("there is no code {upper}"),
                range,
            ));
        };
        let answer = OfCode {
            schema: "deploy.explain/1",
            code: code.as_str(),
            title: code.title(),
            page: code.page(),
        };
        let paint = context.console.paint();
        context.console.answer(&answer, || {
            format!(
                "{} {}\n\n{}\n",
                paint.bold(answer.code),
                answer.title,
                folded(answer.page, "")
            )
        });
        return Ok(Exit::Done);
    }
    let key = args.what.trim_matches(['[', ']', '.']);
    let called = if key.contains('.') {
        Vec::new()
    } else {
        keys_called(key)
    };
    let whole = explain(key);
    if let (None, [_, _, ..]) = (&whole, called.as_slice()) {
        return Ok(several(context, key, &called));
    }
    let Some(found) = whole.or_else(|| explain(called.first()?)) else {
        let parent = key.rsplit_once('.').map_or("", |(parent, _)| parent);
        let known = explain(parent).map(|parent| parent.keys).unwrap_or_default();
        let known: Vec<&str> = known.iter().map(|(key, _)| key.as_str()).collect();
        let last = key.rsplit('.').next().unwrap_or_default();
        let mut error = CliError::unknown("key", last, &known);
        error.failure.message = format!("the manifest has no key `{key}`");
        return Err(error);
    };
    let answer = OfKey {
        schema: "deploy.explain/1",
        key: &found.key,
        description: &found.description,
        kind: &found.kind,
        example: found.example.as_deref(),
        keys: found.keys.iter().map(|(key, _)| key.as_str()).collect(),
    };
    let paint = context.console.paint();
    context.console.answer(&answer, || text(&found, paint));
    Ok(Exit::Done)
}

/// Keys of several tables that have one name: each with its first line.
fn several(context: &mut Context<'_>, key: &str, called: &[String]) -> Exit {
    let keys: Vec<OfSeveral<'_>> = called
        .iter()
        .map(|key| OfSeveral {
            key,
            description: explain(key).map(|found| found.description).unwrap_or_default(),
        })
        .collect();
    let answer = Several {
        schema: "deploy.explain/1",
        keys,
    };
    let paint = context.console.paint();
    context.console.answer(&answer, || {
        let width = called.iter().map(String::len).max().unwrap_or(0);
        let mut text = format!("{} is a key of {} tables:\n\n", paint.bold(key), called.len());
        for one in &answer.keys {
            let line = one.description.lines().next().unwrap_or_default();
            let _ = writeln!(text, "  {:<width$}  {line}", one.key);
        }
        let _ = writeln!(text, "\ndeploy explain {} says more", called[0]);
        text
    });
    Exit::Done
}

fn text(found: &Explanation, paint: crate::render::Paint) -> String {
    let title = if found.key.is_empty() {
        "deploy.toml"
    } else {
        &found.key
    };
    let mut text = format!(
        "{}  {}\n\n{}\n",
        paint.bold(title),
        found.kind,
        folded(&found.description, "")
    );
    if let Some(example) = &found.example {
        let _ = writeln!(text, "\nExample:  {example}");
    }
    if !found.keys.is_empty() {
        let width = found.keys.iter().map(|(key, _)| key.len()).max().unwrap_or(0);
        text.push_str("\nKeys:\n");
        for (key, description) in &found.keys {
            let line = description.lines().next().unwrap_or_default();
            let _ = writeln!(text, "  {key:<width$}  {line}");
        }
    }
    text
}

/// Paragraphs at 80 columns.
fn folded(text: &str, indent: &str) -> String {
    let mut folded = String::new();
    for paragraph in text.split("\n\n") {
        let mut line = indent.to_owned();
        for word in paragraph.split_whitespace() {
            if line.len() + word.len() + 1 > 80 {
                folded.push_str(line.trim_end());
                folded.push('\n');
                indent.clone_into(&mut line);
            }
            line.push_str(word);
            line.push(' ');
        }
        folded.push_str(line.trim_end());
        folded.push_str("\n\n");
    }
    folded.trim_end().to_owned()
}
