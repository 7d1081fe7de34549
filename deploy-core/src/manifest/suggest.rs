//! "Did you mean": the nearest of some words, by edit distance or because one begins the other.

/// The candidate that was most likely meant, if one is near enough to be worth naming.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (word.chars().count() / 3).clamp(1, 3);
    candidates
        .into_iter()
        .filter_map(|candidate| {
            let distance = distance(word, candidate);
            let prefix = word.len() >= 3 && (candidate.starts_with(word) || word.starts_with(candidate));
            (distance <= limit || prefix).then_some((distance, candidate))
        })
        .min()
        .map(|(_, candidate)| candidate)
}

/// Edits between two words; two neighbours swapped are one edit.
fn distance(a: &str, b: &str) -> usize {
    // A name may be as long as its file: far too long is simply far.
    if a.len().abs_diff(b.len()) > 8 || a.len() > 80 {
        return usize::MAX;
    }
    let (a, b): (Vec<char>, Vec<char>) = (
        a.to_lowercase().chars().collect(),
        b.to_lowercase().chars().collect(),
    );
    let mut rows = vec![(0..=b.len()).collect::<Vec<_>>()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = replaced.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_slip_is_recognised_and_a_stranger_is_not() {
        let keys = [
            "health",
            "hooks",
            "strategy",
            "secrets",
            "needs",
            "env_file",
            "healthy_for",
        ];
        for (word, meant) in [
            ("helth", Some("health")),
            ("helath", Some("health")),
            ("Health", Some("health")),
            ("secret", Some("secrets")),
            ("env", Some("env_file")),
            ("need", Some("needs")),
            ("replicas", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, keys), meant, "{word}");
        }
    }
}
