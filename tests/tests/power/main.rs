//! Hosts with systemd that lose their deployer, their link or their power between the switch and the confirmation: for a moment
//! (`rounds`), or for good (`dead`).

mod dead;
mod rounds;
mod world;

use deploy_tests::machines::Account;

use self::rounds::rounds;

#[test]
fn one_host() {
    rounds(1, Account::Root, 40);
}

#[test]
fn three_hosts() {
    rounds(3, Account::Root, 40);
}

/// Without rights on the host, but for a manager of its own.
#[test]
fn a_user_whose_manager_lingers() {
    rounds(1, Account::Lingering, 20);
}
