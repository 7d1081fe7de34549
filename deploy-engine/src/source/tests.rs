//! A tree that is made of the one before is the tree that is made from nothing.

use super::artifacts::{Artifacts, Recipe, StoredTree};
use super::git::Git;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

fn git(folder: &Path, arguments: &[&str]) {
    let output = Command::new("git")
        .args(["-c", "user.name=Alice", "-c", "user.email=alice@shop.example"])
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}

async fn make(project: &Path, store: &Path) -> StoredTree {
    git(project, &["add", "-A"]);
    git(project, &["commit", "-q", "--allow-empty", "-m", "x"]);
    let git = Git::open(project).await.unwrap();
    let commit = git.resolve("HEAD").await.unwrap();
    let recipe = Recipe::Source {
        dir: "web/".to_owned(),
    };
    Artifacts::at(store.to_owned())
        .make(&git, &commit, &recipe, |_| {})
        .await
        .unwrap()
}

fn number(stored: &StoredTree, file: &str) -> u64 {
    fs::symlink_metadata(stored.path.join(file)).unwrap().ino()
}

#[tokio::test]
async fn a_tree_made_of_the_one_before_is_the_one_made_from_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (project, store) = (dir.path().join("project"), dir.path().join("store"));
    let web = project.join("web");
    fs::create_dir_all(web.join("deep/er")).unwrap();
    git(&project, &["init", "-q", "-b", "main"]);
    for file in ["same", "deep/er/same too", "deep/goes", "tool", "other\nname"] {
        fs::write(web.join(file), file).unwrap();
    }
    fs::write(project.join("elsewhere"), "").unwrap();
    symlink("same", web.join("link")).unwrap();
    let first = make(&project, &store).await;

    fs::write(web.join("tool"), "changed").unwrap();
    fs::set_permissions(web.join("tool"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::remove_file(web.join("deep/goes")).unwrap();
    fs::create_dir(web.join("new")).unwrap();
    fs::write(web.join("new/file"), "").unwrap();
    let second = make(&project, &store).await;
    assert_ne!(first.digest, second.digest);
    for (file, shared) in [
        ("same", true),
        ("deep/er/same too", true),
        ("other\nname", true),
        ("tool", false),
    ] {
        assert_eq!(number(&first, file) == number(&second, file), shared, "{file:?}");
    }
    let from_nothing = make(&project, &dir.path().join("another")).await;
    assert_eq!(second.digest, from_nothing.digest);
    assert_eq!(super::tree::list(&second.path).unwrap().digest(), second.digest);

    // What files are checked out as may be another thing now, whatever git calls them.
    fs::write(project.join(".gitattributes"), "* text eol=lf\n").unwrap();
    fs::write(web.join("tool"), "once more").unwrap();
    let third = make(&project, &store).await;
    assert_ne!(number(&second, "same"), number(&third, "same"));

    // Only what is gone is missed: the store's own file, which somebody removed.
    fs::remove_file(third.path.join("same")).unwrap();
    fs::write(web.join("tool"), "the last time").unwrap();
    let fourth = make(&project, &store).await;
    assert_eq!(super::tree::list(&fourth.path).unwrap().digest(), fourth.digest);
    assert_eq!(fs::read_to_string(fourth.path.join("same")).unwrap(), "same");
}
