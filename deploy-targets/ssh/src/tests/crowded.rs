//! Servers that take few connections, or few commands over one, at once: they are asked again, and nothing fails.

use super::common::{World, slice};
use super::sshd::Sshd;
use crate::{Address, Connections, together};
use deploy_core::port::target::Target as _;

const AT_ONCE: usize = 6;

#[tokio::test]
async fn a_server_that_takes_few_at_once_is_asked_again() {
    for (limit, shared) in [("MaxSessions 1", true), ("MaxStartups 1", false)] {
        let sshd = Sshd::start(limit);
        let connections = Connections::default();
        let worlds: Vec<_> = (0..AT_ONCE)
            .map(|number| {
                let Address::Ssh(mut address) = sshd.address() else {
                    unreachable!("it is reached over ssh")
                };
                if !shared {
                    // As many hosts behind one server.
                    let config = address.config_file.clone().unwrap();
                    let own = config.with_extension(number.to_string());
                    std::fs::copy(config, &own).unwrap();
                    address.config_file = Some(own);
                }
                let mut world = World::at(Address::Ssh(address));
                world.connections = connections.clone();
                world
            })
            .collect();
        let targets: Vec<_> = worlds.iter().map(World::target).collect();
        let this = [slice()];
        let looks = targets.iter().map(|target| target.observe(&this)).collect();
        for seen in together::all(looks).await {
            let seen = seen.unwrap().remove(0);
            assert!(seen.runs.is_ok(), "{limit}: {:?}", seen.runs);
        }
    }
}
