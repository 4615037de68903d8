//! Subscriptions of a provider that states no facts in its events: each event is a reason to fetch the subscription, whose
//! facts have the stamp of its last change.

use crate::{
    access::subscription::{Reason, Source, SubscriptionChange, SubscriptionFacts},
    delivery::event::Change,
    fulfillment::testing::*,
    values::{facts::Stated, mode::Mode},
};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

const GRACE: SignedDuration = SignedDuration::from_hours(7 * 24);
const PERIOD: i64 = 30 * DAY;
const FIRST: i64 = SALE + PERIOD;
const SECOND: i64 = SALE + 2 * PERIOD;

/// The subscription in its state of that second, in a period that ends at `period_end`.
fn fetched(second: i64, status: &str, period_end: i64) -> Change {
    let now = at(second);
    let facts = SubscriptionFacts {
        source: match status {
            "canceled" => Source::Deleted,
            _ => Source::Read,
        },
        trial_end: (status == "trialing").then_some(at(period_end)),
        paid_through: (status == "active").then_some(at(period_end)),
        suspended_at: (status == "paused").then_some(now),
        ended_at: (status == "canceled").then_some(now),
        ..snapshot(status, period_end)
    };
    Change::Subscription(SubscriptionChange {
        subscription_id: id("sub_1"),
        customer_id: id("fcus_1"),
        mode: Some(Mode::Live),
        snapshot: Stated {
            at: Some(now),
            ..facts.into()
        },
    })
}

/// The end of access, in seconds after the sale, and its reason, after these states.
fn access(states: &[(i64, &str, i64)]) -> (Option<i64>, Reason) {
    let mut shop = Shop::new();
    for (second, status, period_end) in states {
        shop.tell(*second, fetched(*second, status, *period_end));
    }
    let access = shop.subscription("sub_1").access(GRACE);
    let seconds = |until: Timestamp| until.as_second() - SALE;
    (access.until.map(seconds), access.reason)
}

#[test]
fn access_follows_the_fetched_status() {
    let created = (SALE, "incomplete", FIRST);
    let trial = (SALE, "trialing", SALE + DAY);
    let active = (SALE + 1, "active", FIRST);
    let paused = (SALE + DAY, "paused", FIRST);
    let resumed = (SALE + 2 * DAY, "active", FIRST);
    let canceled = (SALE + DAY, "canceled", FIRST);
    let renewed = (FIRST, "active", SECOND);
    let failed = FIRST + 60;
    let graced = Some(failed - SALE + GRACE.as_secs());
    // A provider may show the period that has passed, or the one that is not paid.
    let past_due = (failed, "past_due", FIRST);
    let next_due = (failed, "past_due", SECOND);
    let recovered = (failed + DAY, "active", SECOND);
    for (states, expected) in [
        (vec![created], (None, Reason::NotPaidYet)),
        (vec![trial], (Some(DAY), Reason::Trial)),
        (vec![created, active], (Some(PERIOD), Reason::Paid)),
        (vec![active, renewed], (Some(2 * PERIOD), Reason::Paid)),
        (vec![active, past_due], (graced, Reason::Grace)),
        (vec![active, next_due], (graced, Reason::Grace)),
        (
            vec![active, past_due, recovered],
            (Some(2 * PERIOD), Reason::Paid),
        ),
        (vec![active, paused], (Some(DAY), Reason::Paused)),
        (vec![active, paused, resumed], (Some(PERIOD), Reason::Paid)),
        (vec![active, canceled], (Some(DAY), Reason::Ended)),
    ] {
        assert_eq!(access(&states), expected, "{states:?}");
    }
}

proptest! {
    #[test]
    fn late_and_repeated_answers_end_in_the_same_access(
        places in prop::collection::vec(any::<u32>(), 12),
    ) {
        let states = [
            (SALE, "incomplete", FIRST),
            (SALE + 1, "active", FIRST),
            (SALE + DAY, "paused", FIRST),
            (SALE + 2 * DAY, "active", FIRST),
            (FIRST + 60, "past_due", FIRST),
            (FIRST + DAY, "active", SECOND),
        ];
        let mut coming: Vec<_> = states.iter().cycle().zip(&places).collect();
        coming.sort_by_key(|(_, place)| **place);
        let coming: Vec<_> = coming.into_iter().map(|(state, _)| *state).collect();
        prop_assert_eq!(access(&coming), access(&states));
    }
}
