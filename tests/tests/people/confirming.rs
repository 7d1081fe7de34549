//! Confirming at a terminal: the plan is seen first, and just that plan is done.

use deploy_tests::redact::Redactions;
use deploy_tests::scratch::Scratch;
use deploy_tests::terminal::Terminal;
use deploy_tests::wait::PATIENCE;

use crate::world::{held_up, next, serves, told, up};

const CONFIRM: &str = "[environments.development]\nconfirm = true\n";
const QUESTION: &str = "Type its name to go on: ";

/// The run up to the question.
fn asked(shop: &Scratch, arguments: &[&str]) -> Terminal {
    let mut terminal = Terminal::start(shop, 100, arguments);
    terminal.until_shows(QUESTION);
    terminal
}

fn redacted(shop: &Scratch, shown: &str) -> String {
    let text = Redactions::new().path(shop.root(), "root").apply(shown);
    let plan = regex::Regex::new(r"plan [0-9a-z]+,").expect("a pattern");
    plan.replace_all(&text, "plan [digest],").into_owned()
}

#[test]
fn the_plan_is_seen_before_it_is_confirmed() {
    let shop = up(CONFIRM);
    let mut terminal = asked(&shop, &["up"]);
    insta::assert_snapshot!(redacted(&shop, &terminal.shown()), @r#"
    · environment development: the only one there is
    v2 a6993a2 "v2" (main) → development, now v1
    wave 1
      api  ssh here
    wave 2
      web  ssh here
               after api
    changes
      api  here  + 0 files, ~ 1 file, - 0 files
      api  here  restart: while test -e ../../../../hold-api; do sleep 0.1; done
      api  here  2 B to send
      web  here  + 0 files, ~ 1 file, - 0 files
      web  here  restart: while test -e ../../../../hold-web; do sleep 0.1; done
      web  here  2 B to send
    note
      ! api: interrupted for a moment: its only slice moves
      ! web: interrupted for a moment: its only slice moves
    plan [digest], at most 35m from the start of activation
    way back  back to v1 by its checkpoints
    every other gate holds
    confirmation: will be asked (--confirm development)
    This changes development. Type its name to go on:
    "#);
    assert_eq!(serves(&shop), "v1", "nothing begins before the answer");
    terminal.types("development");
    let output = terminal.end(PATIENCE).expect_code(0);
    assert!(output.stdout.contains("v2 serves everywhere"), "{output:?}");
    assert_eq!(serves(&shop), "v2");
}

#[test]
fn another_answer_begins_nothing() {
    let shop = up(CONFIRM);
    let mut terminal = asked(&shop, &["up"]);
    terminal.types("yes");
    let output = terminal.end(PATIENCE).expect_code(6);
    let said = output.stdout.split_once(QUESTION).map(|(_, said)| said);
    insta::assert_snapshot!(said.unwrap_or_default(), @r#"
    error: development was not confirmed: nothing was begun [DPL0313]
      next     type development when asked, or give --confirm development
    "#);
    assert_eq!(serves(&shop), "v1");
}

#[test]
fn what_was_confirmed_is_done_or_nothing() {
    let shop = up(CONFIRM);
    let mut terminal = asked(&shop, &["up"]);
    // Somebody commits while the plan is being read.
    next(&shop, "v3");
    terminal.types("development");
    let output = terminal.end(PATIENCE).expect_code(1);
    assert!(
        output.stdout.contains("something changed since it was made"),
        "{output:?}"
    );
    assert_eq!(serves(&shop), "v1");
}

/// Only going back asks for it, where the rules say so: by a script, which names the environment, and at a terminal.
#[test]
fn going_back_alone_may_ask_for_it() {
    let shop = up("[environments.development]\nconfirm = [\"rollback\"]\n");
    told(&shop, &["up"], 0);
    assert_eq!(serves(&shop), "v2");
    held_up(&shop, &["rollback"], 6, "confirmation");
    let refused = shop
        .deploy(&["rollback", "--confirm", "production"])
        .expect_code(2);
    assert!(
        refused.stderr.contains("--confirm names production"),
        "{refused:?}"
    );
    assert_eq!(serves(&shop), "v2");
    told(&shop, &["rollback", "--confirm", "development"], 0);
    assert_eq!(serves(&shop), "v1");

    next(&shop, "v3");
    told(&shop, &["up"], 0);
    let mut terminal = asked(&shop, &["rollback"]);
    assert!(terminal.shown().contains("now v3"), "{}", terminal.shown());
    terminal.types("no");
    terminal.end(PATIENCE).expect_code(6);
    assert_eq!(serves(&shop), "v3");
    let mut terminal = asked(&shop, &["rollback"]);
    terminal.types("development");
    terminal.end(PATIENCE).expect_code(0);
    assert_ne!(serves(&shop), "v3");
}

#[test]
fn what_is_removed_is_seen_before_it_is_confirmed() {
    let shop = up("");
    let mut terminal = asked(&shop, &["retire", "web"]);
    insta::assert_snapshot!(redacted(&shop, &terminal.shown()), @r#"
    · environment development: the only one there is
    v1 27d7aac "v1" (main) → development, now v1; removes web
    unchanged
      api  ssh here
    removed at the end
      web  ssh here
    note
      ! web: dropped: removed at the end, without a way back
    plan [digest], at most 35m from the start of activation
    way back  back to v1 by its checkpoints
    every gate holds
    This changes development. Type its name to go on:
    "#);
    terminal.types("development");
    terminal.end(PATIENCE).expect_code(0);
    assert!(!shop.path("live/web/current").exists());
}
