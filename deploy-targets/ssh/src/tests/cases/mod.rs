//! What a target of servers must survive, each made to happen on a real host, and the test that shows it. A host here is an sshd on the
//! loopback; where its disks, users or tools matter, in a mount namespace of its own ([`machine`]).
//!
//! | case | shown by |
//! | --- | --- |
//! | 1 the link dies while a release is sent | `cases/links.rs::cut_while_a_release_is_sent`, `cases/links.rs::what_wakes_up_after_another_took_over_changes_nothing` |
//! | 2 … after it was sent, before the switch | `cases/links.rs::cut_between_sending_and_the_switch` |
//! | 3 … after the switch, before the answer | `over_ssh.rs::a_cut_connection_is_made_anew`, `tests/tests/bad_input/servers.rs::the_link_dies_with_the_switch` |
//! | 4 the deployer is killed before it confirms | on hosts with systemd: `tests/tests/power/main.rs::three_hosts`; at every step: `tests/tests/kill/main.rs::on_a_host_with_systemd` |
//! | 5 the host reboots or loses power before it is confirmed | `tests/tests/power/main.rs::one_host`, `tests/tests/power/main.rs::a_user_whose_manager_lingers` |
//! | 6 the host loses power after the switch | `tests/tests/power/main.rs::one_host`, and for good: `tests/tests/power/dead.rs::a_host_that_dies_for_good_is_named_and_the_others_go_back`; that nothing is called whole which the disk did not take: `cases/disks.rs::a_disk_that_does_not_take_what_is_flushed` |
//! | 7 no room, no inodes, in each step | `cases/disks.rs::full_on_the_way_to_the_switch`, `cases/disks.rs::full_at_the_switch`, `cases/disks.rs::full_after_the_switch_there_is_a_way_back`, `cases/disks.rs::an_environment_that_does_not_fit_is_not_cut`, `cases/disks.rs::no_inodes_are_left`; asked before anything is sent: `trouble.rs::no_room_is_said_and_changes_nothing`; a quota: `cases/disks.rs::a_quota_that_is_used_up_on_the_way_to_the_switch`, `cases/disks.rs::a_quota_that_is_used_up_at_the_switch`, `src/error.rs::what_tools_say_has_a_code`; in the state: `tests/tests/bad_input/state.rs::a_disk_that_is_full` |
//! | 8 two deployers; a holder that died; an old one that wakes | `trouble.rs::of_many_claims_at_once_one_wins`, `tests/tests/races/processes.rs::one_stopped_past_its_lease_writes_nothing_more`, `killed.rs::a_host_whose_deployer_goes_away`, `fences.rs::what_was_sent_is_not_put_in_place_once_the_claim_is_lost`, `cases/links.rs::what_wakes_up_after_another_took_over_changes_nothing` |
//! | 9 half the hosts fail to switch; going back fails on one | `tests/tests/bad_input/servers.rs::half_the_hosts_fail`, `tests/tests/bad_input/servers.rs::going_back_fails_on_one_host`; unwell after a switch that worked: `tests/tests/fleet.rs::half_of_the_hosts_may_be_unwell_where_the_budget_says_so` |
//! | 10 a host that cannot be reached, at the start and in the middle | `tests/tests/bad_input/source.rs::hosts_that_cannot_be_trusted_or_reached`; in the middle of a fleet: `tests/tests/power/dead.rs::a_host_that_dies_for_good_is_named_and_the_others_go_back`, one that hangs: `tests/tests/hung.rs::the_others_are_put_back_without_a_host_that_hangs`; the link of one host in the middle: `over_ssh.rs::a_cut_connection_is_made_anew` |
//! | 11 healthy, then not | `tests/tests/health_in_the_loop.rs::a_bake_that_breaks_turns_back` |
//! | 12 a left link; `current` is a folder, dangling, foreign | `cases/places.rs::what_a_dead_attempt_left_is_in_nobodys_way`, `cases/places.rs::a_current_that_is_not_ours_is_taken_for_what_it_is` |
//! | 13 read-only, another owner, sticky; files of root in a release | `cases/disks.rs::a_file_system_that_is_read_only`, `cases/places.rs::a_path_of_somebody_else_is_refused_and_serves_on`, `cases/places.rs::a_release_that_may_not_be_moved_away_is_a_warning`, `cases/places.rs::files_of_root_in_an_old_release_are_a_warning` |
//! | 14 `current` changed by hand before the switch | `trouble.rs::what_somebody_else_changed_is_neither_overwritten_nor_adopted`, `fences.rs::what_changes_while_a_hook_runs_before_the_switch_is_not_overwritten` |
//! | 15 what is gone back to was pruned or edited | `trouble.rs::a_lost_or_damaged_checkpoint_is_said`, `edited.rs::going_back_to_what_lost_a_file_is_refused_by_its_name`, `edited.rs::going_back_puts_back_what_was_edited_since_and_says_so` |
//! | 16 the first deployment has nothing to go back to | `verbs.rs::a_release_comes_serves_and_goes_back_to_nothing`, `tests/tests/going_back.rs::back_to_nothing_says_what_cannot_be_told` |
//! | 17 the activation restarts sshd | `cases/links.rs::the_switch_restarts_sshd_itself` |
//! | 18 a host key that changed or is not known | `over_ssh.rs::a_changed_or_unknown_host_key_is_refused` |
//! | 19 no more sessions, no more connections | `cases/logins.rs::a_server_that_takes_no_more_sessions_is_tried_again`, `cases/logins.rs::a_server_that_takes_no_more_connections_is_tried_again` |
//! | 20 clocks hours apart | `cases/places.rs::clocks_that_are_hours_off_change_nothing` |
//! | 21 a hook hangs, floods, leaves a child | `trouble.rs::a_hook_that_hangs_is_ended_and_one_that_leaves_a_child_holds_nothing_up`, `cases/commands.rs::a_hook_that_hangs_after_the_switch_is_ended`, `cases/commands.rs::a_flood_is_bounded_and_its_end_is_shown`, `cases/commands.rs::a_flood_without_lines_ends_with_its_hook`, `cases/commands.rs::a_restart_that_floods_shows_its_end_and_goes_back`, `cases/commands.rs::what_a_hook_leaves_behind_holds_nothing_up` |
//! | 22 other login shells, noise at login | `cases/logins.rs::every_login_shell_will_do`, `cases/logins.rs::noise_of_every_login_shell_is_passed_over` |
//! | 23 the same content again | `verbs.rs::what_runs_already_is_neither_sent_nor_restarted` |
//! | 24 names of any bytes, symlinks that lead out, setuid | `cases/names.rs::names_of_any_bytes_are_files_as_any_other`, `cases/names.rs::a_symlink_that_leads_out_is_refused_before_anything_is_sent`, `tests/tests/bad_input/servers.rs::a_symlink_that_leads_out`, `trouble.rs::a_tree_with_our_own_folder_is_refused_and_setuid_is_dropped` |
//!
//! | bad input | shown by |
//! | --- | --- |
//! | a wrong user, a password prompt | `cases/logins.rs::a_wrong_user_and_a_password_that_nobody_is_there_to_type` |
//! | a shell that is restricted or missing | `cases/logins.rs::a_shell_that_runs_no_commands_is_named`, `cases/logins.rs::a_forced_command_is_named` |
//! | no tar, no rsync, no `PATH` | `cases/logins.rs::a_host_without_rsync_will_do_and_without_tar_it_says_so`, `cases/logins.rs::a_login_without_a_path_to_the_tools_says_so` |
//! | a file system that is noexec | `cases/disks.rs::a_file_system_that_is_noexec` |
//! | a file of 5 GB | `tests/tests/bad_input/large.rs::a_file_of_gigabytes_takes_no_more_memory_than_a_small_one` |
//! | sudo that asks | `tests/tests/servers/sudo.rs::the_password_comes_from_a_secret`, `tests/tests/servers/sudo.rs::without_it_the_line_that_lets_it_through_is_said_and_does`, `cases/commands.rs::sudo_that_asks_for_a_password_fails_at_once_and_goes_back` |
//! | one folder under two names | `cases/places.rs::one_folder_under_two_names_is_refused` |
//!
//! Not shown: an application that fills the disk again between two steps of going back.

