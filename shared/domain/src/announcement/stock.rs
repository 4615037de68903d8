//! Announcements of a SKU's counter.
//!
//! Orders and people change counters, and a person's change bypasses this code. So a counter is compared with its last
//! announced level. Several changes may be announced as one: the level counts, and it is never lost.

use crate::{
    announcement::{Announcement, Cause, Change, Kind, State, fields},
    sale::stock::Counter,
    values::ids::Sku,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The level of a SKU's counter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StockSummary {
    pub sku: String,
    pub on_hand: i64,
    /// The level that was announced before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_hand_before: Option<i64>,
    /// The level from which `stock.low` is announced, if the counter's row has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub low_at: Option<i64>,
}

/// The last announced level of a SKU.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnnouncedLevel {
    pub sku: Sku,
    /// Counts the announced changes, from 1.
    pub version: u64,
    pub on_hand: i64,
    /// True if the level was low then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_low: bool,
}

/// The announcements of a counter, and the level that they announce; `None` if nothing changed or the SKU is not
/// counted. A counter that falls to its threshold is low once, until it rises above.
#[must_use]
pub fn changed(
    announced: Option<&AnnouncedLevel>,
    counter: &Counter,
    at: Timestamp,
) -> Option<(AnnouncedLevel, Vec<Announcement>)> {
    let on_hand = counter.on_hand?;
    let is_low = counter.low_at.is_some_and(|low_at| on_hand <= low_at);
    let moved = announced.is_none_or(|announced| announced.on_hand != on_hand);
    let was_low = announced.is_some_and(|announced| announced.is_low);
    if !moved && was_low == is_low {
        return None;
    }
    let summary = |on_hand_before| StockSummary {
        sku: counter.sku.to_string(),
        on_hand,
        on_hand_before,
        low_at: counter.low_at,
    };
    let after = summary(announced.map(|announced| announced.on_hand));
    let kinds = [
        (moved, Kind::StockMoved),
        (is_low && !was_low, Kind::StockLow),
    ];
    let kinds = kinds
        .into_iter()
        .filter_map(|(is_so, kind)| is_so.then_some(kind));
    let before = announced.map(|announced| StockSummary {
        on_hand: announced.on_hand,
        ..summary(None)
    });
    let mut fields = fields::changed(before.as_ref(), &after);
    fields.retain(|name| name != "on_hand_before");
    let change = Change {
        kinds: kinds.collect(),
        changed: fields,
    };
    let level = AnnouncedLevel {
        sku: counter.sku.clone(),
        version: announced.map_or(0, |announced| announced.version) + 1,
        on_hand,
        is_low,
    };
    let cause = Cause {
        at,
        provider: None,
        event_id: None,
    };
    let id = counter.sku.to_string();
    let all = cause.announce(&id, level.version, change, &State::Stock(after));
    Some((level, all))
}
