//! What files are called and where symlinks lead.

use super::super::common::{World, bring, claim, end, seen, slice, step};
use super::super::sshd::Sshd;
use deploy_core::failure::Code;
use deploy_core::port::target::{Certainty, Inside, Runs, Target as _};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;

const ODD: [&[u8]; 16] = [
    b"a b",
    b" before",
    b"after ",
    b"new\nline",
    b"-rf",
    b"--help",
    b"inv\xff\xfe",
    b"return\r",
    b"tab\t",
    b"back\\slash",
    b"*",
    b"a: OK",
    b"x .",
    b"'q\"`$(id)",
    b"#",
    b"~",
];

fn name(bytes: &[u8]) -> &OsStr {
    OsStr::from_bytes(bytes)
}

/// Sent, copied from release to release, compared, told and gone back to.
#[tokio::test]
async fn names_of_any_bytes_are_files_as_any_other() {
    let sshd = Sshd::start("");
    let world = World::at(sshd.address());
    let target = world.target();
    for round in 1..=3_u32 {
        let folder = world.dir.path().join(format!("artifact-{round}"));
        for odd in ODD {
            let inside = folder.join(name(odd));
            fs::create_dir_all(&inside).unwrap();
            let text = if odd == b"-rf" {
                round.to_string()
            } else {
                "same".to_owned()
            };
            fs::write(inside.join(name(odd)), text).unwrap();
            symlink(name(odd), inside.join("link")).unwrap();
            symlink("link", inside.join(name(&[odd, b".link"].concat()))).unwrap();
        }
        let to = World::release_of(round, &folder);
        let (op, ..) = bring(&world, &target, round, &to).await;
        let seen = target.verify(&op, &slice(), &seen(&target).await).await.unwrap();
        assert_eq!(seen.inside, Inside::default(), "round {round}");
        end(&target, &op).await;
        for odd in ODD {
            let there = world
                .path()
                .join("current")
                .join(name(odd))
                .join(name(&[odd, b".link"].concat()));
            let wanted = if odd == b"-rf" {
                round.to_string()
            } else {
                "same".to_owned()
            };
            assert_eq!(
                fs::read_to_string(there).unwrap(),
                wanted,
                "{}",
                odd.escape_ascii()
            );
        }
        assert!(target.plan(&slice(), &to).await.unwrap().lines.is_empty());
    }
    assert!(!world.told("sent again"), "{:?}", world.lines);
}

/// By the listing of the tree itself, through other links too: it is refused by name, before anything is sent.
#[tokio::test]
async fn a_symlink_that_leads_out_is_refused_before_anything_is_sent() {
    for (links, named) in [
        (&[("out", "/etc/passwd")][..], "out"),
        (&[("d/out", "../../../shared")], "d/out"),
        (&[("d/up", ".."), ("by-way", "d/up/..")], "by-way"),
    ] {
        let sshd = Sshd::start("");
        let world = World::at(sshd.address());
        let target = world.target();
        let op = world.op(&claim(&target, 1).await.unwrap());
        let step = step(&target, &world.release(1, &[("d/a", "1")])).await;
        for (link, to) in links {
            symlink(to, world.dir.path().join("artifact-1").join(link)).unwrap();
        }
        let error = target.prepare(&op, &step).await.unwrap_err();
        assert_eq!(
            (error.failure.code, error.certainty),
            (Code::ArtifactMissing, Certainty::NotDone)
        );
        let causes = error.failure.causes.join("\n");
        assert!(causes.contains(&format!("symlink {named} leads out")), "{causes}");
        assert!(!world.path().join("releases").exists());
        assert_eq!(seen(&target).await, Runs::Nothing);
    }
}
