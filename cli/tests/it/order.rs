//! `till order`, as text at 80 columns and as JSON.

use crate::desk::{Desk, FakeTerminal};
use ::feedback::notice::Notice;
use kit::{
    flint_shop::{flint_samples, flint_shop},
    prelude::*,
    ses::Taken,
    shop,
};
use till::{backend::LogLine, error::Exit};

/// An event about the first purchase, in live mode.
pub fn change(kind: &str, event_id: &str, at: i64, name: &str, mut resource: Value) -> Delivery {
    resource["test_mode"] = json!(false);
    let body = shop::event(kind, event_id, at, name, &resource);
    Delivery {
        id: format!("msg_{event_id}"),
        body: String::from_utf8(body).unwrap(),
    }
}

/// Some time after the sale.
pub const AFTER: i64 = 1_760_100_000;

pub fn payment(n: usize) -> String {
    purchase(1).session["payment_intents"][n]
        .as_str()
        .unwrap()
        .to_owned()
}

pub fn refund(event_id: &str) -> Delivery {
    let mut refund = sample("refund.updated")["object"]["refund"].take();
    refund["refund_id"] = json!("fre_1");
    refund["payment_intent_id"] = json!(payment(1));
    refund["status"] = json!("succeeded");
    refund["amount"] = json!(1825);
    refund["metadata"] = json!({});
    change("refund.updated", event_id, AFTER, "refund", refund)
}

pub fn dispute(event_id: &str) -> Delivery {
    let mut dispute = sample("charge.dispute.created")["object"]["dispute"].take();
    dispute["dispute_id"] = json!("fdsp_1");
    dispute["payment_intent_id"] = json!(payment(0));
    dispute["status"] = json!("needs_response");
    change(
        "charge.dispute.created",
        event_id,
        AFTER + 60,
        "dispute",
        dispute,
    )
}

/// SES reports on the last mail of a receipt.
pub async fn reported(bundle: &Bundle, receipt: &str, kind: &str) {
    let taken = {
        let kept = bundle.world.kept();
        let n = kept
            .mails
            .iter()
            .rposition(|mail| mail.receipt_id.as_str() == receipt)
            .unwrap();
        Taken {
            receipt_id: kept.mails[n].receipt_id.clone(),
            message_id: MessageId::new(format!("ses-{}", n + 1)).unwrap(),
            to: kept.mails[n].to.as_str().to_owned(),
            at: kept.receipts[&kept.mails[n].receipt_id].created_at,
        }
    };
    let notice: Notice = serde_json::from_value(taken.facts(kind)).unwrap();
    assert_matches!(bundle.feedback.take(&notice).await, Outcome::Accepted(_));
}

/// The first purchase, delivered twice, with a refund whose notice bounced and with a dispute.
pub async fn rich() -> Desk {
    let bundle = open_shop(OnUnknown::Resend);
    bundle.provider_has(&sale(&purchase(1)));
    let completed = Delivery::of(&purchase(1), "fevt_1");
    bundle.play(&completed).await;
    bundle.play(&completed).await;
    let order = purchase(1).order_id().to_owned();
    reported(&bundle, &format!("{order}-order"), "delivery").await;
    bundle.world.pass(Duration::from_hours(3));
    bundle.play(&refund("fevt_2")).await;
    bundle.play(&dispute("fevt_3")).await;
    reported(&bundle, "fre_1-refund", "bounce").await;
    let desk = Desk::over(bundle);
    let line = |second: i64, fields: Value| LogLine {
        at: Timestamp::from_second(BEGIN + second).unwrap(),
        fields,
    };
    desk.services().log = vec![
        line(
            1,
            json!({"function": "intake", "outcome": "accepted", "event_id": "fevt_1"}),
        ),
        line(
            2,
            json!({"function": "fulfillment", "outcome": "fulfilled", "event_id": "fevt_1", "order_id": order, "decision": "fulfill"}),
        ),
        line(
            6,
            json!({"function": "intake", "outcome": "duplicate", "event_id": "fevt_1"}),
        ),
        line(
            306,
            json!({"function": "intake", "outcome": "duplicate", "event_id": "fevt_1"}),
        ),
    ];
    desk
}

#[tokio::test]
async fn a_rich_order_shows_everything_and_what_to_do() {
    let desk = rich().await;
    let ended = desk.till(&["order", "order-1", "--logs"]).await;
    assert_eq!(ended.exit, Exit::Done);
    insta::assert_snapshot!("rich_text", ended.text);
    insta::assert_snapshot!("rich_json", ended.pretty());
    // Only a command or an id is longer, because people copy them.
    let lines = ended
        .text
        .lines()
        .filter(|line| !line.contains("till mail") && !line.contains("fcs_"));
    assert!(
        lines.clone().all(|line| line.chars().count() <= 80),
        "{}",
        ended.text
    );
}

#[tokio::test]
async fn any_id_leads_to_the_order() {
    let desk = rich().await;
    let order = purchase(1).order_id().to_owned();
    let customer = desk.customer();
    for id in [
        &*order,
        "order-1",
        &*payment(0),
        &*payment(1),
        "fre_1",
        "fre_1-refund",
        &*format!("{order}-order"),
        "fevt_1",
        "fevt_2",
        "fevt_3",
        &*customer,
    ] {
        let ended = desk.till(&["order", id]).await;
        assert_eq!(ended.exit, Exit::Done, "{id}: {}", ended.text);
        assert_eq!(ended.data()["order_id"], json!(order), "{id}");
    }
}

