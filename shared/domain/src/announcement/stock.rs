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
use serde_with::skip_serializing_none;

/// The level of a SKU's counter.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StockSummary {
    pub sku: String,
    pub on_hand: i64,
    /// The level that was announced before.
    pub on_hand_before: Option<i64>,
    /// The level from which `stock.low` is announced, if the counter's row has one.
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
    let level = level(announced, counter)?;
    let moved = announced.is_none_or(|announced| announced.on_hand != level.on_hand);
    let was_low = announced.is_some_and(|announced| announced.is_low);
    if !moved && was_low == level.is_low {
        return None;
    }
    let kinds = Kind::that_apply(&[
        (moved, Kind::StockMoved),
        (level.is_low && !was_low, Kind::StockLow),
    ]);
    let id = counter.sku.to_string();
    let after = StockSummary {
        sku: id.clone(),
        on_hand: level.on_hand,
        on_hand_before: announced.map(|announced| announced.on_hand),
        low_at: counter.low_at,
    };
    let before = announced.map(|announced| StockSummary {
        on_hand: announced.on_hand,
        ..after.clone()
    });
    let changed = fields::changed(before.as_ref(), &after);
    let cause = Cause {
        at,
        provider: None,
        event_id: None,
    };
    let change = Change { kinds, changed };
    let all = cause.announce(&id, level.version, change, &State::Stock(after));
    Some((level, all))
}

/// The level of a counter, as the next one after the announced level; `None` if the SKU is not counted.
fn level(announced: Option<&AnnouncedLevel>, counter: &Counter) -> Option<AnnouncedLevel> {
    let on_hand = counter.on_hand?;
    Some(AnnouncedLevel {
        sku: counter.sku.clone(),
        version: announced.map_or(0, |announced| announced.version) + 1,
        on_hand,
        is_low: counter.low_at.is_some_and(|low_at| on_hand <= low_at),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_announces_each_change_and_is_low_once_until_it_rises() {
        let sku: Sku = "MAT".to_owned().try_into().unwrap();
        let mut announced = None;
        for (on_hand, low_at, kinds, members) in [
            (None, Some(2), None, ""),
            (Some(5), None, Some("stock.moved"), "on_hand sku"),
            (Some(5), None, None, ""),
            (Some(3), Some(2), Some("stock.moved"), "on_hand"),
            (Some(2), Some(2), Some("stock.moved stock.low"), "on_hand"),
            (Some(2), Some(2), None, ""),
            (Some(1), Some(2), Some("stock.moved"), "on_hand"),
            (Some(4), Some(2), Some("stock.moved"), "on_hand"),
            (Some(4), Some(4), Some("stock.low"), ""),
            (None, Some(4), None, ""),
        ] {
            let counter = Counter {
                sku: sku.clone(),
                on_hand,
                untracked: on_hand.is_none(),
                low_at,
            };
            let found = changed(announced.as_ref(), &counter, Timestamp::UNIX_EPOCH);
            let all = found.as_ref().map(|(_, all)| all.iter());
            let words = all.map(|all| all.map(|one| one.kind.to_string()).collect::<Vec<_>>());
            let words = words.map(|words| words.join(" "));
            assert_eq!(words.as_deref(), kinds, "{on_hand:?} of {low_at:?}");
            if let Some((level, all)) = found {
                assert_eq!(all[0].changed.join(" "), members);
                assert_eq!(
                    level.version,
                    announced.map_or(0, |level| level.version) + 1
                );
                announced = Some(level);
            }
        }
    }
}
