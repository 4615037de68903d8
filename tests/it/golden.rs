//! A realistic payload of every event type on the deployed stack, latest first and each of them twice. Every
//! event ends as it should, and all together have one effect.

use domain::{
    access::subscription::Reason,
    ports::{Commits as _, Receipts as _},
    receipt,
    sale::dispute::{DisputeFunds as DisputedFunds, DisputeStage},
    values::ids::DisputeId,
};
use kit::prelude::*;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// The waits of a job whose order is not there yet come to 21 s on the local stack, 85 s with its last try.
const SOON: Duration = Duration::from_mins(3);

const BOUGHT: &str = "fcs_01K76N0000000000000000000B";
const SUBSCRIBED: &str = "fcs_01k76n0000000000000000000f";
const RENEWED: &str = "fin_01k9pk300000000000000000n2";
const CUSTOMER: &str = "fcus_01K76N0000000000000000000C";
const SUBSCRIPTION: &str = "fsub_01k76n0000000000000000000j";
const PLAN: &str = "fprod_01K76N00000000000000000003";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../events/flex")
}

/// A sample as it lies in its file, with its event's id and time.
struct Sample {
    name: String,
    state: EventState,
    body: Vec<u8>,
    event_id: String,
    event_dt: i64,
}

/// Every sample of an event. An ignored type ends as not needed, every other as processed.
fn samples() -> Vec<Sample> {
    let handling: BTreeMap<_, _> = flex::event_types().collect();
    let paths = fs::read_dir(folder()).unwrap();
    let paths = paths.map(|entry| entry.unwrap().path());
    let files = paths.filter(|path| path.is_file() && !path.ends_with("stand-in.json"));
    let sample = |path: PathBuf| {
        let body = fs::read(&path).unwrap();
        let event: Value = serde_json::from_slice(&body).unwrap();
        let state = match handling[event["event_type"].as_str().unwrap()] {
            "not_needed" => NotNeeded,
            _ => Processed,
        };
        Sample {
            name: path.file_stem().unwrap().to_str().unwrap().to_owned(),
            state,
            body,
            event_id: event["event_id"].as_str().unwrap().to_owned(),
            event_dt: event["event_dt"].as_i64().unwrap(),
        }
    };
    files.map(sample).collect()
}

async fn order(play: &Play, id: &str) -> Order {
    play.order(id)
        .await
        .unwrap()
        .unwrap_or_else(|| panic!("no order {id}"))
}

async fn receipt_state(play: &Play, id: &str) -> Option<receipt::ReceiptState> {
    play.tables
        .store
        .receipt(&ReceiptId::new(id).unwrap())
        .await
        .unwrap()
        .map(|receipt| receipt.state)
}

#[tokio::test]
async fn a_sample_of_every_event_type_has_its_effect_on_the_deployed_stack() {
    let play = play().await;
    for sku in ["BRACE-M", "TOTE"] {
        play.tables
            .stock_levels
            .put_counter(&Sku::new(sku).unwrap(), 100)
            .await
            .unwrap();
    }
    let mut samples = samples();
    samples.sort_by_key(|sample| std::cmp::Reverse((sample.event_dt, sample.name.clone())));
    for _ in 0..2 {
        for Sample { name, body, .. } in &samples {
            let answer = play.deliver_signed(body).await.unwrap();
            assert_eq!((answer.status, answer.body.as_str()), (200, ""), "{name}");
        }
    }
    for Sample {
        name,
        state,
        event_id,
        ..
    } in &samples
    {
        let ended = play.until_event(event_id, *state, SOON).await;
        if let Err(why) = ended {
            let event = play.event(event_id).await.unwrap();
            panic!(
                "{name}: {why}; {:?}",
                event.map(|event| (event.state, event.reason))
            );
        }
    }
    play.until_idle(SOON).await.unwrap();

    the_purchase_is_partly_refunded_and_its_dispute_won(&play).await;
    the_delayed_payments_are_states_of_their_orders(&play).await;
    the_subscription_was_paid_renewed_failed_and_ended(&play).await;
    exactly_these_receipts_are_sent(&play).await;
    a_refund_that_names_its_invoice_finds_the_renewal_without_a_link(&play).await;
}

async fn a_refund_that_names_its_invoice_finds_the_renewal_without_a_link(play: &Play) {
    let mut event: Value =
        serde_json::from_slice(&fs::read(folder().join("refund.created.json")).unwrap()).unwrap();
    let (event_id, refund_id) = (
        "fevt_01K79MH00000000000UNLINKED",
        "fre_01K79MH000000000000UNLINKED",
    );
    event["event_id"] = event_id.into();
    let refund = &mut event["object"]["refund"];
    refund["refund_id"] = refund_id.into();
    refund["payment_intent_id"] = "fpi_01K79MH000000000000UNLINKED".into();
    refund["subscription_id"] = SUBSCRIPTION.into();
    refund["invoice_id"] = RENEWED.into();
    play.takes(event.to_string().as_bytes()).await;
    play.until_event(event_id, Processed, SOON).await.unwrap();
    let refunds = order(play, RENEWED).await.refunds;
    assert!(
        refunds.contains_key(&RefundId::new(refund_id).unwrap()),
        "{refunds:?}"
    );
}

