//! Rows and messages as the first release wrote them, word for word (`frozen.json`), read into what they are today.
//! They outlive a deployment: a message lies in a dead-letter queue for fourteen days, an order for ever.

use crate::{
    events, orders, receipts,
    row::{self, Attributes},
    stock,
};
use aws_sdk_dynamodb::types::AttributeValue;
use domain::{
    checkout::Eligibility,
    event::EventState,
    ids::{EventId, OrderId, OwnerToken, PaymentIntentId, ReceiptId, Sku},
    job::{FulfillmentJob, ReceiptJob},
    ledger::{Rows, Wanted},
    order::{self, Funds, Shortfall},
    receipt::{Kind, Receipt, State},
    stock::{LineStock, Movement, returns},
};
use jiff::Timestamp;
use serde_json::Value;
use std::collections::BTreeMap;

fn frozen(name: &str) -> Value {
    let mut all: BTreeMap<String, Value> =
        serde_json::from_str(include_str!("frozen.json")).unwrap();
    all.remove(name).unwrap()
}

fn item(name: &str) -> Attributes {
    serde_json::from_value::<serde_dynamo::Item>(frozen(name))
        .unwrap()
        .into()
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn order_id() -> OrderId {
    OrderId::new("fcs_01JD8K2A9B").unwrap()
}

fn receipt_id() -> ReceiptId {
    ReceiptId::new("fcs_01JD8K2A9B-order").unwrap()
}

#[test]
fn an_event_still_has_its_receipt() {
    let event = events::read(item("event")).unwrap();
    assert_eq!(event.event_id.as_str(), "fevt_01JD8K3M5N");
    assert_eq!((event.state, event.attempts), (EventState::Committed, 1));
    assert_eq!(event.receipt_ids, [receipt_id()]);
    assert_eq!(
        domain::fulfillment::committed(&event),
        Some(&[receipt_id()][..])
    );
    assert_eq!(
        (event.occurred_at, event.received_at),
        (Some(at(1_760_090_000)), at(1_760_090_010))
    );
    assert_eq!(
        event.fingerprint,
        domain::delivery::fingerprint(&event.body)
    );
}

#[test]
fn an_order_is_paid_for_and_fulfilled() {
    let order = orders::read(item("order")).unwrap();
    assert_eq!((order.order_id.clone(), order.version), (order_id(), 1));
    assert_eq!(order.funds, Funds::Received);
    assert_eq!(
        (order.placed_at, order.fulfilled_at),
        (at(1_760_090_000), Some(at(1_760_090_012)))
    );
    assert_eq!(order.state(), order::State::Paid);
    assert_eq!(order.receipt_id, Some(receipt_id()));
    assert_eq!(
        (order.paid(), order.refunded(), order.is_disputed()),
        (11_747, 0, false)
    );
    let payments = ["fpi_01JD8K2C", "fpi_01JD8K2D"].map(|id| PaymentIntentId::new(id).unwrap());
    assert_eq!(order.payment_intents, payments);
    assert!(order.payments.is_empty() && order.refunds.is_empty() && order.disputes.is_empty());
    assert_eq!((&order.subscription_id, &order.invoice_id), (&None, &None));
    assert_eq!(order.customer.email.as_deref(), Some("pat@example.com"));
    assert_eq!(order.client_reference_id.as_deref(), Some("order-1042"));
    let sku = |name| Sku::new(name).unwrap();
    assert_eq!(
        order.shortfalls,
        [Shortfall {
            sku: sku("BRACE-M"),
            missing: 1
        }]
    );
    let lines: Vec<_> = order
        .lines
        .iter()
        .map(|line| (line.quantity, &line.stock))
        .collect();
    let (counted, untracked) = (
        LineStock::Counted {
            sku: sku("BRACE-M"),
        },
        LineStock::Untracked { sku: sku("TOTE") },
    );
    assert_eq!(
        lines,
        [(2, &counted), (1, &untracked), (1, &LineStock::Unmapped)]
    );
    assert_eq!(
        order.lines[0].eligibility,
        Some(Eligibility("letter_of_medical_necessity".into()))
    );
}

/// As DynamoDB counts
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html>).
fn bytes(value: &AttributeValue) -> usize {
    match value {
        AttributeValue::S(text) => text.len(),
        AttributeValue::N(number) => number.len() / 2 + 2,
        AttributeValue::L(values) => 3 + values.iter().map(|value| bytes(value) + 1).sum::<usize>(),
        AttributeValue::M(members) => {
            3 + members
                .iter()
                .map(|(name, value)| name.len() + bytes(value) + 1)
                .sum::<usize>()
        }
        _ => 1,
    }
}