#[tokio::test]
async fn the_reads_of_an_order_do_not_grow_with_the_orders() {
    let desk = rich().await;
    let mut counts = Vec::new();
    for more in 0..2 {
        desk.bundle.world.kept().calls.clear();
        desk.till(&["order", "order-1"]).await;
        counts.push(desk.bundle.world.kept().calls.clone());
        if more == 0 {
            for n in 100..110 {
                desk.bundle.sell(n).await;
            }
            desk.bundle.drain().await;
        }
    }
    assert_eq!(counts[0], counts[1]);
    assert!(counts[0].len() <= 8, "{counts:?}");
}

#[tokio::test]
async fn the_paragraph_for_the_customer_has_no_id_and_no_address() {
    let desk = rich().await;
    let ended = desk.till(&["order", "order-1", "--for-customer"]).await;
    insta::assert_snapshot!("for_customer", ended.text);
    let text = ended.data()["text"].as_str().unwrap();
    assert!(!text.contains("fcs_") && !text.contains("fre_") && !text.contains('@'));
}

#[tokio::test]
async fn a_parked_order_says_what_waits() {
    let bundle = open_shop(OnUnknown::Resend);
    let mut open = sale(&purchase(1));
    open.status = SaleStatus::Open;
    bundle.provider_has(&open);
    bundle.play(&Delivery::of(&purchase(1), "fevt_1")).await;
    let desk = Desk::over(bundle);
    let order = purchase(1).order_id().to_owned();
    let body = json!({"checkout_session": {"status": "open", "payment_status": "unpaid"}});
    desk.answer(&format!("GET /v1/checkout/sessions/{order}"), 200, body);
    let ended = desk.till(&["order", &order]).await.exits(Exit::NotFound);
    insta::assert_snapshot!("parked_text", ended.text);
    insta::assert_snapshot!("parked_json", ended.pretty());
    let why = desk.till(&["why", "fevt_1"]).await.exits(Exit::Attention);
    insta::assert_snapshot!("parked_why", why.text);
}

#[tokio::test]
async fn a_missing_order_says_where_it_was_searched() {
    let desk = Desk::open();
    let ended = desk.till(&["order", "1052"]).await.exits(Exit::NotFound);
    insta::assert_snapshot!("missing_text", ended.text);
    insta::assert_snapshot!("missing_json", ended.pretty());
}

#[tokio::test]
async fn an_order_of_flint_shows_no_eligibility() {
    let shop = flint_shop().await;
    let text = std::fs::read_to_string(flint_samples().join("order.paid.json")).unwrap();
    shop.post(&serde_json::from_str(&text).unwrap()).await;
    shop.bundle.drain().await;
    let desk = Desk::over(shop.bundle).in_test_mode();
    let ended = desk.till(&["order", "ord_1001"]).await.exits(Exit::Done);
    assert!(!ended.text.contains("HSA"));
    insta::assert_snapshot!("flint_text", ended.text);
    insta::assert_snapshot!("flint_json", ended.pretty());
}

#[tokio::test]
async fn a_subscription_with_a_switched_plan_shows_its_access() {
    let life = Life::of(7);
    let bundle = open_shop(OnUnknown::Resend);
    let mut purchase = life.purchase.clone();
    purchase.session["test_mode"] = json!(false);
    purchase.customer["test_mode"] = json!(false);
    bundle.provider_has(&sale(&purchase));
    bundle.play(&Delivery::of(&purchase, "fevt_s")).await;
    let mut switched = life.subscription.clone();
    switched["items"][0]["price"]["product"] = json!("fprod_plus");
    bundle.provider_has_subscription(&switched);
    for (n, subscription) in [life.subscription.clone(), switched]
        .into_iter()
        .enumerate()
    {
        let id = format!("fevt_p{n}");
        let at = AFTER + 100 + i64::try_from(n).unwrap();
        bundle
            .play(&change(
                "customer.subscription.updated",
                &id,
                at,
                "subscription",
                subscription,
            ))
            .await;
    }
    let desk = Desk::over(bundle);
    let id = life.subscription_id();
    let ended = desk.till(&["order", &id]).await.exits(Exit::Done);
    insta::assert_snapshot!("plan_switch_text", ended.text);
    let access = desk.till(&["access", &id]).await.exits(Exit::Done);
    insta::assert_snapshot!("plan_switch_access", access.text);
}

#[tokio::test]
async fn an_address_is_asked_for_and_never_an_argument() {
    let mut desk = rich().await;
    desk.till(&["order", "pat@example.com"])
        .await
        .exits(Exit::Usage);
    let body = json!({"customers": [
        {"customer_id": "fcus_other", "email": "other@example.com"},
        {"customer_id": desk.customer(), "email": "PAT@example.com"},
    ]});
    let none = json!({"customers": []});
    desk.answer("GET /v1/customers?email=pat%40example.com", 200, body);
    desk.answer("GET /v1/customers?email=guest%40example.com", 200, none);
    desk.set("Provider", "flex");
    let unknown = FakeTerminal::typing(&["guest@example.com"]);
    let ended = desk.till_at(&unknown, &["order", "--email"]).await;
    assert_eq!(ended.exit, Exit::NotFound, "{}", ended.text);
    assert_eq!(ended.data()["orders"], json!([]));
    let terminal = FakeTerminal::typing(&["pat@example.com"]);
    let ended = desk.till_at(&terminal, &["order", "--email"]).await;
    assert_eq!(ended.exit, Exit::Done, "{}", ended.text);
    assert_eq!(ended.data()["order_id"], json!(purchase(1).order_id()));
}
