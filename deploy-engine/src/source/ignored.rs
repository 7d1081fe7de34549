//! What the `.deployignore` of a folder leaves out of the release that is made of it: in the words of `.gitignore`, for paths below the
//! folder. What is left out is as if it were not there, and so is the file itself.

use super::tree::TreeError;
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use std::fs;
use std::path::{Path, PathBuf};

/// The file that says it.
pub(super) const NAME: &str = ".deployignore";

/// What a path is the name of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Names {
    /// A folder.
    Folder,
    /// A file or a symlink.
    File,
}

/// What is left out of a folder.
#[derive(Debug, Clone)]
pub(super) struct Ignored(Gitignore);

impl Default for Ignored {
    fn default() -> Self {
        Self(Gitignore::empty())
    }
}

impl Ignored {
    /// As the file in this folder says, if there is one. Blocking.
    ///
    /// # Errors
    /// It cannot be read, or a line of it is no pattern.
    pub(super) fn of(root: &Path) -> Result<Self, TreeError> {
        let path = root.join(NAME);
        if !path.symlink_metadata().is_ok_and(|meta| meta.is_file()) {
            return Ok(Self::default());
        }
        let text = fs::read(&path).map_err(|source| TreeError::Io { path, source })?;
        Self::parse(&text)
    }

    /// As the text of such a file says.
    ///
    /// # Errors
    /// A line of it is no pattern.
    pub(super) fn parse(text: &[u8]) -> Result<Self, TreeError> {
        let mut builder = GitignoreBuilder::new("");
        let not_a_pattern = |line: usize, error: &ignore::Error| TreeError::Pattern {
            line,
            why: error.to_string(),
        };
        let text = String::from_utf8_lossy(text);
        let text = text.trim_start_matches('\u{feff}');
        for (at, line) in text.lines().enumerate() {
            builder
                .add_line(Some(PathBuf::from(NAME)), line)
                .map_err(|error| not_a_pattern(at + 1, &error))?;
        }
        let built = builder.build().map_err(|error| not_a_pattern(0, &error))?;
        Ok(Self(built))
    }

    /// Whether a path below the folder is left out. What is below a folder that is left out is, whatever else is said of it.
    pub(super) fn leaves_out(&self, path: &Path, names: Names) -> bool {
        let mut folders = path.ancestors().skip(1).filter(|path| *path != Path::new(""));
        path == Path::new(NAME)
            || folders.any(|path| self.0.matched(path, true).is_ignore())
            || self.0.matched(path, names == Names::Folder).is_ignore()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_as_gitignore_is() {
        let text = "# notes\n*.log\n!keep.log\n/top\nbuild/\n!build/kept\ndocs/**/draft-*\r\n\\#odd\n";
        let ignored = Ignored::parse(text.as_bytes()).unwrap();
        for (path, out) in [
            (".deployignore", true),
            ("deep/.deployignore", false),
            ("a.log", true),
            ("deep/er/a.log", true),
            ("keep.log", false),
            ("deep/keep.log", false),
            ("top", true),
            ("deep/top", false),
            ("build/kept", true),
            ("deep/build/x", true),
            ("docs/a/b/draft-1", true),
            ("docs/a/b/final", false),
            ("#odd", true),
            ("index.html", false),
        ] {
            assert_eq!(ignored.leaves_out(Path::new(path), Names::File), out, "{path}");
        }
        assert!(!ignored.leaves_out(Path::new("build"), Names::File));
        assert!(ignored.leaves_out(Path::new("build"), Names::Folder));
    }

    #[test]
    fn a_line_that_is_no_pattern_is_named() {
        let error = Ignored::parse(b"fine\nno{t\n").unwrap_err();
        assert!(error.to_string().contains("line 2"), "{error}");
    }
}