#[test]
fn an_order_takes_no_more_room_than_it_is_said_to() {
    let order = orders::read(item("order")).unwrap();
    let row = row::item("orders", &order).unwrap();
    let takes: usize = row
        .iter()
        .map(|(name, value)| name.len() + bytes(value))
        .sum();
    assert!(
        (takes..takes * 2).contains(&order.size_bound()),
        "{takes} {}",
        order.size_bound()
    );
}

#[test]
fn nothing_of_a_movement_is_back_and_it_can_go_back() {
    let wanted = Wanted {
        shelves: Some((order_id(), vec![Sku::new("BRACE-M").unwrap()])),
        ..Wanted::default()
    };
    let mut rows = Rows::default();
    stock::found(&wanted, vec![item("counter"), item("movement")], &mut rows).unwrap();
    let sku = Sku::new("BRACE-M").unwrap();
    let moved = Movement {
        sku: sku.clone(),
        order_id: order_id(),
        quantity: 2,
        taken: 1,
        returned: 0,
        moved_at: at(1_760_090_012),
    };
    assert_eq!(
        (rows.shelves[0].on_hand, &rows.shelves[0].moved),
        (Some(7), &Some(moved))
    );
    let back = returns(&rows.shelves, &BTreeMap::from([(sku, 1)]));
    assert_eq!((back[0].seen, back[0].pieces), (0, 1));
}

#[test]
fn a_mapping_row_maps() {
    let product = domain::stock::Unnamed::Product(domain::ids::ProductId::new("fprod_3").unwrap());
    let wanted = Wanted {
        mapping: vec![product.clone()],
        ..Wanted::default()
    };
    let mut rows = Rows::default();
    stock::found(&wanted, vec![item("mapping")], &mut rows).unwrap();
    assert_eq!(
        rows.mapping,
        BTreeMap::from([(product, Sku::new("GIFT").unwrap())])
    );
}

#[test]
fn a_receipt_is_one_for_its_order_and_owed_as_it_was() {
    let pending = receipts::read(item("pending_receipt")).unwrap();
    let expected = Receipt::new(&order_id(), Kind::Order, None, at(1_760_090_012)).unwrap();
    assert_eq!(pending, expected);
    let claimed = receipts::read(item("claimed_receipt")).unwrap();
    let owner = OwnerToken::new("8f5c.a1").unwrap();
    let state = State::Claimed {
        owner,
        claim_ends_at: at(1_760_090_040),
    };
    assert_eq!(
        claimed,
        Receipt {
            version: 2,
            attempts: 1,
            state,
            ..expected
        }
    );
}

#[test]
fn the_messages_are_the_same_jobs() {
    let text = |name: &str| frozen(name).as_str().unwrap().to_owned();
    let job: FulfillmentJob = serde_json::from_str(&text("fulfillment_job")).unwrap();
    assert_eq!(
        job,
        FulfillmentJob::V1 {
            event_id: EventId::new("fevt_01JD8K3M5N").unwrap()
        }
    );
    let job: ReceiptJob = serde_json::from_str(&text("receipt_job")).unwrap();
    assert_eq!(
        job,
        ReceiptJob::V1 {
            receipt_id: receipt_id()
        }
    );
}
