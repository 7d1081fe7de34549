//! One host as the verbs see it: runs a step by name with its arguments, and turns what comes back into the port's
//! errors. Knows how scripts are put together; nothing about what they are for.

use crate::config::{Failpoint, HostBinding, SshBinding};
use crate::error::{self, Nature};
use crate::seen::Seen;
use crate::sudo;
use crate::transport::{Broken, Call, Input, Reply, Shell, seconds};
use deploy_core::command::Command;
use deploy_core::port::target::{Claim, Op, ProgressSink, TargetError};
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a step waits for another one's lock.
const LOCK: Duration = Duration::from_secs(30);

/// How long what a claim saw does for a look.
const FRESH: Duration = Duration::from_secs(2);

/// A step: its name, its script's parts after the prelude, and the failpoints around it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step {
    pub(crate) name: &'static str,
    pub(crate) nature: Nature,
    before: &'static str,
    after: &'static str,
    parts: &'static [&'static str],
}

macro_rules! steps {
    ($($name:ident $text:literal $nature:ident [$($part:literal)*];)*) => {
        $(pub(crate) const $name: Step = Step {
            name: $text,
            nature: Nature::$nature,
            before: concat!("ssh.", $text, ".before"),
            after: concat!("ssh.", $text, ".after"),
            parts: &[include_str!("script/frame.sh"), $(include_str!(concat!("script/", $part, ".sh"))),*],
        };)*

        /// The names a [`Failpoint`] is called with: before and after every step on a host.
        pub const FAILPOINTS: &[&str] = &[$(concat!("ssh.", $text, ".before"), concat!("ssh.", $text, ".after")),*];
    };
}

steps! {
    LOOK "look" Look ["place" "armed" "sums" "whole" "using" "inside" "look"];
    CLAIM "claim" Write ["place" "armed" "sums" "whole" "using" "inside" "claim" "answer" "look"];
    BRING "bring" Write ["place" "sums" "whole" "encode" "fill" "checkpoint" "bring"];
    UPLOAD "upload" Write ["place" "sums" "whole" "fill" "upload"];
    HOOK "hook" Write ["place" "scrub" "run" "receive" "hook"];
    SEAL "seal" Write ["place" "sums" "whole" "receive" "encode" "checkpoint" "seal"];
    GUARD "guard" Write ["place" "unit" "guard"];
    STAND "stand" Write ["place" "armed" "scrub" "run" "ports" "sums" "whole" "encode" "move" "stand"];
    PASS "pass" Write ["place" "armed" "scrub" "run" "ports" "sums" "whole" "using" "inside" "shared" "move" "pass" "answer" "look"];
    ACTIVATE "activate" Write ["place" "armed" "scrub" "run" "ports" "sums" "whole" "using" "inside" "shared" "move" "activate" "answer" "look"];
    RENEW "renew" Write ["place" "armed" "renew"];
    CONFIRM "confirm" Write ["place" "armed" "confirm"];
    RESTORE "restore" Write ["place" "armed" "scrub" "run" "ports" "sums" "whole" "back" "restore"];
    STOP "stop" Write ["place" "armed" "scrub" "run" "ports" "stop"];
    FINISH "finish" Write ["place" "armed" "unit" "scrub" "run" "ports" "whole" "vouch" "using" "finish"];
    DOCTOR "doctor" Look ["place" "tools" "doctor"];
}

impl Step {
    /// A step that belongs to no deployment: nothing has to survive a kill around it.
    pub(crate) const fn by_hand(name: &'static str, nature: Nature, parts: &'static [&'static str]) -> Self {
        Self {
            name,
            nature,
            before: "",
            after: "",
            parts,
        }
    }
}

/// One host, connected when first needed.
pub(crate) struct Host {
    pub(crate) binding: HostBinding,
    pub(crate) path: String,
    pub(crate) shell: Arc<dyn Shell>,
    failpoint: Option<Failpoint>,
    /// What the last look told, for one step that begins with what is there. A hint: whoever uses it finds out where it is not so.
    told: Mutex<Option<Seen>>,
    /// What the claim saw, under the lock; for the look that follows it at once.
    claimed: Mutex<Option<(Instant, Seen)>>,
    /// The port that serves, where two take turns; 0: none does.
    serves: AtomicU16,
    /// What the manifest has run here, by the name that messages use: `restart`, `stop`, `the hook NAME`.
    pub(crate) commands: Vec<(String, Command)>,
}

/// What a step is run with.
pub(crate) struct Request {
    args: Vec<Vec<u8>>,
    input: Input,
    limit: Duration,
    sink: Option<Arc<dyn ProgressSink>>,
}

impl Request {
    /// For a step without a claim.
    pub(crate) fn new(limit: Duration) -> Self {
        Self {
            args: Vec::new(),
            input: Input::Empty,
            limit,
            sink: None,
        }
    }

    /// For a write: begins with the claim it is done under, and how long to wait for the lock.
    pub(crate) fn write(op: &Op) -> Self {
        let Claim {
            store,
            deployment,
            epoch,
        } = &op.claim;
        let wait = seconds(LOCK.min(op.limit / 2));
        Self::new(op.limit)
            .arg(store.as_str())
            .arg(deployment.as_str())
            .arg(epoch.to_string())
            .arg(wait.to_string())
            .output_to(Arc::clone(&op.progress))
    }