mod commands;
mod disks;
mod links;
mod logins;
mod machine;
mod names;
mod places;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The tables above name tests that are there, and all of the 24 cases.
#[test]
fn every_case_names_tests_that_are_there() {
    let ours = Path::new(env!("CARGO_MANIFEST_DIR"));
    let rows = || {
        include_str!("mod.rs")
            .lines()
            .filter_map(|line| line.strip_prefix("//! | "))
    };
    let numbers: BTreeSet<u32> = rows()
        .filter_map(|row| row.split(' ').next()?.parse().ok())
        .collect();
    assert_eq!(numbers, (1..=24).collect());
    let mut named = 0;
    for row in rows()
        .filter(|row| !row.starts_with("case ") && !row.starts_with("bad input ") && !row.starts_with("---"))
    {
        let tests: Vec<_> = row.split('`').filter(|name| name.contains(".rs::")).collect();
        assert!(!tests.is_empty(), "no test: {row}");
        assert!(
            !row.contains("not yet"),
            "what is not shown stands below the tables: {row}"
        );
        for (file, test) in tests.iter().filter_map(|name| name.split_once("::")) {
            let path = match file {
                file if file.starts_with("tests/") => ours.join("../..").join(file),
                file if file.starts_with("src/") => ours.join(file),
                file => ours.join("src/tests").join(file),
            };
            let source = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{file}: {error}"));
            assert!(source.contains(&format!("fn {test}(")), "{file} has no {test}");
            named += 1;
        }
    }
    assert!(named > 50, "{named} tests are named");
}
