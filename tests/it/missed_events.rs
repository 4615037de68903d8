//! Missed events of Flint: those of its list of failed deliveries, and what its lists of orders and subscriptions show
//! beside them. The client of the product reads the stand-in; the stack's tables are in memory.

use domain::{
    access::subscription::SubscriptionStatus,
    upkeep::recovery::{Count, List, Reconciled},
};
use kit::{
    flint_shop::{FlintKey, flint_id},
    prelude::*,
    reconciling::reconcile_over,
    signed::signed_as,
    stand_in::{self, FlintStandIn, Kind},
    story::SECRET,
};
use providers::{Connection, Providers};
use std::sync::Arc;

/// A shop that sells through Flex and Flint, with Flint's API.
struct Shop {
    bundle: Bundle,
    flint: FlintStandIn,
}

/// One event of Flint.
struct Missed {
    id: String,
    kind: &'static str,
    data: Value,
}

impl Missed {
    fn new(id: &str, kind: &'static str, data: Value) -> Self {
        Self {
            id: id.to_owned(),
            kind,
            data,
        }
    }

    /// The body of its delivery.
    fn body(&self) -> Value {
        json!({
            "webhook_event_id": self.id, "event_type": self.kind, "payload_version": 1, "mode": "live",
            "merchant_id": "mer_1", "created_at": MADE, "data": self.data,
        })
    }

    /// The answer of Flint's API about it after the last try.
    fn failed(&self) -> Value {
        json!({
            "webhook_event_id": self.id, "event_type": self.kind, "delivery_status": "failed", "mode": "live",
            "created_at": MADE, "payload": self.body(),
        })
    }
}

/// When everything has happened, and when a run reads the lists.
const MADE: &str = "2026-01-09T12:00:00Z";
const NOW: &str = "2026-01-10T12:00:00Z";

impl Shop {
    async fn open(key: &'static str) -> Self {
        let mut bundle = open_shop(OnUnknown::Resend);
        bundle.world.pass_until(NOW.parse().unwrap());
        let flint = FlintStandIn::start().await.unwrap();
        let connection = Connection {
            base_url: flint.url.clone(),
            max_bytes: None,
            receipts: Some(true),
        };
        let client = providers::connected("flint", &connection).unwrap();
        let all: Providers = bundle.world.providers();
        let all = all.with(flint_id(), client, Some(Arc::new(FlintKey(key))));
        bundle.intake.providers = all.clone();
        bundle.fulfillment.providers = all;
        Self { bundle, flint }
    }

    fn has(&self, kind: Kind, thing: Value) {
        self.flint.put(stand_in::Mode::Live, kind, thing);
    }

    async fn deliver(&self, body: &Value) -> u16 {
        let (id, body) = (body["webhook_event_id"].as_str().unwrap(), body.to_string());
        let signed = signed_as(id, SECRET, &body, self.bundle.world.now());
        let header = |name: &str| {
            if name == "content-type" {
                return Some("application/json");
            }
            let svix = name.replace("webhook-", "svix-");
            let found = signed.iter().find(|(known, _)| *known == svix);
            found.map(|(_, value)| value.as_str())
        };
        let incoming = intake::request::Incoming {
            method: "POST",
            provider: "flint",
            header: &header,
            body: body.as_bytes(),
        };
        self.bundle.intake.take(&incoming).await.reply().status
    }

    async fn try_run(&self) -> Result<Reconciled, RetryableError> {
        let mut reconcile = reconcile_over(&self.bundle.world, 3);
        reconcile.providers = self.bundle.intake.providers.clone();
        let ended = Box::pin(reconcile.run()).await;
        self.bundle.drain().await;
        ended
    }

    async fn run(&self) -> Reconciled {
        self.try_run().await.unwrap()
    }

    /// A run finds nothing, and records nothing.
    async fn misses_nothing(&self) {
        let before = self.bundle.world.kept().events.len();
        let again = self.run().await;
        let Count { examined, .. } = again.total();
        let nothing = Count {
            examined,
            ..Count::default()
        };
        assert_eq!(again.total(), nothing, "{again}");
        assert_eq!(self.bundle.world.kept().events.len(), before);
    }

    /// What must be the same, however the events came.
    fn end(&self) -> (End, Vec<(SubscriptionId, SubscriptionStatus)>, Vec<String>) {
        let kept = self.bundle.world.kept();
        let mut end = End::of(&kept);
        end.events.clear();
        let subscriptions = kept.subscription_rows.values();
        let statuses = subscriptions.map(|row| {
            let facts = &row.snapshot.as_ref().unwrap().value;
            (row.subscription_id.clone(), facts.status.clone())
        });
        let resources = kept.resources.keys().map(ToString::to_string);
        (end, statuses.collect(), resources.collect())
    }
}

fn usd(amount: i64) -> Value {
    json!({"amount": amount, "currency": "USD"})
}

