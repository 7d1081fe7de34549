//! One figure: several rounds of one thing, with its goal and what it stands beside.

use serde::Serialize;
use std::fmt;
use std::time::Duration;

/// Least and middle of several rounds. On a busy machine the least says what it costs, the middle what one waits.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Figure {
    pub(crate) name: String,
    pub(crate) unit: &'static str,
    pub(crate) min: f64,
    pub(crate) median: f64,
    pub(crate) max: f64,
    pub(crate) rounds: usize,
    /// As people read it: `< 10 ms`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) goal: Option<&'static str>,
    /// What was measured, in a few words.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) note: String,
}

impl Figure {
    /// Of values in `unit`, one for each round.
    pub(crate) fn of(name: &str, unit: &'static str, mut values: Vec<f64>) -> Self {
        assert!(!values.is_empty(), "{name} was measured");
        values.sort_by(f64::total_cmp);
        Self {
            name: name.to_owned(),
            unit,
            min: values[0],
            median: values[values.len() / 2],
            max: values[values.len() - 1],
            rounds: values.len(),
            goal: None,
            note: String::new(),
        }
    }

    /// Of times, in milliseconds.
    pub(crate) fn of_times(name: &str, times: &[Duration]) -> Self {
        Self::of(
            name,
            "ms",
            times.iter().map(|time| time.as_secs_f64() * 1000.0).collect(),
        )
    }

    pub(crate) fn goal(mut self, goal: &'static str) -> Self {
        self.goal = Some(goal);
        self
    }

    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = if self.max < 1000.0 { 2 } else { 0 };
        let Self {
            name,
            unit,
            min,
            median,
            max,
            rounds,
            ..
        } = self;
        write!(
            f,
            "{name:<44} {median:>12.digits$} {unit:<8} ({min:.digits$} to {max:.digits$}, {rounds} rounds)"
        )?;
        if let Some(goal) = self.goal {
            write!(f, "  goal {goal}")?;
        }
        if !self.note.is_empty() {
            write!(f, "\n    {}", self.note)?;
        }
        Ok(())
    }
}
