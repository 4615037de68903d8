//! A backlog drains as fast as the template allows and no faster, and keeps nothing new waiting for longer than itself.

use domain::delivery::secrets::ApiKey;
use kit::prelude::*;
use kit::stand_in::{Fault, StandIn};
use serde_yaml_ng::Value;
use simulation::backlog::{ASKED_AT_ONCE, Drained, ON_HAND, Setting, drain};
use std::env;

const FAULTS: &str = include_str!("../../FAULTS.md");
const OPERATIONS: &str = include_str!("../../docs/operations.md");

/// The template's number at a path: a parameter's default, or a setting of a function's queue.
fn number(path: &str) -> usize {
    let template: Value = serde_yaml_ng::from_str(include_str!("../../template.yaml")).unwrap();
    let number = path.split('/').fold(&template, |value, name| &value[name]);
    let number = number.as_u64();
    usize::try_from(number.unwrap_or_else(|| panic!("{path} is no number"))).unwrap()
}

/// As deployed with every parameter's default.
fn setting(waiting: u64, new: (u64, Duration), mails_per_second: u32) -> Setting {
    let batch = |function: &str| {
        number(&format!(
            "Resources/{function}/Properties/Events/Queue/Properties/BatchSize"
        ))
    };
    Setting {
        waiting,
        new,
        fulfillment: (
            number("Parameters/FulfillmentConcurrency/Default"),
            batch("FulfillmentFunction"),
        ),
        receipts: (
            number("Parameters/ReceiptConcurrency/Default"),
            batch("ReceiptsFunction"),
        ),
        mails_per_second,
    }
}

/// Everything came to its end, once.
fn hold(setting: Setting, bundle: &Bundle, drained: &Drained) {
    let all = setting.waiting + setting.new.0;
    let sold = usize::try_from(setting.sold()).unwrap();
    let unknown = usize::try_from(all).unwrap() - sold;
    let kept = bundle.world.kept();
    assert_eq!(drained.given_up, Vec::<String>::new());
    assert_eq!(kept.orders.len(), sold);
    let ended = |state: EventState| {
        kept.events
            .values()
            .filter(|event| event.state == state)
            .count()
    };
    assert_eq!((ended(Processed), ended(Parked)), (sold, unknown));
    let mut mailed: Vec<_> = kept.mails.iter().map(|mail| &mail.receipt_id).collect();
    mailed.sort();
    mailed.dedup();
    assert_eq!(
        (mailed.len(), kept.mails.len()),
        (sold, sold),
        "a mail each, and one"
    );
    assert!(
        kept.receipts
            .values()
            .all(|receipt| matches!(receipt.state, ReceiptState::Sent { .. }))
    );
    let pieces = i64::try_from(2 * sold).unwrap();
    assert_eq!(kept.counters[&sku("BRACE-M")], ON_HAND - pieces);

    // Every batch there may be, every record of it and every request of a record: all at one moment, and never more.
    let records = setting.fulfillment.0 * setting.fulfillment.1;
    assert_eq!(drained.most_requests, records * ASKED_AT_ONCE);
    // A drain that takes hours does not multiply itself.
    assert!(drained.swept <= sold, "{}", drained.swept);
    // An event from the time of the drain waits for the backlog before it; a later one does not wait. The slack is for
    // newer events that came earlier, for retries, and for the disorder of the queue.
    let slack = Duration::from_secs(15) + drained.drained_in / 20;
    for (came, waited) in &drained.waits {
        let left = drained.drained_in.saturating_sub(*came);
        assert!(
            *waited <= left + slack,
            "came after {came:?}, waited {waited:?}, {left:?} were left"
        );
    }
}

/// `make backlog` lets 100,000 wait.
fn waiting() -> u64 {
    env::var("WAITING").map_or(5_000, |waiting| {
        waiting.parse().expect("WAITING is a number")
    })
}

#[tokio::test(start_paused = true)]
async fn what_waits_drains_at_the_set_concurrency_and_within_the_sending_rate_and_starves_nothing_new()
 {
    let waiting = waiting();
    // The rate of an account outside SES's sandbox. New events come for longer than the old ones take.
    let setting = setting(waiting, (waiting / 100, Duration::from_secs(1)), 14);
    let (bundle, drained) = drain(setting).await;
    println!("{}", drained.table(&setting));
    hold(setting, &bundle, &drained);
    let mails = bundle.world.kept().mails.len();
    assert!(
        (1..mails / 2).contains(&drained.throttled),
        "the pace is not near the rate: {}",
        drained.throttled
    );
    assert!(drained.again > 0, "nothing was ever tried again");
    // The documents name the measured number of requests.
    for (document, text) in [("FAULTS.md", FAULTS), ("docs/operations.md", OPERATIONS)] {
        let says = format!("{} requests to Flex at a time", drained.most_requests);
        let words: Vec<_> = text.split_whitespace().collect();
        assert!(
            words.join(" ").contains(&says),
            "{document} does not say {says:?}"
        );
    }
}

/// The real client has as many requests under way as the drain counts for a sale.
#[tokio::test]
async fn a_checkout_is_as_many_requests_at_a_time_as_are_counted_for_it() {
    const ANSWERED_AFTER: Duration = Duration::from_secs(1);
    let (stand_in, purchase) = (StandIn::start().await.unwrap(), Purchase::sample());
    stand_in.put_purchase(&purchase);
    for path in [
        "/v1/checkout/sessions/*",
        "/v1/checkout/sessions/*/line_items",
        "/v1/payment_intents",
    ] {
        stand_in.fail_next(path, Fault::late(ANSWERED_AFTER));
    }
    let (api, key) = (
        flex::Api::new(&stand_in.url).unwrap(),
        ApiKey::new("fsk_test_local").unwrap(),
    );
    let order_id = OrderId::new(purchase.order_id()).unwrap();
    let asked_meanwhile = async {
        tokio::time::sleep(ANSWERED_AFTER / 2).await;
        stand_in.requests().len()
    };
    let (read, asked_meanwhile) = tokio::join!(api.sale(&key, &order_id), asked_meanwhile);
    assert!(read.is_ok(), "{read:?}");
    assert_eq!(asked_meanwhile, ASKED_AT_ONCE, "{:?}", stand_in.requests());
    // The session includes the customer.
    assert_eq!(
        stand_in.requests().len(),
        ASKED_AT_ONCE,
        "{:?}",
        stand_in.requests()
    );
}

#[tokio::test(start_paused = true)]
async fn what_waits_drains_at_one_mail_a_second_and_nothing_is_given_up() {
    let setting = setting(400, (20, Duration::from_secs(1)), 1);
    let (bundle, drained) = drain(setting).await;
    println!("{}", drained.table(&setting));
    hold(setting, &bundle, &drained);
}
