//! What holds a release up before an environment: approvals, freezes, checklists, authorization, confirmation.

use crate::id::{EvidenceName, GroupName};
use crate::manifest::node::{Node, Span, Value};
use crate::manifest::read::{Cx, FromNode, keys};
use crate::time::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;

keys! {
    /// A rule of approval. Several rules must all hold.
    #[derive(Eq)]
    pub struct Approval {
        /// How many distinct people; 0 asks nobody.
        count: u32 = 1 => "1",
        /// The groups they come from; without them, anybody.
        from: Vec<GroupName> => "['release-managers']",
        /// Not the author, the committer or who asked.
        not_author: bool = false => "true",
    }
}

keys! {
    /// Who may do what; what is not said is open to everybody.
    #[derive(Eq, Default)]
    pub struct Allow {
        /// The groups that may deploy and promote.
        deploy: Option<Vec<GroupName>> => "['developers']",
        /// The groups that may roll back.
        rollback: Option<Vec<GroupName>> => "['release-managers']",
    }
}

/// Which actions a person confirms by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Confirm {
    /// Deploying and promoting.
    pub deploy: bool,
    /// Rolling back.
    pub rollback: bool,
}

impl FromNode for Confirm {
    fn from_node(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        let Value::Array(items) = &node.value else {
            return bool::from_node(node, cx).map(|all| Self {
                deploy: all,
                rollback: all,
            });
        };
        let mut confirm = Some(Self::default());
        for item in items {
            let action = super::super::leaf::choice(item, cx, &["deploy", "rollback"], |word| match word {
                "deploy" => Some(Self {
                    deploy: true,
                    rollback: false,
                }),
                "rollback" => Some(Self {
                    deploy: false,
                    rollback: true,
                }),
                _ => None,
            });
            confirm = match (confirm, action) {
                (Some(so_far), Some(action)) => Some(Self {
                    deploy: so_far.deploy || action.deploy,
                    rollback: so_far.rollback || action.rollback,
                }),
                _ => None,
            };
        }
        confirm
    }
    fn absent(_: &str, _: Span, _: &mut Cx<'_>) -> Option<Self> {
        Some(Self::default())
    }
}
impl JsonSchema for Confirm {
    fn schema_name() -> Cow<'static, str> {
        "Confirm".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [
            { "type": "boolean" },
            { "type": "array", "items": { "enum": ["deploy", "rollback"] } },
            { "type": "string", "pattern": "\\$\\{" },
        ] })
    }
}

keys! {
    /// A window in which nothing goes forward. It never holds up a rollback. Half-open: `to` is free again.
    #[derive(Eq)]
    pub struct FreezeKeys {
        /// When it begins: weekly (`Fri 16:00`) or once (`2026-12-24 00:00`, or with an offset).
        from: FreezePoint => "'Fri 16:00'",
        /// When it ends.
        to: FreezePoint => "'Mon 08:00'",
        /// The time zone, by its IANA name.
        tz: Zone = Zone("UTC".into()) => "'Europe/Berlin'",
        /// Why, for people.
        reason: Option<String> => "'weekend'",
    } rules freeze_rules
}

fn freeze_rules(keys: &FreezeKeys, node: &Node, cx: &mut Cx<'_>) {
    if let Err((message, help)) = keys.freeze() {
        let span = node.at(&["to"]).map_or(node.span, |node| node.span);
        cx.problem(span, message, help);
    }
}

impl FreezeKeys {
    /// The window; an error has been reported by reading.
    pub(crate) fn freeze(&self) -> Result<Freeze, (String, &'static str)> {
        let window = match (self.from, self.to) {
            (FreezePoint::Weekly(from), FreezePoint::Weekly(to)) if from == to => {
                return Err((
                    "the freeze is over when it begins".to_owned(),
                    "write another end",
                ));
            }
            (FreezePoint::Weekly(from), FreezePoint::Weekly(to)) => FreezeWindow::Weekly { from, to },
            (FreezePoint::Weekly(_), _) | (_, FreezePoint::Weekly(_)) => {
                return Err((
                    "one end is weekly and the other is a date".to_owned(),
                    "write both as `Fri 16:00`, or both as `2026-12-24 00:00`",
                ));
            }
            (from, to) => {
                let (from, to) = (self.instant(from)?, self.instant(to)?);
                if from >= to {
                    return Err((
                        "the freeze ends before it begins".to_owned(),
                        "swap `from` and `to`",
                    ));
                }
                FreezeWindow::Once { from, to }
            }
        };
        Ok(Freeze {
            window,
            tz: self.tz.clone(),
            reason: self.reason.clone(),
        })
    }

