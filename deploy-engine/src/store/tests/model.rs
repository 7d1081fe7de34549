//! Both stores against a model that is as plain as can be: a list of what was written.

use super::*;
use deploy_core::machine::Ask;
use deploy_core::port::journal::LeaseError;
use proptest::prelude::*;

const ENVIRONMENTS: [&str; 2] = ["staging", "production"];

/// A number to expect: as it is, or off by this.
type Off = i8;

#[derive(Debug, Clone)]
enum Op {
    Append {
        stream: u8,
        off: Off,
        /// Which environment's lease, of how many terms ago.
        lease: Option<(u8, u8)>,
        unchanged: Option<(u8, Off)>,
        /// How many messages were not read.
        unread: Option<u8>,
        events: Vec<Option<u8>>,
        answers: Vec<u8>,
    },
    Take(u8),
    Renew(u8, u8),
    Release(u8, u8),
    Send(u8),
}

fn off() -> impl Strategy<Value = Off> {
    prop_oneof![8 => Just(0), 1 => Just(-1), 1 => Just(1)]
}

fn op() -> impl Strategy<Value = Op> {
    let environment = 0..2_u8;
    let ago = prop_oneof![4 => Just(0_u8), 1 => Just(1)];
    let append = (
        0..3_u8,
        off(),
        prop::option::weighted(0.3, (environment.clone(), ago.clone())),
        prop::option::weighted(0.2, (0..3_u8, off())),
        prop::option::weighted(0.3, prop_oneof![3 => Just(0_u8), 1 => Just(1)]),
        prop::collection::vec(prop::option::of(1..4_u8), 0..4),
        prop::collection::vec(1..8_u8, 0..3),
    );
    prop_oneof![
        6 => append.prop_map(|(stream, off, lease, unchanged, unread, events, answers)| Op::Append {
            stream, off, lease, unchanged, unread, events, answers
        }),
        2 => environment.clone().prop_map(Op::Take),
        1 => (environment.clone(), ago.clone()).prop_map(|(env, ago)| Op::Renew(env, ago)),
        1 => (environment.clone(), ago).prop_map(|(env, ago)| Op::Release(env, ago)),
        2 => environment.prop_map(Op::Send),
    ]
}

fn stream(nth: u8) -> Stream {
    match nth {
        0 => Stream::Project,
        nth => Stream::Environment(env(ENVIRONMENTS[usize::from(nth) - 1])),
    }
}

#[derive(Default)]
struct Model {
    events: Vec<(Stream, Option<u8>)>,
    /// Term and whether it is held.
    leases: [(u64, bool); 2],
    inbox: Vec<(u8, u64)>,
    messages: u64,
}

impl Model {
    fn last(&self, wanted: &Stream) -> u64 {
        self.events.iter().filter(|(stream, _)| stream == wanted).count() as u64
    }

    fn token(&self, environment: u8, ago: u8) -> LeaseToken {
        LeaseToken {
            environment: env(ENVIRONMENTS[usize::from(environment)]),
            term: self.leases[usize::from(environment)]
                .0
                .saturating_sub(u64::from(ago)),
        }
    }

    fn holds(&self, environment: u8, ago: u8) -> bool {
        let (term, held) = self.leases[usize::from(environment)];
        held && term.saturating_sub(u64::from(ago)) == term
    }

    /// What an operation must answer, as text; and the request to make of a store.
    fn append(&mut self, op: &Op) -> (Append, String) {
        let Op::Append {
            stream: to,
            off,
            lease,
            unchanged,
            unread,
            events,
            answers,
        } = op
        else {
            unreachable!("called for appends only")
        };
        let shifted = |last: u64, off: i8| last.saturating_add_signed(i64::from(off));
        let to = stream(*to);
        let others: Vec<_> = unchanged.iter().map(|(nth, off)| (stream(*nth), *off)).collect();
        let newest = self.inbox.iter().map(|(_, seq)| *seq).max().unwrap_or(0);
        let read = unread.map(|unread| newest.saturating_sub(u64::from(unread)));
        let append = Append {
            stream: to.clone(),
            expected: Seq(shifted(self.last(&to), *off)),
            lease: lease.map(|(environment, ago)| self.token(environment, ago)),
            condition: Condition {
                unchanged: others
                    .iter()
                    .map(|(stream, off)| (stream.clone(), Seq(shifted(self.last(stream), *off))))
                    .collect(),
                inbox_read: read.map(InboxSeq),
            },
            events: events
                .iter()
                .map(|of| draft(of.map(deployment), "model"))
                .collect(),
            answers: answers.iter().map(|seq| InboxSeq(u64::from(*seq))).collect(),
        };
        if let Some((environment, ago)) = lease
            && !self.holds(*environment, *ago)
        {
            return (append, "lease lost".to_owned());
        }
        for (stream, seen) in [(to.clone(), append.expected)]
            .iter()
            .chain(&append.condition.unchanged)
        {
            if self.last(stream) != seen.0 {
                let answer = format!("{stream} moved to {}", self.last(stream));
                return (append, answer);
            }
        }
        let watched = match &to {
            Stream::Environment(name) => Some(name.clone()),
            Stream::Project => append.lease.as_ref().map(|token| token.environment.clone()),
        };
        let news = |read: u64| {
            self.inbox.iter().any(|(environment, seq)| {
                *seq > read
                    && watched
                        .as_ref()
                        .is_none_or(|name| name.as_str() == ENVIRONMENTS[usize::from(*environment)])
            })
        };
        if read.is_some_and(news) {
            return (append, "inbox".to_owned());
        }
        self.events.extend(events.iter().map(|of| (to.clone(), *of)));
        self.inbox
            .retain(|(_, seq)| !append.answers.contains(&InboxSeq(*seq)));
        let answer = format!("stored to {}", self.last(&to));
        (append, answer)
    }
}

