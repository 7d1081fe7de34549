//! Other people's tools doing the same on the same hosts in the same minutes: an update of one file, brought to every host and switched
//! to. Each is given its fastest way: Ansible and pyinfra call rsync with `--link-dest` from here, and ask for nothing else;
//! Capistrano fetches from git, as it does. None of them claims, proves, flushes or looks. Left out where it is not installed.

use super::place::{Place, time};
use deploy_tests::process;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

type Deploy = fn(&Place, &Path, u32) -> Duration;

/// A tool that is here.
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    program: PathBuf,
    deploy: Deploy,
}

/// Those that are on the path, or in `bin` of the folder that `$DEPLOY_BENCH_PEERS` names.
pub(crate) fn installed() -> Vec<Peer> {
    let own = std::env::var_os("DEPLOY_BENCH_PEERS").map(PathBuf::from);
    let find = |program: &str| {
        let own = own.as_ref().map(|folder| folder.join("bin").join(program));
        own.filter(|file| file.is_file())
            .or_else(|| process::find(program))
    };
    let all: [(&'static str, &str, Deploy); 3] = [
        ("ansible-core", "ansible-playbook", ansible),
        ("pyinfra", "pyinfra", pyinfra),
        ("Capistrano", "cap", capistrano),
    ];
    all.into_iter()
        .filter_map(|(name, program, deploy)| {
            let program = find(program)?;
            Some(Peer {
                name,
                program,
                deploy,
            })
        })
        .collect()
}

impl Peer {
    /// Brings the `number`th release to all hosts.
    pub(crate) fn deploy(&self, place: &Place, number: u32) -> Duration {
        (self.deploy)(place, &self.program, number)
    }
}

fn rsync(place: &Place, host: &str, folder: &str, number: u32) -> String {
    format!(
        "rsync -a --mkpath --link-dest={folder}/releases/{} -e 'ssh -F {}' {}/ {host}:{folder}/releases/{number}/",
        number - 1,
        place.fleet.ssh_config().display(),
        place.source().display()
    )
}

fn switch(folder: &str, number: u32) -> String {
    format!("ln -s releases/{number} {folder}/next && mv -T {folder}/next {folder}/current")
}

fn written(place: &Place, name: &str, text: &str) -> PathBuf {
    let file = place.scratch.root().join(name);
    std::fs::write(&file, text).expect("the bench's folder can be written");
    file
}

fn ansible(place: &Place, program: &Path, number: u32) -> Duration {
    let folder = place
        .folder("ansible", "{{ inventory_hostname }}")
        .display()
        .to_string();
    let hosts = place.hosts().join("\n");
    let inventory = written(place, "inventory", &format!("{hosts}\n"));
    let play = written(
        place,
        "play.yml",
        &format!(
            "- hosts: all\n  gather_facts: false\n  strategy: free\n  tasks:\n  - command: \"{}\"\n    delegate_to: localhost\n  \
             - shell: \"{}\"\n",
            rsync(place, "{{ inventory_hostname }}", &folder, number),
            switch(&folder, number)
        ),
    );
    let mut command = place.scratch.command_of(program);
    command
        .env("ANSIBLE_PIPELINING", "1")
        .env(
            "ANSIBLE_SSH_ARGS",
            format!(
                "-F {} -o ControlMaster=auto -o ControlPersist=60",
                place.fleet.ssh_config().display()
            ),
        )
        .env("ANSIBLE_PYTHON_INTERPRETER", "/usr/bin/python3")
        .args(["--forks", "32", "-i"])
        .arg(inventory)
        .arg(play);
    time(&mut command)
}

fn pyinfra(place: &Place, program: &Path, number: u32) -> Duration {
    let hosts: Vec<_> = place.hosts().iter().map(|host| format!("'{host}'")).collect();
    let config = place.fleet.ssh_config();
    let inventory = written(
        place,
        "inventory.py",
        &format!(
            "hosts = ([{}], {{'ssh_config_file': '{}'}})\n",
            hosts.join(", "),
            config.display()
        ),
    );
    let folder = place.folder("pyinfra", "{h}").display().to_string();
    let play = written(
        place,
        "play.py",
        &format!(
            "from pyinfra import host, local\nfrom pyinfra.operations import python, server\nh = host.name\n\
             def bring():\n    local.shell(f\"{}\")\n\
             python.call(name='bring', function=bring)\nserver.shell(name='switch', commands=[f\"{}\"])\n",
            rsync(place, "{h}", &folder, number),
            switch(&folder, number)
        ),
    );
    let mut command = place.scratch.command_of(program);
    command.args(["-y", "--parallel", "32"]).arg(inventory).arg(play);
    time(&mut command)
}

fn capistrano(place: &Place, program: &Path, _: u32) -> Duration {
    let config = place.scratch.root().join("cap");
    std::fs::create_dir_all(config.join("config/deploy")).expect("the bench's folder can be written");
    let write = |name: &str, text: &str| written(place, &format!("cap/{name}"), text);
    write(
        "Capfile",
        "require 'capistrano/setup'\nrequire 'capistrano/deploy'\nrequire 'capistrano/scm/git'\ninstall_plugin Capistrano::SCM::Git\n",
    );
    // Each host has a home of its own, and so a folder of its own on the one file system of all.
    write(
        "config/deploy.rb",
        &format!(
            "set :application, 'bench'\nset :repo_url, '{}'\nset :branch, 'main'\nset :repo_tree, 'web'\nset :deploy_to, '~/cap'\n\
             set :keep_releases, 3\nset :ssh_options, {{ config: ['{}'] }}\nset :format, :dot\n",
            place.scratch.project().display(),
            place.fleet.ssh_config().display()
        ),
    );
    let mut stage = String::new();
    for host in place.hosts() {
        writeln!(stage, "server '{host}', roles: [:app]").expect("text takes text");
    }
    write("config/deploy/production.rb", &stage);
    let mut command = place.scratch.command_of(program);
    command.current_dir(config).args(["production", "deploy"]);
    time(&mut command)
}