/// An order of 2500, of which so much is paid.
fn order(id: &str, paid: i64) -> Value {
    let word = match paid {
        0 => "unpaid",
        2500 => "paid",
        _ => "partially_paid",
    };
    json!({
        "order_id": id, "status": "open", "payment_status": word, "created_at": MADE, "updated_at": MADE,
        "buyer_contact": {"email": "pat@example.com"},
        "pricing_amounts": {"subtotal_money": usd(2500), "total_money": usd(2500)},
        "settlement_amounts": {"paid_money": usd(paid), "outstanding_money": usd(2500 - paid)},
        "line_items": [
            {"order_line_item_id": "li_1", "name": "Red shirt", "quantity": 1, "total_money": usd(2500)},
        ],
    })
}

fn subscription(id: &str, status: &str) -> Value {
    json!({
        "subscription_id": id, "customer_id": "cus_1", "status": status, "subscription_plan_id": "plan_1",
        "created_at": MADE, "updated_at": MADE, "current_period_end": "2026-02-09T12:00:00Z",
    })
}

/// Orders, subscriptions and movements in Flint's API, and every event of them.
fn season(shop: &Shop) -> Vec<Missed> {
    let mut events = Vec::new();
    for n in 0..8 {
        let (ord, sub, btxn) = (format!("ord_{n}"), format!("sub_{n}"), format!("btxn_{n}"));
        shop.has(Kind::Orders, order(&ord, 2500));
        shop.has(Kind::Subscriptions, subscription(&sub, "active"));
        shop.has(
            Kind::BalanceTransactions,
            json!({
                "balance_transaction_id": btxn, "type": "payment", "status": "available",
                "amount_money": usd(2500), "fee_money": usd(100), "net_money": usd(2400), "occurred_at": MADE,
            }),
        );
        let mut happened = |what: &str, kind, data| {
            events.push(Missed::new(&format!("whev_{what}_{n}"), kind, data));
        };
        happened("new", "order.created", json!({"order_id": ord}));
        happened(
            "sub",
            "subscription.activated",
            json!({"subscription_id": sub}),
        );
        happened("paid", "order.paid", json!({"order_id": ord}));
        let movement = json!({"balance_transaction_id": btxn});
        happened("btxn", "balance_transaction.created", movement);
    }
    events
}

fn list(name: &'static str) -> List {
    let provider = flint_id();
    List { provider, name }
}

#[tokio::test]
async fn half_of_flints_deliveries_dropped_for_ever_are_recovered_and_a_second_run_records_nothing()
{
    let all = Shop::open("flint_live_1").await;
    for event in season(&all) {
        assert_eq!(all.deliver(&event.body()).await, 200);
    }
    all.bundle.drain().await;
    let expected = all.end();
    assert_eq!((expected.0.mails.len(), expected.2.len()), (8, 8));
    all.misses_nothing().await;

    for drops in [
        |n: usize| n.is_multiple_of(2),
        |n: usize| !n.is_multiple_of(2),
        |n: usize| (n / 4).is_multiple_of(2),
        |_| true,
    ] {
        let shop = Shop::open("flint_live_1").await;
        let events = season(&shop);
        let mut dropped = 0;
        for (n, event) in events.iter().enumerate() {
            if drops(n) {
                dropped += 1;
                shop.has(Kind::WebhookEvents, event.failed());
            } else {
                assert_eq!(shop.deliver(&event.body()).await, 200);
            }
        }
        shop.bundle.drain().await;
        let run = shop.run().await;
        assert_eq!(
            run.counts[&list("failed deliveries")].missing,
            dropped,
            "{run}"
        );
        assert_eq!(run.total().missing, dropped, "each is counted once: {run}");
        assert_eq!(shop.end(), expected, "{run}");
        shop.misses_nothing().await;
        // Flint resends each under its id, in another encoding.
        for event in &events {
            let mut body = event.body();
            body["api_version"] = json!("2026-09-07");
            assert_eq!(shop.deliver(&body).await, 200);
        }
        shop.bundle.drain().await;
        assert_eq!(shop.end(), expected);
        assert_eq!(shop.bundle.world.kept().events.len(), events.len());
    }
}

