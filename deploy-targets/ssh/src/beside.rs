//! Blue-green on one host: two ports that take turns behind a proxy, so that no request is lost while a release takes over.
//!
//! **What is where.** `<path>/ports/<port>` is a symlink to the release that the port was last started with; a unit for a port runs
//! there. `current` goes with what the proxy serves. In the store, `serves` is the port that the proxy was last sent to, with the sum of
//! what was written then, and `turns/<deployment>` what one deployment does: which port it starts, which one it relieves, the proxy's
//! commands, and beside it what the proxy's file was (`.old`) and is to be (`.new`). It is written before anything else, and with it
//! alone a host goes back, by itself too.
//!
//! **Standing up** ([`stand`]) changes nothing that serves. The idle port is chosen: the other one than the proxy's file names, or
//! where it names none, one where nobody listens. What runs before `before` hooks have ended is nothing of the release; then the symlink
//! of the port says the release, the restart command runs with `DEPLOY_PORT` and `DEPLOY_COLOR`, and something must listen there in
//! time. Whether that is well is asked by whoever asked to stand it up, at its own port, before it goes on; no lock is held meanwhile.
//!
//! **Passing** (`activate`) is the switch: the proxy's test on what is there, the revert armed, the file renamed into its place, the test
//! again, the reload, then `current`. A test that fails leaves everything as it was. A reload counts when the command ended well and,
//! for nginx, all workers of one master that may be seen are others than before: its own command ends before anything is reloaded. One
//! that failed is taken back by the old file and another reload; where even that fails without a timeout, nothing was taken up. The
//! old port runs on.
//!
//! **Going back** (`restore`, and the revert) is the proxy's old file and a reload: nothing is started. Only an old port that has
//! died meanwhile is started again first, from its release. **At the end** (`finish`, however it came) the port that does not
//! serve is stopped, when it has had its time to end what it had begun; its release is not pruned while its symlink names it.
//!
//! **Cut short**: each step compares the claim and may be repeated. From before the file is renamed until all is done the place
//! says `moving`, as at any switch; whoever comes next goes on or goes back by the turn. Where that deployment is given up, the next
//! one sees the file differ from what `serves` says, leads the proxy back to `current`, and begins from there. A file that is
//! neither what a turn wrote nor what it found is somebody else's change, and is left alone.
//!
//! A service that moves in place after it took turns (another strategy) is restarted at the port that serves.

use crate::SshTarget;
use crate::activate::{by_a_hook, hooks, limited};
use crate::config::{Beside, HookPoint};
use crate::host::{Host, Request, STAND};
use crate::layout;
use crate::prepare::tree;
use crate::seen;
use crate::transport::seconds;
use deploy_core::failure::{Code, Failure};
use deploy_core::port::target::{Cause, Move, Op, Stood, TargetError};

/// What messages call the step.
const STANDING: &str = "standing up";

/// Starts the release at the idle port, and waits until something listens there.
pub(crate) async fn stand(
    target: &SshTarget,
    beside: &Beside,
    host: &Host,
    op: &Op,
    step: &Move,
) -> Result<Stood, TargetError> {
    let binding = &target.binding;
    let digest = tree(&step.to.entry, &step.slice)?;
    let id = layout::release_id(digest, step.to.config, binding, &host.binding);
    let proxy = &beside.proxy;
    let mut request = Request::write(op).arg(seen::fingerprint(&step.expect)).arg(&id);
    request = limited(request, binding.restart.as_ref(), op)
        .arg(proxy.kind.word())
        .arg(&proxy.file)
        .arg(&proxy.name)
        .arg(beside.ports.0.to_string())
        .arg(beside.ports.1.to_string())
        .arg(seconds(beside.start.min(op.limit)).to_string())
        .arg(seconds(beside.drain).to_string());
    for script in [Some(&proxy.test), Some(&proxy.reload), binding.stop.as_ref()] {
        request = limited(request, script, op);
    }
    request = hooks(request, binding, HookPoint::Before, op);
    let reply = host
        .run_as(STAND, STANDING, request)
        .await
        .map_err(|error| by_a_hook(error, STANDING, binding))?;
    match reply.word("stood").map(str::parse) {
        Some(Ok(port)) => Ok(Stood::Beside { port }),
        Some(Err(_)) => {
            let message = format!("{} named no port that it stands at", host.name());
            let failure = Failure::new(Code::Defect, message, "report this");
            Err(TargetError::not_done(Cause::Final, failure))
        }
        // It is there already.
        None => Ok(Stood::InPlace),
    }
}
