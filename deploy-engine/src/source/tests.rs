//! A tree that is made of the one before is the tree that is made from nothing.

use super::artifacts::{Artifacts, Recipe, StoredTree};
use super::git::Git;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
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
    let recipe = Recipe::Source {
        dir: "web/".to_owned(),
    };
    make_by(&recipe, project, store).await
}

async fn make_by(recipe: &Recipe, project: &Path, store: &Path) -> StoredTree {
    git(project, &["add", "-A"]);
    git(project, &["commit", "-q", "--allow-empty", "-m", "x"]);
    let git = Git::open(project).await.unwrap();
    let commit = git.resolve("HEAD").await.unwrap();
    Artifacts::at(store.to_owned())
        .make(&git, &commit, recipe, |_| {})
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

/// The files and folders of a tree.
fn names(stored: &StoredTree) -> Vec<String> {
    let listing = super::tree::list(&stored.path).unwrap();
    assert_eq!(listing.digest(), stored.digest, "what is there is what is listed");
    listing.nodes.keys().map(ToString::to_string).collect()
}

/// A project with something to leave out, and a symlink that no release may have.
fn with_much() -> (tempfile::TempDir, PathBuf, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let (project, store) = (dir.path().join("project"), dir.path().join("store"));
    let web = project.join("web");
    fs::create_dir_all(web.join("docs/deep")).unwrap();
    git(&project, &["init", "-q", "-b", "main"]);
    for file in [
        "index",
        "a.log",
        "keep.log",
        "docs/deep/draft-1",
        "docs/deep/final",
        "docs/a.log",
    ] {
        fs::write(web.join(file), file).unwrap();
    }
    fs::create_dir(web.join("only")).unwrap();
    fs::write(web.join("only/b.log"), "b").unwrap();
    symlink("/etc/passwd", web.join("leads-out.log")).unwrap();
    fs::write(web.join(".deployignore"), "*.log\n!keep.log\ndocs/**/draft-*\n").unwrap();
    (dir, project, store)
}

const LEFT: [&str; 5] = ["docs", "docs/deep", "docs/deep/final", "index", "keep.log"];

#[tokio::test]
async fn what_a_folder_says_is_left_out_of_its_release() {
    let (dir, project, store) = with_much();
    let web = project.join("web");
    let first = make(&project, &store).await;
    assert_eq!(names(&first), LEFT);

    // Beside the one before.
    fs::write(web.join("a.log"), "another").unwrap();
    fs::write(web.join("new.log"), "another").unwrap();
    let same = make(&project, &store).await;
    assert_eq!(same.digest, first.digest);
    fs::write(web.join("index"), "another").unwrap();
    let second = make(&project, &store).await;
    assert_eq!(names(&second), LEFT);
    assert_eq!(number(&first, "keep.log"), number(&second, "keep.log"));
    let from_nothing = make(&project, &dir.path().join("another")).await;
    assert_eq!(second.digest, from_nothing.digest);

    // Another word, another release: in both directions, and of the same files.
    fs::write(web.join(".deployignore"), "*.log\ndocs/\n").unwrap();
    let third = make(&project, &store).await;
    assert_eq!(names(&third), ["index"]);
    let from_nothing = make(&project, &dir.path().join("one more")).await;
    assert_eq!(third.digest, from_nothing.digest);
    fs::write(web.join(".deployignore"), "*.log\n!keep.log\ndocs/**/draft-*\n").unwrap();
    assert_eq!(make(&project, &store).await.digest, second.digest);
}

#[tokio::test]
async fn what_a_build_leaves_out_is_in_no_release() {
    let (_dir, project, store) = with_much();
    let build = Recipe::Build {
        name: "app".to_owned(),
        argv: ["cp", "-R", "web", "out"].map(str::to_owned).to_vec(),
        dir: String::new(),
        inputs: Vec::new(),
        output: "out".to_owned(),
    };
    let made = make_by(&build, &project, &store).await;
    assert!(made.made);
    let mut left: Vec<_> = LEFT.map(str::to_owned).to_vec();
    // A folder that a build makes is there, also empty.
    left.push("only".to_owned());
    assert_eq!(names(&made), left);
    let again = make_by(&build, &project, &store).await;
    assert!(!again.made);
    assert_eq!(again.digest, made.digest);

    // Of a program that left nothing out: it is made anew.
    fs::write(made.path.join(".deployignore"), "").unwrap();
    let anew = make_by(&build, &project, &store).await;
    assert!(anew.made);
    assert_eq!(anew.digest, made.digest);
}
