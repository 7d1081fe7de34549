//! A JUnit report → how many tests there were and how many failed. Only tags are read; it needs no more of XML.

use std::fmt;

/// What a report counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Counts {
    /// Test cases.
    pub(crate) tests: usize,
    /// Those with a failure or an error.
    pub(crate) failed: usize,
    /// Those that were left out.
    pub(crate) skipped: usize,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tests, failed, skipped } = self;
        write!(f, "{tests} tests, {failed} failed, {skipped} skipped")
    }
}

/// Counts; `None` where it is no report. A report cut in the middle is none.
pub(crate) fn counts(text: &str) -> Option<Counts> {
    let mut counts = Counts::default();
    let mut depth = 0_usize;
    let mut is_report = false;
    let mut failed_here = false;
    let mut rest = text;
    while let Some(start) = rest.find('<') {
        rest = &rest[start..];
        let end_of = |rest: &str, open: &str, close: &str| {
            rest.starts_with(open).then(|| rest.find(close).map(|at| at + close.len()))
        };
        // Output of tests may look like tags.
        if let Some(end) = end_of(rest, "<![CDATA[", "]]>").or_else(|| end_of(rest, "<!--", "-->")) {
            rest = &rest[end?..];
            continue;
        }
        let end = tag_end(rest)?;
        let tag = &rest[1..end];
        rest = &rest[end + 1..];
        if tag.starts_with(['?', '!']) {
            continue;
        }
        let (closes, empty) = (tag.starts_with('/'), tag.ends_with('/'));
        let name = tag.trim_start_matches('/').split(|c: char| c.is_whitespace() || c == '/').next().unwrap_or_default();
        match (closes, empty) {
            (true, _) => depth = depth.checked_sub(1)?,
            (false, false) => depth += 1,
            (false, true) => {}
        }
        match (name, closes) {
            ("testsuite" | "testsuites", _) => is_report = true,
            ("testcase", false) => {
                counts.tests += 1;
                failed_here = false;
            }
            // Several failures of one test are one failed test.
            ("failure" | "error", false) if !failed_here => {
                counts.failed += 1;
                failed_here = true;
            }
            ("skipped", false) => counts.skipped += 1,
            _ => {}
        }
    }
    (is_report && depth == 0).then_some(counts)
}

/// The `>` that ends a tag; one in quotes does not.
fn tag_end(tag: &str) -> Option<usize> {
    let mut quote = None;
    tag.char_indices().find_map(|(at, c)| {
        match (quote, c) {
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), _) if open == c => quote = None,
            (None, '>') => return Some(at),
            _ => {}
        }
        None
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_are_counted_by_their_test_cases() {
        for (text, wanted) in [
            (r#"<testsuite tests="9"><testcase name="a>b"/></testsuite>"#, Some((1, 0, 0))),
            ("<?xml version=\"1.0\"?><testsuites><testsuite><testcase><failure>x</failure><error/></testcase></testsuite></testsuites>", Some((1, 1, 0))),
            ("<testsuite><testcase><skipped/></testcase><testcase/><!-- <testcase><error/> --></testsuite>", Some((2, 0, 1))),
            ("<testsuite><testcase><system-out><![CDATA[<failure>]]></system-out></testcase></testsuite>", Some((1, 0, 0))),
            ("<testsuite/>", Some((0, 0, 0))),
            ("<testsuite><testcase/>", None),
            ("<testsuite><testcase", None),
            ("<html></html>", None),
            ("", None),
        ] {
            let found = counts(text).map(|counts| (counts.tests, counts.failed, counts.skipped));
            assert_eq!(found, wanted, "{text}");
        }
    }
}
