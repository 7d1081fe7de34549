//! How a secret is spelled by those who quote it: in a URL, in JSON, in HTML, in base64. A fixed list of spellings, each of the whole
//! value, so that their number is bounded; what mixes them is not found.

use deploy_core::failure::SHORTEST_SECRET;
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// The value as it is, and each of its lines, as the common writers of URLs, JSON, HTML and base64 spell them.
pub(super) fn spellings(value: &str) -> BTreeSet<String> {
    let mut all = BTreeSet::from([value.to_owned()]);
    let lines = value.lines().map(str::trim);
    let lines = lines.filter(|line| line.len() >= SHORTEST_SECRET && *line != value);
    // What answers may be cut short: of a key of many lines not all are quoted.
    for text in std::iter::once(value).chain(lines) {
        all.extend(in_urls(text));
        all.extend(in_json(text));
        all.extend(in_html(text));
    }
    all.extend([STANDARD, URL_SAFE].map(|alphabet| base64(value, alphabet)));
    all
}

/// What writers of URLs leave as it is, beside letters and digits: RFC 3986, `encodeURIComponent`, forms, user names and passwords,
/// paths, queries, `encodeURI`.
const LEFT: [&str; 7] = [
    "-._~",
    "-._~!'()*",
    "-._*",
    "-._~!$&'()*+,",
    "-._~!$&'()*+,;=:@/%[]|\\^",
    "-._~!$&()*+,;=:@/?%[]|\\^`{}",
    "-._~!$&'()*+,;=:@/?#",
];

fn in_urls(text: &str) -> impl Iterator<Item = String> + '_ {
    let spelled = |left: &'static str, upper: bool, space: &'static str| {
        let mut out = String::new();
        for byte in text.bytes() {
            let known = char::from(byte);
            let _written = match known {
                ' ' => write!(out, "{space}"),
                _ if known.is_ascii_alphanumeric() || (byte.is_ascii() && left.contains(known)) => {
                    write!(out, "{known}")
                }
                _ if upper => write!(out, "%{byte:02X}"),
                _ => write!(out, "%{byte:02x}"),
            };
        }
        out
    };
    LEFT.into_iter().flat_map(move |left| {
        [(true, "%20"), (true, "+"), (false, "%20"), (false, "+")]
            .map(|(upper, space)| spelled(left, upper, space))
    })
}

fn in_json(text: &str) -> impl Iterator<Item = String> + '_ {
    let spelled = |by_number: &'static str, slash: bool, ascii: bool, upper: bool| {
        let mut out = String::new();
        for known in text.chars() {
            let short = match known {
                '"' if !by_number.contains('"') => Some("\\\""),
                '\\' => Some("\\\\"),
                '/' if slash => Some("\\/"),
                '\n' => Some("\\n"),
                '\r' => Some("\\r"),
                '\t' => Some("\\t"),
                '\u{8}' => Some("\\b"),
                '\u{c}' => Some("\\f"),
                _ => None,
            };
            if let Some(short) = short {
                out.push_str(short);
            } else if known.is_control() && known.is_ascii() && known != '\u{7f}'
                || by_number.contains(known)
                || (ascii && !known.is_ascii())
            {
                for unit in known.encode_utf16(&mut [0; 2]) {
                    let _written = if upper {
                        write!(out, "\\u{unit:04X}")
                    } else {
                        write!(out, "\\u{unit:04x}")
                    };
                }
            } else {
                out.push(known);
            }
        }
        out
    };
    // Nothing more than it must; Go; those that quote for a page as well.
    ["", "<>&", "<>&'", "<>&'\"", "<>&'\"+`"]
        .into_iter()
        .flat_map(move |by_number| {
            [false, true].into_iter().flat_map(move |slash| {
                [(false, false), (true, false), (false, true), (true, true)]
                    .map(|(ascii, upper)| spelled(by_number, slash, ascii, upper))
            })
        })
}

fn in_html(text: &str) -> impl Iterator<Item = String> + '_ {
    let base = text
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    ["\"", "&quot;", "&#34;", "&#x22;"]
        .into_iter()
        .flat_map(move |quote| {
            let base = base.replace('"', quote);
            ["'", "&#39;", "&#039;", "&#x27;", "&apos;"].map(|apostrophe| base.replace('\'', apostrophe))
        })
}

