//! Recording what is decided: one transaction under the lease, with what it must have seen; then applied and told.

use super::runner::Runner;
use super::{DriveError, Running, Told};
use deploy_core::event::{Draft, EventKind, Recorded};
use deploy_core::id::{Actor, InboxSeq, Seq};
use deploy_core::machine::{Decision, Guard, Input, Machine, Rejected, consequences};
use deploy_core::port::journal::{Append, Condition, JournalError, Message, Stream};

/// What became of a decision.
pub(super) enum Stored {
    Yes,
    InboxFirst,
    EvidenceMoved,
}

impl Running {
    /// Answers what was asked of a deployment that waits while this one is driven: its holder is whoever holds the lease.
    pub(super) async fn answer_for_another(&mut self, message: &Message) -> Result<(), DriveError> {
        let recorded = self.drive.journal.deployment(&message.deployment).await?;
        let machine = Machine::load(recorded.iter().filter(|recorded| recorded.event().kind.drives()))?;
        let asked = Input::Asked {
            ask: message.ask,
            by: None,
        };
        let events = machine
            .decide(self.drive.clock.now(), &[asked])
            .map(|decision| decision.events)
            .unwrap_or_default();
        let at = self.drive.clock.now();
        let stream = Stream::Environment(self.drive.environment.clone());
        let append = Append {
            expected: self.head,
            stream,
            lease: Some(self.lease.clone()),
            condition: Condition::default(),
            events: events
                .into_iter()
                .map(|kind| Draft {
                    at,
                    deployment: Some(message.deployment.clone()),
                    actor: message.actor.clone(),
                    kind,
                })
                .collect(),
            answers: vec![message.seq],
        };
        match self.drive.journal.append(append).await {
            Ok(recorded) => self.head = recorded.last().map_or(self.head, |last| last.event().seq),
            // Somebody added a fact: it is answered at the next look into the inbox.
            Err(JournalError::Moved { last, .. }) => self.head = last,
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Decides and stores, again where something came in between.
    pub(super) async fn settle(
        &mut self,
        inputs: Vec<Input>,
        read: Vec<(Stream, Seq)>,
    ) -> Result<(), DriveError> {
        loop {
            let decision = match self.machine.decide(self.drive.clock.now(), &inputs) {
                Ok(decision) => decision,
                Err(
                    Rejected::Late
                    | Rejected::NotOutstanding
                    | Rejected::NoChange
                    | Rejected::Over
                    | Rejected::Stale,
                ) => {
                    return Ok(());
                }
                Err(why) => {
                    tracing::warn!(%why, "an input was rejected");
                    return Ok(());
                }
            };
            let actor = self.drive.actor.clone();
            match self.store(decision, &read, Vec::new(), &actor).await {
                Ok(Stored::Yes) => return Ok(()),
                // Evidence moved after it was judged: the effect is still outstanding and is judged again.
                Ok(Stored::EvidenceMoved) => return Ok(()),
                Ok(Stored::InboxFirst) => self.hear().await?,
                Err(error) => return Err(error),
            }
        }
    }

    pub(super) async fn store(
        &mut self,
        decision: Decision,
        read: &[(Stream, Seq)],
        answers: Vec<InboxSeq>,
        actor: &Actor,
    ) -> Result<Stored, DriveError> {
        let stream = Stream::Environment(self.drive.environment.clone());
        let inbox_read = match decision.guard {
            Guard::Nothing => None,
            Guard::Inbox | Guard::Evidence => Some(answers.iter().copied().max().unwrap_or_default()),
        };
        loop {
            let unchanged: Vec<_> = match decision.guard {
                Guard::Evidence => read.iter().filter(|(of, _)| *of != stream).cloned().collect(),
                Guard::Nothing | Guard::Inbox => Vec::new(),
            };
            // The own stream is read like every other: what came in since it was judged may be evidence.
            if decision.guard == Guard::Evidence
                && read.iter().any(|(of, seq)| *of == stream && *seq < self.head)
                && self.evidence_since(read, &stream).await?
            {
                return Ok(Stored::EvidenceMoved);
            }
            let append = Append {
                stream: stream.clone(),
                expected: self.head,
                lease: Some(self.lease.clone()),
                condition: Condition {
                    unchanged,
                    inbox_read,
                },
                events: self.drafts(&decision.events, actor),
                answers: answers.clone(),
            };
            match self.drive.journal.append(append).await {
                Ok(recorded) => {
                    for recorded in recorded {
                        self.take(&recorded).await?;
                    }
                    return Ok(Stored::Yes);
                }
                Err(JournalError::Moved { stream: moved, .. }) if moved == stream => {
                    // Facts of others (approvals, evidence): only a lease holder writes what drives a deployment.
                    for recorded in self.drive.journal.load(&stream, self.head).await? {
                        self.head = recorded.event().seq;
                    }
                    if decision.guard == Guard::Evidence {
                        return Ok(Stored::EvidenceMoved);
                    }
                }
                Err(JournalError::Moved { .. }) => return Ok(Stored::EvidenceMoved),
                Err(JournalError::InboxNotEmpty) => return Ok(Stored::InboxFirst),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Whether facts of others came into the own stream since it was judged.
    async fn evidence_since(&self, read: &[(Stream, Seq)], stream: &Stream) -> Result<bool, DriveError> {
        let Some((_, since)) = read.iter().find(|(of, _)| of == stream) else {
            return Ok(false);
        };
        let later = self.drive.journal.load(stream, *since).await?;
        Ok(later.iter().any(|recorded| !recorded.event().kind.drives()))
    }

    fn drafts(&self, events: &[EventKind], actor: &Actor) -> Vec<Draft> {
        let at = self.drive.clock.now();
        let deployment = Some(self.drive.deployment.clone());
        let mut drafts: Vec<_> = events
            .iter()
            .map(|kind| Draft {
                at,
                deployment: deployment.clone(),
                actor: actor.clone(),
                kind: kind.clone(),
            })
            .collect();
        for consequence in consequences(self.machine.plan(), at, events) {
            drafts.push(Draft {
                at,
                deployment: deployment.clone(),
                actor: actor.clone(),
                kind: consequence,
            });
        }
        drafts
    }

    async fn take(&mut self, recorded: &Recorded) -> Result<(), DriveError> {
        let event = recorded.event();
        self.head = event.seq;
        self.just_planned = false;
        let replanned = matches!(event.kind, EventKind::Planned { .. });
        if event.kind.drives() {
            self.machine.apply(recorded)?;
        }
        self.facts.take(event);
        if replanned {
            self.runner = Runner::new(&self.drive, &self.machine).await?;
        }
        // A frontend that went away does not stop a deployment.
        let _gone = self.drive.tell.send(Told::Event(Box::new(event.clone()))).await;
        Ok(())
    }
}
