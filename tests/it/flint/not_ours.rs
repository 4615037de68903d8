//! Requests that intake refuses, events that it knows already, and events of another shop.

use super::{id, sample};
use domain::delivery::signature::Refusal;
use intake::answer::{Answer, Kept as Taken};
use kit::{
    flint_shop::{FlintShop, flint_shop},
    prelude::*,
};

/// True if nothing but the event's own row was written, and Flint's API was not asked.
fn has_no_effect(shop: &FlintShop) -> bool {
    let kept = shop.bundle.world.kept();
    let tables = &kept.tables;
    tables.orders.is_empty()
        && tables.links.is_empty()
        && tables.receipts.is_empty()
        && tables.movements.is_empty()
        && tables.resources.is_empty()
        && kept.mails.is_empty()
        && kept.fulfillment_queue.is_empty()
        && shop.flint.requests().is_empty()
}

/// The sample `order.paid` with these members changed.
fn paid_with(changed: &Value) -> Value {
    let mut event = sample("order.paid");
    let changed = changed.as_object().unwrap().clone();
    event.as_object_mut().unwrap().extend(changed);
    event
}

#[tokio::test]
async fn a_delivery_id_that_is_not_the_events_is_refused_before_any_table_is_called() {
    let shop = flint_shop().await;
    let event = sample("order.paid");
    let answer = shop.post_as("whev_other", &event.to_string()).await;
    assert_eq!(answer, Answer::Refused(Refusal::OtherId.into()));
    assert_eq!(answer.reply().status, 401);
    assert!(shop.bundle.world.kept().calls.is_empty());
    let answer = shop.post_as(id(&event), &event.to_string()).await;
    assert_matches!(answer, Answer::Kept(Taken::Accepted, ..));
}

#[tokio::test]
async fn an_event_that_is_encoded_in_another_way_is_a_duplicate_and_no_conflict() {
    let shop = flint_shop().await;
    let event = sample("order.paid");
    assert_matches!(shop.post(&event).await, Answer::Kept(Taken::Accepted, ..));
    shop.bundle.drain().await;
    let order = OrderId::new("ord_1001").unwrap();
    let before = shop.bundle.world.kept().orders[&order].clone();
    let in_other_version = paid_with(&json!({"api_version": "2026-02-01"}));
    for body in [
        serde_json::to_string_pretty(&event).unwrap(),
        in_other_version.to_string(),
    ] {
        let answer = shop.post_as(id(&event), &body).await;
        assert_matches!(answer, Answer::Kept(Taken::Duplicate, ..));
    }
    shop.bundle.drain().await;
    let kept = shop.bundle.world.kept();
    assert_eq!(kept.events.len(), 1);
    assert_eq!(kept.orders[&order], before);
    assert_eq!(kept.mails.len(), 1);
}

#[tokio::test]
async fn an_event_of_another_account_is_not_needed_and_has_no_effect() {
    let partner = json!({
        "webhook_event_id": "whev_partner", "event_type": "order.paid", "api_version": "2026-09-07",
        "created_at": "2026-01-05T10:05:00Z", "partner_app_id": "pa_1",
        "data": {
            "order_id": "ord_1001", "source_type": "installed_merchants", "merchant_id": "mer_1", "mode": "test",
            "environment_grant_id": "egrt_1", "partner_app_install_id": "pinst_1",
        },
    });
    for (event, reason) in [
        (paid_with(&json!({"test": true})), "a synthetic test event"),
        (paid_with(&json!({"mode": "live"})), "an event of live mode"),
        (
            paid_with(&json!({"merchant_id": "mer_2"})),
            "an event of another merchant",
        ),
        (partner, "an event for a partner's app"),
    ] {
        let shop = flint_shop().await;
        assert_eq!(shop.post(&event).await.reply().status, 200, "{reason}");
        shop.bundle.drain().await;
        let row = shop.event(id(&event));
        assert_eq!(row.state, NotNeeded, "{reason}");
        assert!(row.reason.unwrap().starts_with(reason), "{reason}");
        assert!(has_no_effect(&shop), "{reason}");
    }
}

#[tokio::test]
async fn a_layout_that_is_not_known_is_parked_without_an_effect() {
    let shop = flint_shop().await;
    let event = paid_with(&json!({"payload_version": 2}));
    let answer = shop.post(&event).await;
    assert_eq!(answer.reply().status, 200);
    shop.bundle.drain().await;
    let row = shop.event(id(&event));
    assert_eq!(row.state, Parked);
    assert!(row.reason.unwrap().contains("payload_version"));
    assert!(has_no_effect(&shop));
}