#[tokio::test]
async fn what_the_list_of_events_has_lost_is_recovered_from_orders_and_subscriptions() {
    let shop = Shop::open("flint_live_1").await;
    season(&shop);
    shop.has(Kind::Orders, order("ord_part", 1000));
    shop.has(Kind::Orders, order("ord_open", 0));
    let mut closed = order("ord_closed", 1000);
    closed["status"] = json!("closed");
    shop.has(Kind::Orders, closed);
    shop.has(Kind::Subscriptions, subscription("sub_over", "canceled"));
    let run = shop.run().await;
    let missing = |name| run.counts[&list(name)].missing;
    assert_eq!(
        (missing("orders"), missing("subscriptions")),
        (10, 9),
        "{run}"
    );
    shop.misses_nothing().await;
    let state = |id: &str| {
        let id = OrderId::new(id).unwrap();
        let kept = shop.bundle.world.kept();
        kept.orders.get(&id).map(Order::state)
    };
    assert_eq!(state("ord_0"), Some(OrderState::Paid));
    assert_eq!(state("ord_part"), Some(OrderState::PartlyPaid));
    assert_eq!(state("ord_closed"), Some(OrderState::PartlyPaid));
    assert_eq!(state("ord_open"), None);

    // A subscription, a waiting order and a part change without an event.
    let later = "2026-01-10T11:00:00Z";
    let changed = |mut thing: Value| {
        thing["updated_at"] = json!(later);
        thing
    };
    shop.has(Kind::Orders, changed(order("ord_part", 2500)));
    shop.has(
        Kind::Subscriptions,
        changed(subscription("sub_0", "past_due")),
    );
    let mut ends = changed(subscription("sub_1", "active"));
    ends["cancel_at_period_end"] = json!(true);
    shop.has(Kind::Subscriptions, ends);
    let mut longer = changed(subscription("sub_2", "active"));
    longer["current_period_end"] = json!("2026-03-09T12:00:00Z");
    shop.has(Kind::Subscriptions, longer);
    let run = shop.run().await;
    let missing = |name| run.counts[&list(name)].missing;
    assert_eq!(
        (missing("orders"), missing("subscriptions")),
        (1, 3),
        "{run}"
    );
    assert_eq!(state("ord_part"), Some(OrderState::Paid));
    shop.misses_nothing().await;
}

#[tokio::test]
async fn an_event_without_its_payload_is_recovered_by_what_it_names_or_kept_by_its_id() {
    let shop = Shop::open("flint_live_1").await;
    shop.has(Kind::Invoices, json!({"invoice_id": "inv_1"}));
    let expired = |id: &str, kind: &str| {
        json!({
            "webhook_event_id": id, "event_type": kind, "delivery_status": "failed", "created_at": MADE,
        })
    };
    let mut named = expired("whev_1", "balance_transaction.created");
    named["resource_type"] = json!("balance_transaction");
    named["resource_id"] = json!("btxn_1");
    shop.has(
        Kind::BalanceTransactions,
        json!({
            "balance_transaction_id": "btxn_1", "type": "payment", "status": "available",
            "amount_money": usd(2500), "net_money": usd(2400), "occurred_at": MADE,
        }),
    );
    shop.has(Kind::WebhookEvents, named);
    shop.has(
        Kind::WebhookEvents,
        expired("whev_2", "balance_transaction.created"),
    );
    // Known with its payload, and never understood: a person decides, as after its delivery.
    let dispute = Missed::new("whev_3", "dispute.created", json!({"dispute_id": "dp_1"}));
    shop.has(Kind::WebhookEvents, dispute.failed());
    // It may still be on its way.
    let mut young = Missed::new("whev_4", "order.paid", json!({"order_id": "ord_1"})).failed();
    young["created_at"] = json!("2026-01-10T11:50:00Z");
    young["payload"]["created_at"] = young["created_at"].clone();
    shop.has(Kind::WebhookEvents, young);

    let run = shop.run().await.total();
    assert_eq!((run.examined, run.missing, run.unreadable), (2, 2, 1));
    let state = |id: &str| {
        let id = EventId::new(id).unwrap();
        let kept = shop.bundle.world.kept();
        kept.events.get(&id).map(|event| event.state)
    };
    assert_eq!(
        ["whev_1", "whev_2", "whev_3", "whev_4"].map(state),
        [Some(Processed), None, Some(Parked), None]
    );
    let again = shop.run().await.total();
    assert_eq!(
        (again.missing, again.unreadable, again.seen_before),
        (0, 0, 1)
    );
    assert_eq!(shop.deliver(&dispute.body()).await, 200);
    assert_eq!(shop.bundle.world.kept().events.len(), 3);
}

#[tokio::test]
async fn a_provider_that_is_away_or_refuses_our_key_stops_no_other() {
    // Flint refuses the key, so a sale of Flex is recovered nevertheless.
    let shop = Shop::open("a_wrong_key").await;
    let mut bought = purchase(1);
    bought.session["created_at"] = json!(MADE.parse::<Timestamp>().unwrap().as_second());
    shop.bundle.provider_has(&sale(&bought));
    let ended = shop.try_run().await;
    assert!(ended.is_err(), "{ended:?}");
    assert_eq!(shop.bundle.world.kept().orders.len(), 1);

    let away = || RetryableError::Away {
        service: "Flex",
        cause: "no answer in time".into(),
        retry_after: None,
    };
    for fault in [
        ReadError::KeyRefused { status: 401 },
        ReadError::Transient(away()),
    ] {
        let shop = Shop::open("flint_live_1").await;
        shop.has(Kind::Orders, order("ord_1", 2500));
        shop.bundle.world.kept().read_faults.push_back(fault);
        let Err(error) = shop.try_run().await else {
            panic!("no run reports it")
        };
        assert!(!error.to_string().contains("flint"), "{error}");
        assert_eq!(shop.bundle.world.kept().orders.len(), 1);
        assert!(shop.flint.requests_for("/v1/orders") > 0);
    }
}
