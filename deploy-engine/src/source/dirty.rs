//! What of a checkout is not as committed.

use super::git::{Git, GitError};

impl Git {
    /// Paths with uncommitted changes below the manifest's folder, at most 20. Files that git ignores do not count, nor what the
    /// glob `but` names, by its path below the manifest's folder.
    pub async fn dirty(&self, but: Option<&str>) -> Result<Vec<String>, GitError> {
        let folder = if self.prefix.is_empty() {
            "."
        } else {
            self.prefix.as_str()
        };
        let but = but.map(|glob| format!(":(exclude,glob){}{glob}", self.prefix));
        let mut command = vec!["status", "--porcelain", "--untracked-files=normal", "--", folder];
        command.extend(but.as_deref());
        let text = self.ask(&command).await?;
        Ok(text
            .lines()
            .take(20)
            .map(|line| line.get(3..).unwrap_or(line).to_owned())
            .collect())
    }

    /// Which of these files, by their paths below the manifest's folder, are not as committed. Also where git was told not to look
    /// (`git update-index --assume-unchanged`, `--skip-worktree`): that hides an edit from its `status`.
    pub async fn dirty_among(&self, files: &[String]) -> Result<Vec<String>, GitError> {
        let paths: Vec<String> = files
            .iter()
            .map(|file| format!("{}{file}", self.prefix))
            .collect();
        let about = |what: &[&'static str]| -> Vec<&str> {
            let all = ["--literal-pathspecs"].iter().chain(what).copied();
            all.chain(["--"])
                .chain(paths.iter().map(String::as_str))
                .collect()
        };
        let (status, listed) = (about(&["status", "--porcelain"]), about(&["ls-files", "-v"]));
        let (status, listed) = tokio::try_join!(self.ask(&status), self.ask(&listed))?;
        let mut dirty: Vec<String> = status
            .lines()
            .map(|line| line.get(3..).unwrap_or(line).to_owned())
            .collect();
        for line in listed.lines() {
            let Some((tag, path)) = line.split_once(' ') else {
                continue;
            };
            let hidden = tag == "S" || tag.starts_with(|tag: char| tag.is_ascii_lowercase());
            if hidden && self.differs(path).await? {
                dirty.push(path.to_owned());
            }
        }
        Ok(dirty)
    }

    /// Whether a file is there with another content than the commit that is checked out has.
    async fn differs(&self, path: &str) -> Result<bool, GitError> {
        if !self.root.join(path).exists() {
            return Ok(false);
        }
        let here = self.ask(&["hash-object", "--", path]).await?;
        let committed = self.ask(&["rev-parse", &format!("HEAD:{path}")]).await;
        Ok(committed.map_or(true, |committed| committed.trim() != here.trim()))
    }
}