    fn instant(&self, point: FreezePoint) -> Result<Timestamp, (String, &'static str)> {
        match point {
            FreezePoint::At(at) => Ok(at),
            FreezePoint::Local(local) => jiff::tz::TimeZone::get(&self.tz.0)
                .and_then(|zone| local.to_zoned(zone))
                .map(|zoned| Timestamp(zoned.timestamp().as_millisecond()))
                .map_err(|error| (error.to_string(), "write a date with an offset")),
            FreezePoint::Weekly(_) => Err(("a weekly time is no date".to_owned(), "write a date")),
        }
    }
}

/// A window in which nothing goes forward.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Freeze {
    /// When.
    pub window: FreezeWindow,
    /// The time zone that a weekly window is in.
    pub tz: Zone,
    /// Why, for people.
    pub reason: Option<String>,
}

/// When a freeze holds: half-open, `[from, to)`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FreezeWindow {
    /// Every week, in local time; `to` may lie before `from`, then it goes over the end of the week.
    Weekly {
        /// The beginning.
        from: WeekTime,
        /// The end.
        to: WeekTime,
    },
    /// Once.
    Once {
        /// The beginning.
        from: Timestamp,
        /// The end.
        to: Timestamp,
    },
}

/// A point of every week, in local time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct WeekTime {
    /// The day, Monday is 0.
    pub day: u8,
    /// Minutes since midnight, below 1440.
    pub minute: u16,
}

impl WeekTime {
    /// Minutes since Monday 00:00.
    pub const fn minute_of_week(self) -> u32 {
        self.day as u32 * 1440 + self.minute as u32
    }
}

const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

impl std::fmt::Display for WeekTime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let day = DAYS[usize::from(self.day) % 7];
        write!(f, "{day} {:02}:{:02}", self.minute / 60, self.minute % 60)
    }
}

/// One end of a freeze as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum FreezePoint {
    /// `Fri 16:00`.
    Weekly(WeekTime),
    /// With an offset: one instant everywhere.
    At(Timestamp),
    /// Without: in the freeze's zone.
    Local(jiff::civil::DateTime),
}

impl FreezePoint {
    fn parse(text: &str) -> Result<Self, &'static str> {
        const RULE: &str =
            "a freeze begins and ends at `Fri 16:00`, `2026-12-24 00:00` or `2026-12-24T00:00:00+01:00`";
        if let Some((day, time)) = text.split_once(' ')
            && let Some(day) = DAYS.iter().position(|known| known.eq_ignore_ascii_case(day))
        {
            let (hour, minute) = time.trim().split_once(':').ok_or(RULE)?;
            let two = |text: &str, below: u16| {
                let digits = text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
                text.parse::<u16>()
                    .ok()
                    .filter(|number| digits && *number < below)
            };
            let minute = two(hour, 24).ok_or(RULE)? * 60 + two(minute, 60).ok_or(RULE)?;
            return Ok(Self::Weekly(WeekTime {
                day: u8::try_from(day).map_err(|_| RULE)?,
                minute,
            }));
        }
        if let Ok(at) = text.parse::<jiff::Timestamp>() {
            return Ok(Self::At(Timestamp(at.as_millisecond())));
        }
        text.parse::<jiff::civil::DateTime>()
            .map(Self::Local)
            .map_err(|_| RULE)
    }
}

