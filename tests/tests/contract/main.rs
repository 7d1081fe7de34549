//! The contract of targets, over every kind there is: one line for each, and how its place is looked at past the target.

mod host;

use deploy_tests::contract_suite;
use host::HostGround;

contract_suite!(ssh_local, HostGround::local());
contract_suite!(ssh_sshd, HostGround::sshd());