const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const URL_SAFE: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Without padding: where there is some it tells nothing.
fn base64(text: &str, alphabet: &[u8; 64]) -> String {
    let mut out = String::new();
    for chunk in text.as_bytes().chunks(3) {
        let bits = chunk
            .iter()
            .chain(&[0, 0])
            .take(3)
            .fold(0_usize, |bits, byte| bits << 8 | usize::from(*byte));
        for at in 0..=chunk.len() {
            out.push(char::from(alphabet[bits >> (18 - 6 * at) & 63]));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use deploy_core::failure::without;

    #[test]
    fn a_value_is_known_however_it_is_quoted() {
        let value = "p&ss \"w<r>d'/ü\\+\u{1f512}\n2";
        for quoted in [
            value,
            // URLs.
            "p%26ss%20%22w%3Cr%3Ed%27%2F%C3%BC%5C%2B%F0%9F%94%92%0A2",
            "p%26ss%20%22w%3cr%3ed%27%2f%c3%bc%5c%2b%f0%9f%94%92%0a2",
            "p%26ss+%22w%3Cr%3Ed%27%2F%C3%BC%5C%2B%F0%9F%94%92%0A2",
            "p%26ss+%22w%3cr%3ed%27%2f%c3%bc%5c%2b%f0%9f%94%92%0a2",
            // `encodeURIComponent`, and a path.
            "p%26ss%20%22w%3Cr%3Ed'%2F%C3%BC%5C%2B%F0%9F%94%92%0A2",
            "p&ss%20%22w%3Cr%3Ed'/%C3%BC\\+%F0%9F%94%92%0A2",
            // JSON: as little as can be, PHP's, Python's, Go's, and for pages.
            "p&ss \\\"w<r>d'/ü\\\\+\u{1f512}\\n2",
            "p&ss \\\"w<r>d'\\/\\u00fc\\\\+\\ud83d\\udd12\\n2",
            "p&ss \\\"w<r>d'/\\u00fc\\\\+\\ud83d\\udd12\\n2",
            "p\\u0026ss \\\"w\\u003cr\\u003ed'/ü\\\\+\u{1f512}\\n2",
            "p\\u0026ss \\\"w\\u003Cr\\u003Ed\\u0027/\\u00FC\\\\+\\uD83D\\uDD12\\n2",
            "p\\u0026ss \\u0022w\\u003Cr\\u003Ed\\u0027/\\u00FC\\\\\\u002B\\uD83D\\uDD12\\n2",
            // HTML.
            "p&amp;ss &quot;w&lt;r&gt;d&#39;/ü\\+\u{1f512}\n2",
            "p&amp;ss &quot;w&lt;r&gt;d&#x27;/ü\\+\u{1f512}\n2",
            "p&amp;ss \"w&lt;r&gt;d'/ü\\+\u{1f512}\n2",
            // base64.
            "cCZzcyAidzxyPmQnL8O8XCvwn5SSCjI=",
        ] {
            let said = without(&format!("it said [{quoted}]"), &spellings(value));
            assert!(
                ["it said [***]", "it said [***=]"].contains(&said.as_str()),
                "{quoted}: {said}"
            );
        }
        assert_eq!(base64("subjects?_d>~~", URL_SAFE), "c3ViamVjdHM_X2Q-fn4");
    }

    #[test]
    fn there_are_few_of_a_plain_value_and_a_bounded_number_of_any() {
        let plain: Vec<_> = spellings("hunter2").into_iter().collect();
        assert_eq!(plain, ["aHVudGVyMg", "hunter2"]);
        let worst = spellings("a\"&<>'/\\+ü `%@");
        assert!(worst.len() <= 100, "{}", worst.len());
    }

    /// What an answer was cut after is no reason to tell the rest.
    #[test]
    fn each_line_of_a_key_is_known() {
        let key = "-----BEGIN KEY-----\nMII/BVgI&BADAN\nBgkqhkiG9w0\n-----END KEY-----\n";
        let said = without(r#"{"key":"MII\/BVgI&BADAN\nBgkq"#, &spellings(key));
        assert_eq!(said, r#"{"key":"***\nBgkq"#);
    }
}
