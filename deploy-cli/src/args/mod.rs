//! The command line as clap reads it: types and help texts, nothing else. What a flag leads to is in `commands`; every help fits
//! a small terminal (24 lines of 80 columns) and has an example.

pub(crate) mod deploying;
pub(crate) mod global;
pub(crate) mod people;
pub(crate) mod reading;
pub(crate) mod servers;
pub(crate) mod setup;
#[cfg(test)]
mod tests;

use clap::{CommandFactory as _, Parser, Subcommand};

pub(crate) use global::Global;

/// The first help: what there is, by what one wants to do.
const TOP: &str = "\
{about}
{usage-heading} deploy [OPTIONS] COMMAND

Start:    demo       a guided tour on this machine: real, and gone afterwards
          init       looks at this folder, writes a manifest; import does too
          check      validates the manifest; doctor tries hosts and rights
          config     the merged configuration; explain KEY|CODE, schema
Deliver:  up         makes the release of the commit and deploys it
          promote    brings what the environment before verified
          rollback   back to the previous good release, or --to one
          plan       what would change; apply PLAN does exactly that
Running:  watch      looks on; pause, resume, cancel steer it
Gates:    gates      what holds and what does not; attest brings evidence
          approve    lets a waiting deployment go on; reject ends it
          freeze     stops the line; unfreeze; yank a release; retire a service
Servers:  setup      prepares hosts; trust pins a key; run, logs: on all hosts
Look:     status     what runs where; verify asks for health now
          history    what happened; show [ID], releases, audit
Shell:    completions SHELL, man, help COMMAND (has an example), --version
Options:  -f FILE (deploy.toml, here or above)  --state URL  --json  --events
          --no-input  --yes  --confirm ENV  -q  -v     (deploy man: all of them)
Exit:     0 done, 1 failed, 2 usage, 3 rolled back, 4 needs a human, 5 held,
          6 refused, 7 not allowed, 8 unreachable, 9 open, 10 changes (plan),
          11 waiting, 12 superseded  Example: deploy up -e development";

/// The help of a command: its own flags, and where the others are.
const BELOW: &str = "\
{about}
{usage-heading} {usage}

{all-args}

Also:     -f, --state, --json, --events, --yes, --confirm, -q, -v (deploy -h){after-help}";

/// The command line as it is parsed: flags of everywhere are told once, so that every help fits a small terminal.
pub(crate) fn command() -> clap::Command {
    Cli::command()
        .mut_args(|arg| {
            let everywhere = arg.is_global_set();
            arg.hide(everywhere)
        })
        .mut_subcommands(|below| below.help_template(BELOW))
}