    /// Adds an argument.
    pub(crate) fn arg(mut self, arg: impl AsRef<[u8]>) -> Self {
        self.args.push(arg.as_ref().to_vec());
        self
    }

    /// What the step reads.
    pub(crate) fn input(mut self, input: Input) -> Self {
        self.input = input;
        self
    }

    /// Who takes its output line by line.
    pub(crate) fn output_to(mut self, sink: Arc<dyn ProgressSink>) -> Self {
        self.sink = Some(sink);
        self
    }
}

impl Host {
    pub(crate) fn new(
        binding: HostBinding,
        path: String,
        shell: Arc<dyn Shell>,
        failpoint: Option<Failpoint>,
    ) -> Self {
        Self {
            binding,
            path,
            shell,
            failpoint,
            told: Mutex::new(None),
            claimed: Mutex::new(None),
            serves: AtomicU16::new(0),
            commands: Vec::new(),
        }
    }

    /// With what the manifest has run here.
    pub(crate) fn with_commands(mut self, binding: &SshBinding) -> Self {
        let restart = binding
            .restart
            .iter()
            .map(|script| ("restart".to_owned(), &script.command));
        let stop = binding
            .stop
            .iter()
            .map(|script| ("stop".to_owned(), &script.command));
        let hooks = binding
            .hooks
            .iter()
            .map(|hook| (format!("the hook {}", hook.name), &hook.script.command));
        self.commands = restart
            .chain(stop)
            .chain(hooks)
            .map(|(name, command)| (name, command.clone()))
            .collect();
        self
    }

    /// Keeps what a look told for the next step.
    pub(crate) fn keep(&self, seen: Seen) {
        *self.told.lock().unwrap_or_else(PoisonError::into_inner) = Some(seen);
    }

    /// Keeps what the claim saw.
    pub(crate) fn claimed_with(&self, seen: Seen) {
        *self.claimed.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), seen));
    }

    /// What the claim saw, once, for a moment, and if no step of ours came in between: nobody else may have moved anything since, and
    /// whoever did all the same is found out by the next write.
    pub(crate) fn seen_by_the_claim(&self) -> Option<Seen> {
        let seen = self.claimed.lock().unwrap_or_else(PoisonError::into_inner).take();
        seen.filter(|(at, _)| at.elapsed() < FRESH).map(|(_, seen)| seen)
    }

    /// What the last look told, once.
    pub(crate) fn told(&self) -> Option<Seen> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// The port that serves, where two take turns, as was last told.
    pub(crate) fn serving_port(&self) -> Option<u16> {
        let port = self.serves.load(Ordering::Relaxed);
        (port != 0).then_some(port)
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        self.binding.name.as_str()
    }

    /// The place that its path is.
    pub(crate) fn place(&self) -> String {
        self.binding.address.place(&self.path)
    }

    /// Runs a step. An answer that is a failure is an error.
    pub(crate) async fn run(&self, step: Step, request: Request) -> Result<Reply, TargetError> {
        self.run_as(step, step.name, request).await
    }

    /// The same, under a name of its own in messages.
    pub(crate) async fn run_as(
        &self,
        step: Step,
        what: &str,
        request: Request,
    ) -> Result<Reply, TargetError> {
        // Whatever this step does, the host may be another after it.
        drop(self.seen_by_the_claim());
        self.fail_at(step.before);
        let reply = self.answer(step, request).await;
        self.fail_at(step.after);
        let reply = reply.map_err(|broken| error::broken(self.name(), what, step.nature, broken))?;
        if reply.get("layout").is_some() {
            // It ended with a look.
            let port = reply.word("serves").and_then(|port| port.parse().ok());
            self.serves.store(port.unwrap_or_default(), Ordering::Relaxed);
        }
        if reply.status == 0 {
            return Ok(reply);
        }
        let error = error::failed(self.name(), what, &self.path, &reply);
        Err(sudo::explained(self, what, &reply, error).await)
    }

    /// The answer of a step that only helps to say something, where there is one.
    pub(crate) async fn shell_reply(&self, step: Step, request: Request) -> Option<Reply> {
        let reply = self.answer(step, request).await.ok()?;
        (reply.status == 0).then_some(reply)
    }

    async fn answer(&self, step: Step, request: Request) -> Result<Reply, Broken> {
        let nonce = nonce();
        let mut args = vec![nonce.clone().into_bytes(), self.path.clone().into_bytes()];
        args.extend(request.args);
        let call = Call {
            script: script_of(step),
            args,
            nonce,
            input: request.input,
            limit: request.limit,
            sink: request.sink,
        };
        self.shell.run(call).await
    }

    fn fail_at(&self, name: &'static str) {
        if let Some(Failpoint(call)) = &self.failpoint {
            call(name);
        }
    }
}

/// A step's whole script.
pub(crate) fn script_of(step: Step) -> String {
    step.parts.concat()
}

/// Unlike any other of this or another process; no secret.
pub(crate) fn nonce() -> String {
    use std::hash::{BuildHasher as _, RandomState};
    static CALLS: AtomicU64 = AtomicU64::new(0);
    let call = CALLS.fetch_add(1, Ordering::Relaxed);
    format!(
        "{:016x}{call:x}",
        RandomState::new().hash_one((std::process::id(), call))
    )
}