impl From<FreezePoint> for String {
    fn from(point: FreezePoint) -> String {
        match point {
            FreezePoint::Weekly(time) => time.to_string(),
            FreezePoint::At(at) => at.to_string(),
            FreezePoint::Local(local) => local.to_string(),
        }
    }
}
impl TryFrom<String> for FreezePoint {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl FromNode for FreezePoint {
    fn from_node(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        const WANTED: &str = "`\"Fri 16:00\"`, or a date as in `\"2026-12-24 00:00\"`";
        if let Value::Datetime(text) = &node.value {
            let point = Self::parse(text);
            return point
                .map_err(|rule| cx.problem(node.span, rule, format!("write {WANTED}")))
                .ok();
        }
        cx.parsed(node, WANTED, Self::parse)
    }
}
crate::manifest::leaf::schema!(FreezePoint, { "type": "string" });

/// An IANA time zone, known to exist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Zone(Box<str>);

impl Zone {
    /// Its name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
    /// Its rules; UTC if this binary's table lost it.
    pub fn rules(&self) -> jiff::tz::TimeZone {
        jiff::tz::TimeZone::get(&self.0).unwrap_or(jiff::tz::TimeZone::UTC)
    }
}
impl FromNode for Zone {
    fn from_node(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        cx.parsed(node, "an IANA time zone, as in `Europe/Berlin`", |text| {
            let known = jiff::tz::TimeZone::get(text).is_ok();
            known
                .then(|| Self(text.into()))
                .ok_or_else(|| format!("there is no time zone `{text}`"))
        })
    }
}
crate::manifest::leaf::schema!(Zone, { "type": "string" });

/// Items that people or evidence tick off.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Checklist {
    /// Gates this environment. A flat checklist is this one.
    pub before: BTreeMap<EvidenceName, ChecklistItem>,
    /// Recorded, gates nothing.
    pub during: BTreeMap<EvidenceName, ChecklistItem>,
    /// Gates the next environments.
    pub after: BTreeMap<EvidenceName, ChecklistItem>,
}

keys! {
    /// An item of a checklist.
    #[derive(Eq)]
    pub struct ChecklistItem {
        /// What is to be true, for people.
        text: String => "'Security review complete'",
        /// The evidence that ticks it off; without it, somebody attests the item by its own name.
        evidence: Option<EvidenceName> => "'security-scan'",
    }
}

/// An item that may be a text alone.
struct TextOrItem(ChecklistItem);

impl FromNode for TextOrItem {
    fn from_node(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        if node.as_table().is_some() {
            return ChecklistItem::from_node(node, cx).map(Self);
        }
        String::from_node(node, cx).map(|text| Self(ChecklistItem { text, evidence: None }))
    }
}

impl FromNode for Checklist {
    fn from_node(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        let table = cx.table(node)?;
        let mut list = Self::default();
        let mut flat = super::super::node::Table::default();
        let mut whole = true;
        for (key, entry) in &table.0 {
            // An item called `before` is a text or has one; a phase is a table of items.
            let phase = entry
                .node
                .as_table()
                .is_some_and(|table| !table.0.contains_key("text"));
            let place = match key.as_str() {
                "before" if phase => &mut list.before,
                "during" if phase => &mut list.during,
                "after" if phase => &mut list.after,
                _ => {
                    flat.0.insert(key.clone(), entry.clone());
                    continue;
                }
            };
            match cx.within(key, |cx| items(&entry.node, cx)) {
                Some(items) => place.extend(items),
                None => whole = false,
            }
        }
        let flat = items(&Node::table(node.span, flat), cx)?;
        for (name, item) in flat {
            if list.before.insert(name.clone(), item).is_some() {
                cx.problem(
                    node.span,
                    format!("the item `{name}` stands twice"),
                    "keep one of them",
                );
            }
        }
        whole.then_some(list)
    }
    fn absent(_: &str, _: Span, _: &mut Cx<'_>) -> Option<Self> {
        Some(Self::default())
    }
}

fn items(node: &Node, cx: &mut Cx<'_>) -> Option<BTreeMap<EvidenceName, ChecklistItem>> {
    let items = BTreeMap::<EvidenceName, TextOrItem>::from_node(node, cx)?;
    Some(items.into_iter().map(|(name, item)| (name, item.0)).collect())
}

impl JsonSchema for Checklist {
    fn schema_name() -> Cow<'static, str> {
        "Checklist".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let item = generator.subschema_for::<ChecklistItem>();
        let item = serde_json::json!({ "anyOf": [{ "type": "string" }, item] });
        let phase = serde_json::json!({ "type": "object", "additionalProperties": item });
        let named = |description: &str, example: &str| {
            serde_json::json!({
                "description": description,
                "anyOf": [item, phase],
                "x-example": example,
            })
        };
        json_schema!({
            "type": "object",
            "properties": {
                "before": named(
                    "Items that gate this environment; what stands outside of these three tables does, too.",
                    "{ rollback-plan = 'Rollback plan ready' }",
                ),
                "during": named(
                    "Items that people tick off while it is deployed; they hold nothing up.",
                    "{ announced = 'Users were told' }",
                ),
                "after": named(
                    "Items that gate the environments which come after this one.",
                    "{ core-works = 'Core functions were tried' }",
                ),
            },
            "additionalProperties": item,
        })
    }
}
