//! Waiting for whoever holds the environment: who, since when, at which step, and until when it is waited for. Said at once, when
//! it changes, and again after a while, so that nobody wonders whether anything happens. Time comes in with every call.

use super::pulse::SILENCE;
use deploy_core::time::Timestamp;
use deploy_engine::api::WaitsFor;
use serde::Serialize;

/// Who is waited for, and when that was said last.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    waits: Option<WaitsFor>,
    said: Option<Timestamp>,
}

impl Queue {
    /// It is this one now.
    pub(crate) fn on(&mut self, waits: WaitsFor) {
        self.waits = Some(waits);
        self.said = None;
    }

    /// Nobody is waited for any more.
    pub(crate) fn over(&mut self) {
        *self = Self::default();
    }

    /// Who is waited for, where it has to be said now.
    pub(crate) fn due(&mut self, now: Timestamp) -> Option<&WaitsFor> {
        let waits = self.waits.as_ref()?;
        if self.said.is_some_and(|said| now.since(said) < SILENCE) {
            return None;
        }
        self.said = Some(now);
        Some(waits)
    }
}

/// For people.
pub(crate) fn text(waits: &WaitsFor) -> String {
    let WaitsFor {
        environment,
        holder,
        until,
    } = waits;
    let what = match &holder.deployment {
        Some(id) => format!("{environment} (deployment {})", id.short()),
        None => environment.to_string(),
    };
    let step = match holder.step.as_str() {
        "" => "at work",
        step => step,
    };
    let until = match until {
        Some(until) => format!("for its end, at the latest until {}", until.to_the_second()),
        None => "to see whether it is alive".to_owned(),
    };
    format!(
        "{} has held {what} since {}, now: {step}; waiting {until}",
        holder.who,
        holder.since.to_the_second()
    )
}

/// For programs: a line between events, of a type of its own.
pub(crate) fn object(waits: &WaitsFor, now: Timestamp) -> impl Serialize + '_ {
    #[derive(Serialize)]
    struct Line<'a> {
        r#type: &'static str,
        at: Timestamp,
        #[serde(flatten)]
        waits: &'a WaitsFor,
    }
    Line {
        r#type: "waits_for_holder",
        at: now,
        waits,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use deploy_core::port::journal::LeaseHolder;
    use std::time::Duration;

    fn waits(step: &str) -> WaitsFor {
        WaitsFor {
            environment: "production".parse().expect("a name"),
            holder: LeaseHolder {
                who: "bob@ci (pid 7)".to_owned(),
                since: "2026-11-21T07:00:00Z".parse().expect("a time"),
                deployment: None,
                step: step.to_owned(),
            },
            until: Some("2026-11-21T07:15:00Z".parse().expect("a time")),
        }
    }

    #[test]
    fn it_is_said_at_once_when_it_changes_and_after_a_while() {
        let start = Timestamp(1_000_000);
        let at = |seconds| start.after(Duration::from_secs(seconds));
        let mut queue = Queue::default();
        assert_eq!(queue.due(at(0)), None);
        queue.on(waits("claiming"));
        assert!(queue.due(at(0)).is_some());
        assert_eq!(queue.due(at(9)), None);
        assert!(queue.due(at(10)).is_some());
        queue.on(waits("verifying web"));
        assert!(queue.due(at(11)).is_some());
        assert_eq!(queue.due(at(12)), None);
        queue.over();
        assert_eq!(queue.due(at(100)), None);
    }

    #[test]
    fn it_says_who_since_when_at_which_step_and_until_when() {
        insta::assert_snapshot!(text(&waits("verifying web")), @"bob@ci (pid 7) has held production since 2026-11-21T07:00:00Z, now: verifying web; waiting for its end, at the latest until 2026-11-21T07:15:00Z");
        let unknown = WaitsFor {
            until: None,
            ..waits("")
        };
        insta::assert_snapshot!(text(&unknown), @"bob@ci (pid 7) has held production since 2026-11-21T07:00:00Z, now: at work; waiting to see whether it is alive");
        let line = serde_json::to_string(&object(&waits("verifying web"), Timestamp(0))).expect("JSON");
        insta::assert_snapshot!(line, @r#"{"type":"waits_for_holder","at":"1970-01-01T00:00:00.000Z","environment":"production","holder":{"who":"bob@ci (pid 7)","since":"2026-11-21T07:00:00.000Z","deployment":null,"step":"verifying web"},"until":"2026-11-21T07:15:00.000Z"}"#);
    }
}
