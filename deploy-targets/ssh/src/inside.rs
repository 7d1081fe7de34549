//! What steps tell of a release's inside, as people read it: which files are not as they were put there, what is there besides,
//! what still runs from elsewhere.

use crate::transport::Reply;
use crate::words;
use deploy_core::failure::printable;

/// A file's name as people know it.
fn name(text: &str) -> String {
    let odd = words::unword(text).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let text = odd.as_deref().unwrap_or(text);
    printable(text.strip_prefix("./").unwrap_or(text), 200)
}

/// What is not as it was put there: `app.py: other content`. In the order of their names.
pub(crate) fn edited(reply: &Reply) -> Vec<String> {
    let mut found: Vec<_> = reply.all("edited").filter_map(line).collect();
    found.sort();
    found.dedup();
    found
}

/// One line of a step's comparison.
pub(crate) fn line(words: &[String]) -> Option<String> {
    let (kind, rest) = words.split_first()?;
    Some(match (kind.as_str(), rest) {
        ("gone", rest) => format!("{}: gone", name(&rest.join(" "))),
        ("kind", rest) => format!("{}: no longer the same kind of file", name(&rest.join(" "))),
        ("content", rest) => format!("{}: other content", name(&rest.join(" "))),
        ("mode", [was, is, rest @ ..]) => format!("{}: mode {is}, was {was}", name(&rest.join(" "))),
        // As `stat` quotes it: 'NAME' -> 'TARGET'.
        ("target", rest) => {
            let told = rest.join(" ");
            let (link, to) = told.split_once(" -> ").unwrap_or((&told, "elsewhere"));
            format!(
                "{}: leads to {}",
                name(link.trim_matches('\'')),
                printable(to, 200)
            )
        }
        _ => return None,
    })
}

/// Files that were not sent: `12 files that were not sent, as log/app.log`.
pub(crate) fn besides(reply: &Reply) -> Vec<String> {
    let one = |words: &[String]| {
        let (count, first) = words.split_first()?;
        let first = name(&first.join(" "));
        Some(if count == "1" {
            format!("1 file that was not sent: {first}")
        } else {
            format!("{count} files that were not sent, as {first}")
        })
    };
    reply.all("besides").filter_map(one).collect()
}

/// Processes of another release.
pub(crate) fn left(reply: &Reply) -> Vec<String> {
    let one = |words: &[String]| {
        let [pid, release, command @ ..] = words else {
            return None;
        };
        let command = printable(&command.join(" "), 40);
        Some(format!(
            "pid {pid} ({command}) still runs from releases/{}",
            printable(release, 80)
        ))
    };
    reply.all("left").filter_map(one).collect()
}

/// The port that serves, where two take turns.
pub(crate) fn at(reply: &Reply) -> Option<String> {
    match reply.get("serves")? {
        [port, color] if color != "-" => Some(format!("port {port} ({color})")),
        [port, ..] => Some(format!("port {port}")),
        [] => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use deploy_core::port::target::Inside;

    #[test]
    fn what_differs_is_told_in_words() {
        for (told, said) in [
            ("content ./a b", "a b: other content"),
            ("content =-x\\0012y", "-xy: other content"),
            ("mode 644 755 ./bin/run", "bin/run: mode 755, was 644"),
            ("target './l' -> '/etc/passwd'", "l: leads to '/etc/passwd'"),
            ("gone ./a", "a: gone"),
        ] {
            let words: Vec<_> = told.split(' ').map(str::to_owned).collect();
            assert_eq!(line(&words).as_deref(), Some(said), "{told}");
        }
        assert_eq!(
            Inside::few(&["a", "b", "c", "d"].map(str::to_owned)),
            "a, b, c and 1 more"
        );
    }
}
