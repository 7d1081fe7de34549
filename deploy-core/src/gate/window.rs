//! Times in which nothing moves forward: weekly in an IANA time zone, or once. Intervals are half-open. Where a local time does
//! not exist or exists twice, a window begins as early and ends as late as it can.

use crate::time::Timestamp;
use jiff::civil;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// A time in which nothing moves forward.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "window")]
pub enum Window {
    /// Every week.
    Weekly {
        /// First minute in it.
        from: WeekTime,
        /// First minute after it. The same as `from`: always.
        to: WeekTime,
        /// Whose clock.
        tz: Zone,
    },
    /// Once.
    Once {
        /// First instant in it.
        from: Timestamp,
        /// First instant after it.
        to: Timestamp,
    },
}

/// A stretch of time: from the first instant in it to the first after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interval {
    /// First instant in it.
    pub from: Timestamp,
    /// First instant after it.
    pub to: Timestamp,
}

/// A minute of the week: `Fri 16:00`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WeekTime {
    /// From Monday, 0.
    day: u8,
    minute: u16,
}

/// Why a text is not part of a window.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotATime {
    /// Not a minute of the week.
    #[error("`{}` is not a time of the week: write a day and a time, as in `Fri 16:00`", .0.escape_debug())]
    Week(String),
    /// Not a time zone.
    #[error("`{}` is not a time zone: write an IANA name, as in `Europe/Berlin`", .0.escape_debug())]
    Zone(String),
}

const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const LONG_DAYS: [&str; 7] = [
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
];

impl std::str::FromStr for WeekTime {
    type Err = NotATime;
    fn from_str(text: &str) -> Result<Self, NotATime> {
        let parse = || {
            let (day, time) = text.trim().split_once(' ')?;
            let is = |name: &str| name.eq_ignore_ascii_case(day);
            let day = DAYS
                .iter()
                .position(|name| is(name))
                .or_else(|| LONG_DAYS.iter().position(|name| is(name)))?;
            let (hour, minute) = time.trim().split_once(':')?;
            let two = |text: &str, below: u16| {
                (matches!(text.len(), 1 | 2) && text.bytes().all(|byte| byte.is_ascii_digit()))
                    .then(|| text.parse::<u16>().ok())?
                    .filter(|number| *number < below)
            };
            Some(Self {
                day: u8::try_from(day).ok()?,
                minute: two(hour, 24)? * 60 + two(minute, 60).filter(|_| minute.len() == 2)?,
            })
        };
        parse().ok_or_else(|| NotATime::Week(text.to_owned()))
    }
}

impl fmt::Display for WeekTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (hour, minute) = (self.minute / 60, self.minute % 60);
        write!(f, "{} {hour:02}:{minute:02}", DAYS[usize::from(self.day)])
    }
}

impl TryFrom<String> for WeekTime {
    type Error = NotATime;
    fn try_from(text: String) -> Result<Self, NotATime> {
        text.parse()
    }
}

impl From<WeekTime> for String {
    fn from(time: WeekTime) -> String {
        time.to_string()
    }
}

/// An IANA time zone that this version knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Zone {
    zone: TimeZone,
    name: String,
}

impl std::str::FromStr for Zone {
    type Err = NotATime;
    fn from_str(text: &str) -> Result<Self, NotATime> {
        TimeZone::get(text)
            .map(|zone| Self {
                zone,
                name: text.to_owned(),
            })
            .map_err(|_| NotATime::Zone(text.to_owned()))
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl TryFrom<String> for Zone {
    type Error = NotATime;
    fn try_from(text: String) -> Result<Self, NotATime> {
        text.parse()
    }
}

impl From<Zone> for String {
    fn from(zone: Zone) -> String {
        zone.name
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Weekly { from, to, tz } => write!(f, "{from} to {to} {tz}"),
            Self::Once { from, to } => write!(f, "{:.0} to {:.0}", from.to_jiff(), to.to_jiff()),
        }
    }
}

impl Window {
    /// The first time of this window that something which begins at `start` and lasts `span` would touch.
    pub fn touches(&self, start: Timestamp, span: Duration) -> Option<Interval> {
        // Something that takes no time is still there at its instant.
        let end = start.after(span.max(Duration::from_millis(1)));
        match self {
            Self::Once { from, to } => {
                (*from < end && start < *to && from < to).then_some(Interval { from: *from, to: *to })
            }
            Self::Weekly { from, to, tz } => weekly(*from, *to, &tz.zone, start, end),
        }
    }
}

fn weekly(
    from: WeekTime,
    to: WeekTime,
    zone: &TimeZone,
    start: Timestamp,
    end: Timestamp,
) -> Option<Interval> {
    const WEEK: i64 = 7 * 24 * 60;
    let minutes = |time: WeekTime| i64::from(time.day) * 24 * 60 + i64::from(time.minute);
    let length = match (minutes(to) - minutes(from)).rem_euclid(WEEK) {
        0 => WEEK,
        length => length,
    };
    // From the week before: a window that began then may still last.
    let today = zone.to_datetime(start.to_jiff()).date();
    let monday = i64::from(today.weekday().to_monday_zero_offset());
    let first = today
        .checked_sub(jiff::Span::new().days(monday + 7))
        .ok()?
        .checked_add(jiff::Span::new().days(i64::from(from.day)))
        .ok()?;
    let mut date = first;
    loop {
        let begins = at_minute(date, from.minute);
        let ends = begins.checked_add(jiff::Span::new().minutes(length)).ok()?;
        let interval = Interval {
            from: instant(zone.to_ambiguous_zoned(begins).earlier().ok()?),
            to: instant(zone.to_ambiguous_zoned(ends).later().ok()?),
        };
        if interval.from >= end {
            return None;
        }
        if start < interval.to {
            return Some(interval);
        }
        date = date.checked_add(jiff::Span::new().days(7)).ok()?;
    }
}

fn at_minute(date: civil::Date, minute: u16) -> civil::DateTime {
    let of = |number: u16| i8::try_from(number).expect("a minute of the day has small parts");
    date.at(of(minute / 60), of(minute % 60), 0, 0)
}

#[expect(clippy::needless_pass_by_value, reason = "the end of a chain")]
fn instant(zoned: jiff::Zoned) -> Timestamp {
    Timestamp(zoned.timestamp().as_millisecond())
}

/// The first time at or after `start` at which something that lasts `span` touches none of the windows; `None` if none is near.
pub fn first_free<'a>(
    windows: impl Iterator<Item = &'a Window> + Clone,
    start: Timestamp,
    span: Duration,
) -> Option<Timestamp> {
    let mut at = start;
    for _ in 0..256 {
        let touched = windows.clone().find_map(|window| window.touches(at, span));
        match touched {
            None => return Some(at),
            Some(interval) if interval.to > at => at = interval.to,
            Some(_) => return None,
        }
    }
    None
}