fn said(error: &JournalError) -> String {
    match error {
        JournalError::Moved { stream, last } => format!("{stream} moved to {last}"),
        JournalError::InboxNotEmpty => "inbox".to_owned(),
        JournalError::LeaseLost(_) => "lease lost".to_owned(),
        other => format!("unexpected: {other:?}"),
    }
}

async fn step(store: &dyn Store, model: &mut Model, op: &Op) -> (String, String) {
    let name = |nth: u8| env(ENVIRONMENTS[usize::from(nth)]);
    match *op {
        Op::Append { stream: to, .. } => {
            let (append, wanted) = model.append(op);
            let got = match store.append(append).await {
                Ok(_) => format!("stored to {}", store.head(&stream(to)).await.unwrap()),
                Err(error) => said(&error),
            };
            (wanted, got)
        }
        Op::Take(nth) => {
            let lease = &mut model.leases[usize::from(nth)];
            let wanted = if lease.1 {
                "held".to_owned()
            } else {
                *lease = (lease.0 + 1, true);
                format!("term {}", lease.0)
            };
            let got = match store.take_lease(&name(nth), &holder("model")).await {
                Ok(token) => format!("term {}", token.term),
                Err(LeaseError::Held { .. }) => "held".to_owned(),
                Err(LeaseError::Journal(error)) => said(&error),
            };
            (wanted, got)
        }
        Op::Renew(nth, ago) => {
            let wanted = if model.holds(nth, ago) {
                "renewed"
            } else {
                "lease lost"
            };
            let got = match store.renew_lease(&model.token(nth, ago), "verifying").await {
                Ok(()) => "renewed".to_owned(),
                Err(LeaseError::Journal(error)) => said(&error),
                Err(error) => format!("unexpected: {error:?}"),
            };
            (wanted.to_owned(), got)
        }
        Op::Release(nth, ago) => {
            let token = model.token(nth, ago);
            if model.holds(nth, ago) {
                model.leases[usize::from(nth)].1 = false;
            }
            let got = store.release_lease(&token).await;
            ("Ok(())".to_owned(), format!("{got:?}"))
        }
        Op::Send(nth) => {
            model.messages += 1;
            model.inbox.push((nth, model.messages));
            let got = store
                .send(&name(nth), &actor(), &deployment(1), Ask::Recheck)
                .await
                .unwrap();
            (format!("message {}", model.messages), format!("message {got}"))
        }
    }
}

async fn agrees(store: &dyn Store, model: &Model) {
    assert_eq!(store.verify_chain().await.unwrap(), model.events.len() as u64);
    for nth in 0..3 {
        let stream = stream(nth);
        let wanted: Vec<_> = model
            .events
            .iter()
            .filter(|(of, _)| *of == stream)
            .map(|(_, of)| of.map(deployment))
            .collect();
        let stored = store.load(&stream, Seq(0)).await.unwrap();
        let got: Vec<_> = stored
            .iter()
            .map(|recorded| recorded.event().deployment.clone())
            .collect();
        assert_eq!(got, wanted, "{stream}");
        let facts: Vec<_> = stored
            .iter()
            .filter(|recorded| recorded.event().deployment.is_none())
            .cloned()
            .collect();
        assert_eq!(store.facts(&stream).await.unwrap(), facts);
        let rows = store.export(&stream, Seq(0), usize::MAX).await.unwrap();
        assert_eq!(rows.len(), stored.len());
    }
    for nth in 1..4 {
        let wanted = model.events.iter().filter(|(_, of)| *of == Some(nth)).count();
        assert_eq!(store.deployment(&deployment(nth)).await.unwrap().len(), wanted);
    }
    for nth in 0..2 {
        let name = env(ENVIRONMENTS[usize::from(nth)]);
        let wanted: Vec<_> = model
            .inbox
            .iter()
            .filter(|(of, _)| *of == nth)
            .map(|(_, seq)| InboxSeq(*seq))
            .collect();
        let got: Vec<_> = store
            .inbox(&name)
            .await
            .unwrap()
            .iter()
            .map(|message| message.seq)
            .collect();
        assert_eq!(got, wanted);
        let held = store.lease_holder(&name).await.unwrap().is_some();
        assert_eq!(held, model.leases[usize::from(nth)].1);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn both_stores_do_as_the_model(ops in prop::collection::vec(op(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let (_folder, stores) = both();
        for store in stores {
            runtime.block_on(async {
                let mut model = Model::default();
                for op in &ops {
                    let (wanted, got) = step(&*store, &mut model, op).await;
                    assert_eq!(wanted, got, "{op:?}");
                }
                agrees(&*store, &model).await;
            });
        }
    }
}
