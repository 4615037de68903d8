//! One event of each kind, as the event bus delivers it. Stories of the example shop make most of them. The rest are
//! changes of the rows of these stories.

use crate::flint::samples::shop_after_all;
use announcements::{Announcer, Call, Limits};
use aws::bus::SOURCE;
use domain::{
    access::{entitlement::Entitlement, subscription::Reason},
    announcement::{Announcement, Cause, Entry, Kind, Published, access, event, order, receipt},
    delivery::stored_event::RECOVERED,
    receipt::feedback::Mails,
};
use kit::{prelude::*, ses::Taken, sweeping::sweep_over};
use std::sync::Arc;

/// All entries that the announcer publishes over a world, in their order.
async fn published(bundle: &Bundle) -> Vec<Entry> {
    let world = || bundle.world.clone();
    let announcer = Announcer {
        store: world(),
        bus: world(),
        clock: Arc::new(world()),
        mode: bundle.fulfillment.policy.mode,
        announces_contacts: true,
        limits: Limits::default(),
    };
    let call = Call {
        all_counters: true,
        ..Call::default()
    };
    announcer.answer(&call).await.unwrap();
    bundle.world.kept().published.clone()
}

/// A sample's event with real money, about the second payment of the first purchase.
fn of_the_first_sale(event_type: &str, event_id: &str, name: &str) -> Delivery {
    let mut thing = sample(event_type)["object"][name].take();
    thing["payment_intent_id"] = purchase(1).session["payment_intents"][1].clone();
    Delivery::live(event_type, event_id, 1_760_100_000, thing)
}

/// SES reports on the mail of a receipt.
async fn reported(bundle: &Bundle, n: usize, kind: &str) {
    let mail = {
        let kept = bundle.world.kept();
        let mail = &kept.mails[n];
        let ReceiptState::Sent {
            message_id,
            sent_at,
        } = &kept.receipts[&mail.receipt_id].state
        else {
            panic!("{:?}", mail.receipt_id)
        };
        Taken {
            receipt_id: mail.receipt_id.clone(),
            message_id: message_id.clone(),
            to: mail.to.as_str().to_owned(),
            at: *sent_at,
        }
    };
    let notice = serde_json::from_value(mail.facts(kind)).unwrap();
    assert_matches!(bundle.feedback.take(&notice).await, Outcome::Accepted(_));
}

/// Sales through Flex: in stock, refunded, disputed; without stock, filled later; without an address that takes mail.
async fn sales() -> (Bundle, Vec<Entry>) {
    let bundle = open_shop(OnUnknown::Hold);
    bundle.world.kept().low_at.insert(sku("BRACE-M"), 2);
    published(&bundle).await;
    bundle.sell(1).await;
    bundle.drain().await;
    published(&bundle).await;
    reported(&bundle, 0, "delivery").await;
    for (event_type, event_id, name) in [
        ("refund.created", "fevt_refund", "refund"),
        ("charge.dispute.created", "fevt_dispute", "dispute"),
        ("charge.dispute.closed", "fevt_closed", "dispute"),
    ] {
        let delivery = of_the_first_sale(event_type, event_id, name);
        bundle.play(&delivery).await;
    }
    bundle.world.kept().counters.insert(sku("BRACE-M"), 1);
    bundle.sell(2).await;
    bundle.drain().await;
    published(&bundle).await;
    let last = bundle.mails() - 1;
    reported(&bundle, last, "bounce").await;
    bundle.world.kept().counters.insert(sku("BRACE-M"), 12);
    bundle.world.pass(Duration::from_hours(1));
    sweep_over(&bundle.world).run().await.unwrap();
    bundle.drain().await;
    let entries = published(&bundle).await;
    (bundle, entries)
}

/// A subscription's life, with each event at its time.
async fn subscription() -> (Bundle, Vec<Entry>) {
    let life = Life::live(9);
    let mut bundle = open_shop(OnUnknown::Resend);
    bundle.fulfillment.policy.grace = SignedDuration::from_hours(7 * 24);
    bundle.provider_has_life(&life);
    for moment in &life.moments {
        bundle.world.pass_until(moment.at);
        bundle.play(&moment.delivery()).await;
    }
    let entries = published(&bundle).await;
    (bundle, entries)
}

/// The entries of an announcement that no story makes.
fn entries(all: Vec<Announcement>, mode: Mode) -> Vec<Entry> {
    let entry = |announcement| {
        let published = Published {
            announcement,
            mode,
            contact: None,
        };
        published.entry().unwrap()
    };
    all.into_iter().map(entry).collect()
}