/// Takes one commit through its environments, as one release
#[derive(Debug, Parser)]
#[command(
    name = "deploy",
    version,
    help_template = TOP,
    override_usage = "deploy [OPTIONS] <COMMAND>",
    arg_required_else_help = true,
    subcommand_required = true,
    disable_help_subcommand = false,
    infer_long_args = false,
    max_term_width = 80
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Shows the real thing on this machine, in a folder of its own
    #[command(after_help = "Example:  deploy demo --keep")]
    Demo(setup::Demo),
    /// Looks at this folder, says what it found, and writes a manifest
    #[command(after_help = "Example:  deploy init --template ssh\n\nNever overwrites a manifest.")]
    Init(setup::Init),
    /// Validates the manifest; with --branch says what a deployment would require
    #[command(
        after_help = "Example:  deploy check --branch feature/x -e development -s web\n\n\
        Exit:     0 valid, 2 not valid, 6 a gate does not hold (with --branch)"
    )]
    Check(setup::Check),
    /// Prints the merged configuration of an environment, each value with file and line
    #[command(after_help = "Example:  deploy config -e production services.web")]
    Config(setup::Config),
    /// Documents a key of the manifest or the code of an error
    #[command(after_help = "Example:  deploy explain services.web.bake\n          deploy explain DPL0102")]
    Explain(setup::Explain),
    /// Prints the JSON schema of the manifest, for editors
    #[command(
        after_help = "Example:  deploy schema > deploy.schema.json\n          (in deploy.toml: #:schema ./deploy.schema.json)"
    )]
    Schema,
    /// Tries to reach everything an environment needs; says how to fix what is not well
    #[command(
        after_help = "Example:  deploy doctor -e production\n\nExit:     0 all well, 1 something is not"
    )]
    Doctor(setup::Doctor),
    /// Prepares bare hosts for deployments: folders, their owner, and packages if asked
    #[command(after_help = "Example:  deploy setup -e production --dry-run\n\n\
        What is there is left as it is; a second run has nothing to do.\n\
        sudo is used where nothing else will do, never asked for a password.\n\n\
        Exit:     0 all there, 1 something is left to a person, 8 unreachable")]
    Setup(servers::Setup),
    /// Pins a host's key, once somebody has compared its fingerprint
    #[command(after_help = "Example:  deploy trust web-1\n          \
        deploy trust web-1 --fingerprint SHA256:bH4x…\n\n\
        It is asked for on a terminal, and --yes does not answer it.")]
    Trust(servers::Trust),
    /// Runs a command on every host of an environment, all at once
    #[command(after_help = "Example:  deploy run -e production -- df -h /opt\n          \
        deploy run -e production -s web -- 'grep -c Error log/*.log'\n\n\
        One word is for sh -c, several are a program and its arguments.\n\
        It takes no claim: it runs beside whatever is being deployed.\n\
        It ends on the hosts with this process; its text is in the audit.\n\n\
        Exit:     0 status 0 everywhere, 1 not, 8 a host was not reached")]
    Run(servers::Run),
    /// Shows what a service writes on its hosts, as it comes
    #[command(after_help = "Example:  deploy logs -e production -s web -F --since 10m\n\n\
        The journal of the unit that `restart` names, or what `logs` says.\n\n\
        Exit:     0 shown, 1 not everywhere, 8 a host was not reached")]
    Logs(servers::Logs),
    /// Shows what would change, which gates hold, and whether one can come back
    #[command(
        after_help = "Example:  deploy plan -e staging --out staging.plan && deploy apply staging.plan"
    )]
    Plan(deploying::Plan),
    /// Does exactly what a plan says, or nothing
    #[command(
        after_help = "Example:  deploy plan -e staging --out staging.plan && deploy apply staging.plan"
    )]
    Apply(deploying::Apply),
    /// Makes the release of the commit, or takes the one it made, and deploys it
    #[command(after_help = "Example:  deploy up -e development -s web")]
    Up(deploying::Up),
    /// Brings what the environments before verified into this one
    #[command(after_help = "Example:  deploy promote -e production --confirm production")]
    Promote(deploying::Promote),
    /// Goes back to the previous good release, or to the one named
    #[command(
        after_help = "Example:  deploy rollback -e production\n          deploy rollback -e production --to v41"
    )]
    Rollback(deploying::Rollback),
    /// Shows every gate: met or not, by what evidence, and when it could be
    #[command(
        after_help = "Example:  deploy gates -e production --at 2026-12-24T12:00:00Z\n\nExit:     0 all hold, 6 refused, 11 people or time can open them"
    )]
    Gates(reading::Gates),
    /// Says yes to a deployment that waits; `deploy resume` then goes on
    #[command(after_help = "Example:  deploy approve 01JB9QF3ZK --reason \"looked at staging\"")]
    Approve(people::Decide),
    /// Says no to a deployment that waits
    #[command(after_help = "Example:  deploy reject 01JB9QF3ZK --reason \"not before the fair\"")]
    Reject(people::Decide),
    /// Records evidence: an item of a checklist, or the result of a check
    #[command(
        after_help = "Example:  deploy attest 01JB9QF3ZK rollback-plan\n          deploy attest tests --junit report.xml --commit 3f9ac1e"
    )]
    Attest(people::Attest),
    /// Goes on with a deployment that was paused, interrupted, or waited
    #[command(after_help = "Example:  deploy resume\n          deploy resume 01JB9QF3ZK --lock-wait 5m")]
    Resume(deploying::Resume),
    /// Stops a deployment before its next slice; `deploy resume` goes on
    #[command(after_help = "Example:  deploy pause 01JB9QF3ZK")]
    Pause(deploying::Steer),
    /// Ends a deployment before it changed anything, or takes it back
    #[command(after_help = "Example:  deploy cancel 01JB9QF3ZK\n\n\
        --force gives it up as it stands: use it only when nothing can be reached.\n\n\
        Exit:     0 cancelled or gone back, 4 needs a human, 9 not ended yet")]
    Cancel(deploying::Cancel),
    /// Looks on at a deployment until it ends
    #[command(after_help = "Example:  deploy watch 01JB9QF3ZK")]
    Watch(deploying::Watch),
    /// Stops the line: nothing goes forward in the environment
    #[command(after_help = "Example:  deploy freeze -e production --reason \"fair until Friday\"")]
    Freeze(people::Freeze),
    /// Opens the line again
    #[command(after_help = "Example:  deploy unfreeze -e production")]
    Unfreeze(people::Unfreeze),
    /// Bars a release from every environment; --undo lifts it
    #[command(after_help = "Example:  deploy yank v42 --reason \"loses baskets\"")]
    Yank(people::Yank),
    /// Shows what runs where, from the last look; --refresh looks
    #[command(after_help = "Example:  deploy status --refresh -e production")]
    Status(reading::Status),
    /// Asks for the health of every slice, now
    #[command(after_help = "Example:  deploy verify -e production -s web\n\nExit:     0 all healthy, 1 not")]
    Verify(reading::Verify),
    /// Lists the releases
    #[command(after_help = "Example:  deploy releases --json")]
    Releases(reading::Releases),
    /// Lists what happened, newest first
    #[command(after_help = "Example:  deploy history -e production --limit 5")]
    History(reading::History),
    /// Shows one deployment in full, as it looked live
    #[command(after_help = "Example:  deploy show 01JB9QF3ZK")]
    Show(reading::Show),
    /// Prints the journal, or proves that nobody changed it
    #[command(
        after_help = "Example:  deploy audit verify\n          deploy audit export --events > journal.ndjson"
    )]
    Audit(reading::Audit),
    /// Removes a service from an environment
    #[command(after_help = "Example:  deploy retire search -e staging --confirm staging")]
    Retire(people::Retire),
    /// Writes a manifest from a .deploy.yaml
    #[command(
        after_help = "Example:  DEPLOY_SERVER=10.0.0.1 DEPLOY_USER=deploy deploy import\n\nNever overwrites a manifest."
    )]
    Import(setup::Import),
    /// Prints a completion script for a shell
    #[command(after_help = "Example:  deploy completions bash > /etc/bash_completion.d/deploy")]
    Completions(setup::Completions),
    /// Prints the manual page, or writes all pages into a folder
    #[command(
        after_help = "Example:  deploy man | man -l -\n          deploy man --dir /usr/local/share/man/man1"
    )]
    Man(setup::Man),
}