async fn the_purchase_is_partly_refunded_and_its_dispute_won(play: &Play) {
    let order = order(play, BOUGHT).await;
    assert_eq!(order.state(), OrderState::PartlyRefunded);
    assert_eq!(order.refunded(), 1825);
    let payments = order
        .payment_intents
        .iter()
        .map(|id| order.payments[id].value.amount.unwrap());
    assert_eq!(
        payments.collect::<Vec<_>>(),
        [5169, 1825],
        "both payments of the split cart"
    );
    let refund = |id| &order.refunds[&RefundId::new(id).unwrap()];
    assert!(refund("fre_01K79MH00000000000000000R1").stands());
    assert_eq!(
        order.refunds.len(),
        2,
        "the other one has failed: {:?}",
        order.refunds
    );
    assert!(order.refunds.values().any(|refund| !refund.succeeded));
    let dispute = &order.disputes[&DisputeId::new("fdsp_01k7mb300000000000000000d1").unwrap()];
    assert_eq!(dispute.stage(), DisputeStage::Won);
    assert!(dispute.facts.value.due_by.is_some());
    assert_eq!(
        dispute.funds.as_ref().map(|funds| &funds.value),
        Some(&DisputedFunds::Reinstated)
    );
    // The refund's metadata says that the tote came back.
    let skus = ["BRACE-M", "TOTE"].map(|sku| Sku::new(sku).unwrap());
    let read_set = ReadSet {
        stock_levels: Some((order.order_id, skus.to_vec())),
        ..ReadSet::default()
    };
    let stock_levels = play
        .tables
        .store
        .read(&read_set)
        .await
        .unwrap()
        .stock_levels;
    let moved = stock_levels.iter().map(|stock_level| {
        stock_level
            .moved
            .as_ref()
            .map(|moved| (moved.deducted, moved.restocked))
    });
    assert_eq!(moved.collect::<Vec<_>>(), [Some((2, 0)), Some((1, 1))]);
}

async fn the_delayed_payments_are_states_of_their_orders(play: &Play) {
    let order_of = |name: &str| {
        let body = fs::read(folder().join(format!("checkout.session.{name}.json"))).unwrap();
        let event: Value = serde_json::from_slice(&body).unwrap();
        event["object"]["checkout_session"]["checkout_session_id"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(
        order(play, &order_of("async_payment_succeeded"))
            .await
            .state(),
        OrderState::Paid
    );
    let failed = order(play, &order_of("async_payment_failed")).await;
    assert_eq!(failed.state(), OrderState::Waiting(OrderFunds::Failed));
    assert_eq!((failed.fulfilled_at, failed.receipt_id), (None, None));
    assert_eq!(
        play.order(&order_of("expired")).await.unwrap(),
        None,
        "what was never paid for is no order"
    );
}

async fn the_subscription_was_paid_renewed_failed_and_ended(play: &Play) {
    let customer = CustomerId::new(CUSTOMER).unwrap();
    let read_set = ReadSet {
        subscription: Some((customer.clone(), SubscriptionId::new(SUBSCRIPTION).unwrap())),
        entitlements: vec![(customer.clone(), ProductId::new(PLAN).unwrap())],
        contact: Some(customer),
        links: vec![PaymentIntentId::new("fpi_01k9pk300000000000000000h2").unwrap()],
        ..ReadSet::default()
    };
    let rows = play.tables.store.read(&read_set).await.unwrap();
    let subscription = rows.subscription.unwrap();
    let beginning = subscription.beginning.unwrap();
    assert_eq!(
        beginning.order_id.as_str(),
        SUBSCRIBED,
        "session, subscription, customer and invoices are linked"
    );
    assert_eq!(subscription.invoices.len(), 3);
    let access = &rows.entitlements[0];
    assert_eq!(access.reason, Reason::Ended);
    assert_eq!(
        Some(access.access_until),
        subscription.paid_through,
        "what was paid for was not taken away"
    );
    assert_eq!(access.access_until.to_string(), "2025-12-10T09:56:01Z");
    assert!(rows.contact.unwrap().facts.is_some());
    // By this link a refund of the renewal would find its order.
    let link = rows.links.into_values().next().unwrap();
    let renewal = OrderId::new(RENEWED).unwrap();
    assert_eq!(link.order_id, Some(renewal.clone()));
    let read_set = ReadSet::of_order(&renewal);
    let order = play.tables.store.read(&read_set).await.unwrap().order;
    let order = order.unwrap();
    assert_eq!(order.kind, OrderKind::Renewal);
    assert_eq!(order.totals.total, 4999);
    assert_eq!(
        order.lines.len(),
        1,
        "as the provider's product describes it"
    );
    assert_eq!(order.lines[0].product_id, ProductId::new(PLAN).ok());
}

async fn exactly_these_receipts_are_sent(play: &Play) {
    let delayed = "fcs_01k76t400000000000000000j1-order";
    let sent = [
        &format!("{BOUGHT}-order"),
        &format!("{SUBSCRIBED}-order"),
        delayed,
        "fin_01k9pk300000000000000000n2-order",
        "fre_01K79MH00000000000000000R1-refund",
    ];
    for id in sent {
        until(&format!("{id} is sent"), SOON, async || {
            Ok(receipt_state(play, id)
                .await
                .filter(|state| matches!(state, receipt::ReceiptState::Sent { .. })))
        })
        .await
        .unwrap();
    }
    // The first invoice is covered by the order's receipt, and a refund that never succeeded has none.
    for id in [
        "fin_01k76n0000000000000000000k-order",
        "fre_01K7CEZ00000000000000000R2-refund",
    ] {
        assert_eq!(receipt_state(play, id).await, None, "{id}");
    }
}