/// An order whose customer becomes known.
fn order_changes(bundle: &Bundle) -> Vec<Announcement> {
    let after = bundle.order(1);
    let mut before = after.clone();
    before.customer.customer_id = None;
    let cause = Cause {
        at: bundle.world.now(),
        provider: Some(&after.provider),
        event_id: None,
    };
    order::changed(Some(&before), &after, cause)
}

/// Access that ends early, in each way.
fn access_changes(bundle: &Bundle) -> Vec<Announcement> {
    let granted = bundle
        .world
        .kept()
        .entitlements
        .values()
        .next()
        .unwrap()
        .clone();
    let at: Timestamp = "2026-03-20T18:30:00Z".parse().unwrap();
    let provider: ProviderId = "flex".parse().unwrap();
    let cause = Cause {
        at,
        provider: Some(&provider),
        event_id: None,
    };
    let changes = [
        (at, Reason::Paused),
        (at, Reason::Ended),
        (at + Duration::from_hours(24), Reason::CancelsAtPeriodEnd),
    ];
    let announced = changes.into_iter().flat_map(|(access_until, reason)| {
        let before = Entitlement {
            access_until: at + Duration::from_hours(480),
            reason: Reason::Paid,
            ..granted.clone()
        };
        let after = Entitlement {
            access_until,
            reason,
            reason_text: reason.to_string(),
            version: before.version + 1,
            ..before.clone()
        };
        access::changed(Some(&before), &after, cause)
    });
    announced.collect()
}

/// A person's actions on an event, and an event that no delivery brought.
fn event_changes(bundle: &Bundle) -> Vec<Announcement> {
    let at = bundle.world.now();
    let parked = {
        let kept = bundle.world.kept();
        let mut events = kept.events.values();
        events.find(|event| event.state == Parked).unwrap().clone()
    };
    let recovered = StoredEvent {
        delivery_id: DeliveryId::new(RECOVERED).unwrap(),
        ..parked.clone()
    };
    let by_a_person = [event::released(&parked, at), event::dropped(&parked, at)];
    let by_a_person = by_a_person.into_iter().flatten();
    let by_a_person = by_a_person.flat_map(|batch| batch.announcements);
    by_a_person.chain(event::missed(&recovered, at)).collect()
}

/// Mails that were not sent.
fn receipt_changes(bundle: &Bundle) -> Vec<Announcement> {
    let sent = bundle
        .world
        .kept()
        .receipts
        .values()
        .next()
        .unwrap()
        .clone();
    let unsent = Receipt {
        version: 2,
        state: ReceiptState::Unsent { reason: None },
        mails: Mails::default(),
        ..sent
    };
    let changed = [
        failed_for("the address is not valid"),
        ReceiptState::Held,
        withdrawn_for("the order is canceled"),
    ];
    let changed = changed.into_iter().filter_map(|state| {
        let after = Receipt {
            state,
            ..unsent.clone()
        };
        receipt::changed(&unsent, &after, bundle.world.now())
    });
    changed.flat_map(|batch| batch.announcements).collect()
}

/// One entry of each kind: the first one of the stories.
pub(super) async fn entries_by_kind() -> BTreeMap<Kind, Entry> {
    let (sales_shop, sales) = sales().await;
    let (subscription_shop, subscription) = subscription().await;
    let flint = shop_after_all().await.bundle;
    let all = [
        sales,
        subscription,
        published(&flint).await,
        entries(order_changes(&sales_shop), Mode::Live),
        entries(access_changes(&subscription_shop), Mode::Live),
        entries(event_changes(&flint), Mode::Test),
        entries(receipt_changes(&sales_shop), Mode::Live),
    ];
    let mut found = BTreeMap::new();
    for entry in all.concat() {
        found.entry(entry.kind).or_insert(entry);
    }
    found
}

/// The event that a target of a rule gets.
pub(super) fn as_delivered(entry: &Entry) -> Value {
    let detail: Value = serde_json::from_str(&entry.detail).unwrap();
    json!({
        "version": "0",
        "id": "7bf73129-1428-4cd3-a780-95db273d1602",
        "detail-type": entry.kind.as_str(),
        "source": SOURCE,
        "account": "123456789012",
        "time": entry.occurred_at,
        "region": "us-east-1",
        "resources": [],
        "detail": detail,
    })
}
