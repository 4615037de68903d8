//! Inputs of strangers and providers, made from the samples: nothing panics or takes too long, and every output is
//! bounded. Only `make fuzz` limits memory, to 4 GB. A merchant's own template is the merchant's code, without limits.
//!
//! A short run is part of the tests; `make fuzz CASES=1000000` runs as long as you like. These are property tests
//! without a coverage-guided fuzzer. Every parser here is `serde_json`, and its result is matched exhaustively, so
//! mutated samples reach all of it on the stable compiler. Each target names the outcomes that must occur, and counts
//! them.

mod answers;
mod mails;
mod messages;
mod mutation;
mod requests;

use domain::upkeep::reconcile::{Ask, Listed, event_id, is_missing, stated_at};
use kit::prelude::*;
use mutation::{LISTS, SAMPLES, crossbred, mutant};
use proptest::{
    prelude::*,
    test_runner::{TestCaseResult, TestRunner},
};
use std::{cell::RefCell, time::Instant};

/// Far more than any input of the allowed size needs on the slowest machine.
const LONG: Duration = Duration::from_secs(5);
/// How many cases a short run has.
const FEW: u32 = 256;
/// The longest that an error may be: it quotes no value.
const LONGEST_ERROR: usize = 200;

/// The count of each outcome.
#[derive(Debug, Default)]
struct Tally(RefCell<BTreeMap<&'static str, usize>>);

impl Tally {
    fn count(&self, what: &'static str) {
        *self.0.borrow_mut().entry(what).or_default() += 1;
    }
}

/// Holds a property of some inputs. Each of `expected` must have happened: of what never comes nothing is shown.
///
/// `cost` is the time of a case in cases of a parser. A long run has that many times fewer.
fn hold<S: Strategy>(
    cost: u32,
    inputs: S,
    expected: &[&str],
    property: impl Fn(S::Value, &Tally) -> TestCaseResult,
) {
    let standard = ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    // `PROPTEST_CASES` makes a long run of it: see the Makefile.
    let asked = std::env::var_os("PROPTEST_CASES").map(|_| standard.cases);
    let cases = asked.map_or(FEW, |cases| {
        if cases > FEW {
            FEW.max(cases / cost)
        } else {
            cases
        }
    });
    let tally = Tally::default();
    let mut runner = TestRunner::new(ProptestConfig { cases, ..standard });
    if let Err(failed) = runner.run(&inputs, |input| property(input, &tally)) {
        panic!("{failed}");
    }
    let tally = tally.0.into_inner();
    println!("{cases} cases: {tally:?}");
    let never: Vec<_> = expected
        .iter()
        .filter(|what| !tally.contains_key(*what))
        .collect();
    assert!(
        never.is_empty() || cases < FEW,
        "it never came to {never:?}: {tally:?}"
    );
}

fn in_time(started_at: Instant) -> TestCaseResult {
    prop_assert!(started_at.elapsed() < LONG, "{:?}", started_at.elapsed());
    Ok(())
}

fn is_short(error: &impl ToString) -> TestCaseResult {
    let text = error.to_string();
    prop_assert!(
        text.len() < LONGEST_ERROR,
        "an error quotes no value: {text}"
    );
    Ok(())
}

/// Reads as intake and fulfillment would, and holds what comes of it to its bounds.
fn read_everything(body: &[u8], tally: &Tally) -> TestCaseResult {
    let started_at = Instant::now();
    match flex::read(body) {
        Reading::Unreadable(why) => {
            tally.count("unreadable");
            is_short(&why)?;
        }
        Reading::Event(event) => {
            tally.count("an event");
            prop_assert!(event.event_id.as_str().len() <= 255 && event.event_type.len() <= 255);
        }
    }
    if let Ok(value) = serde_json::from_slice::<Value>(body) {
        let session = value.get("checkout_session").unwrap_or(&value).clone();
        let lines = value.get("line_items").unwrap_or(&value).clone();
        let session = serde_json::from_value::<flex::wire::Session>(session).unwrap_or_default();
        let lines = serde_json::from_value::<flex::wire::LineItems>(lines).unwrap_or_default();
        match flex::sale(&session, &lines, None) {
            Ok(_) => tally.count("a sale"),
            Err(why) => is_short(&why)?,
        }
    }
    in_time(started_at)
}

#[test]
fn no_bytes_make_a_reader_panic_or_dawdle() {
    hold(
        1,
        mutant(&SAMPLES),
        &["unreadable", "an event"],
        |body, tally| read_everything(&body, tally),
    );
}

#[test]
fn no_json_makes_a_reader_panic_or_dawdle() {
    hold(
        1,
        crossbred(&SAMPLES),
        &["unreadable", "an event"],
        |value, tally| read_everything(value.to_string().as_bytes(), tally),
    );
}

/// Compares a listed thing with the event made from it: both state the same.
fn made_up(listed: &Listed, now: Timestamp, tally: &Tally) -> TestCaseResult {
    match listed {
        Listed::Unreadable { why, .. } => {
            tally.count("of no use");
            is_short(why)
        }
        Listed::Found(found) => {
            tally.count("found");
            let rows = Snapshot::default();
            let _ = (found.is_young(now), is_missing(found, &rows));
            let id = event_id(found, &rows, now);
            let body = flex::event(found, &id, stated_at(found, &rows, now), false);
            let Reading::Event(event) = flex::read(&body) else {
                return Err(TestCaseError::fail(format!("{id} cannot be read back")));
            };
            prop_assert_eq!(&event.event_id, &id);
            prop_assert_eq!(&event.event_type, found.event_type);
            prop_assert_eq!(&event.change, &found.change, "{} tells something else", id);
            Ok(())
        }
    }
}

#[test]
fn whatever_a_list_has_is_found_as_an_event_tells_it_or_of_no_use() {
    let now = Timestamp::from_second(1_763_000_000).unwrap();
    let of_lists = LISTS
        .iter()
        .map(|(what, things)| (Just(*what), crossbred(things)).boxed());
    let inputs = (prop::strategy::Union::new(of_lists), any::<bool>());
    hold(
        1,
        inputs,
        &["found", "of no use", "of no interest"],
        |((what, object), is_new), tally| {
            let started_at = Instant::now();
            // Half of them look back beyond all samples.
            let since = now - SignedDuration::from_hours(if is_new { 24 } else { 24 * 3650 });
            match flex::listed(
                &Ask {
                    list: what,
                    since,
                    now,
                    after: None,
                },
                &object,
            ) {
                Some(listed) => made_up(&listed, now, tally)?,
                None => tally.count("of no interest"),
            }
            in_time(started_at)
        },
    );
}
