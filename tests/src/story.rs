//! A story over the world in memory: the example shop is open, and a sender delivers as Svix does. Its end
//! can be compared with another story's.
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a story that cannot be set up must stop the test"
)]

use crate::{
    drive::Bundle,
    fakes::{Kept, World},
    life::Life,
    shop::{self, Purchase},
    signed::signed_as,
};
use domain::{
    access::subscription::{Bill, Source},
    delivery::{
        event::{Change, Reading},
        stored_event::EventState,
    },
    ports::Clock as _,
    receipt::{OnUnknown, ReceiptState},
    sale::{
        event_history::EventHistory, order::Order, payment, refund, statement::Sale,
        stock::Movement,
    },
    values::{
        facts::{Fact, Stated},
        ids::{EventId, OrderId, PaymentIntentId, ReceiptId, Sku},
        mode::Mode,
        money::Currency,
    },
};
use intake::{answer::Answer, request::Incoming};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::{collections::BTreeMap, time::Duration};

/// The secret of the shop's webhook endpoint.
pub const SECRET: &str = "fwhsec_Y2NhZDczMDYtNDEyYi0xMWVlLTg5MTItNGY4Y2E5ZmU1MmI4";
/// When a story begins: shortly after the sample was paid for.
pub const BEGIN: i64 = 1_760_090_010;
/// The stock of each product.
pub const ON_HAND: i64 = 10;

/// Svix's schedule of resends (<https://docs.svix.com/retries>).
const RESENDS: [Duration; 7] = [
    Duration::from_secs(5),
    Duration::from_mins(5),
    Duration::from_mins(30),
    Duration::from_hours(2),
    Duration::from_hours(5),
    Duration::from_hours(10),
    Duration::from_hours(10),
];

/// The shop, live, with both of the samples' products in stock and nothing sold.
pub fn open_shop(on_unknown: OnUnknown) -> Bundle {
    let bundle = Bundle::over(&World::default(), Mode::Live, on_unknown);
    bundle.begin_again();
    bundle
}

/// A stock keeping unit.
pub fn sku(name: &str) -> Sku {
    Sku::new(name).expect("a SKU")
}

/// The sample as the shop's `n`th sale, with real money.
#[expect(
    clippy::indexing_slicing,
    reason = "indexing a `Value` to write makes the member"
)]
pub fn purchase(n: u64) -> Purchase {
    let mut purchase = Purchase::numbered(n);
    purchase.session["test_mode"] = false.into();
    purchase.customer["test_mode"] = false.into();
    purchase
}

/// A purchase in Flex's API, as the core reads it.
pub fn sale(purchase: &Purchase) -> Sale {
    let session = serde_json::from_value(purchase.session.clone()).expect("a session");
    let lines: flex::wire::LineItems =
        serde_json::from_value(purchase.line_items.clone()).expect("line items");
    let customer = serde_json::from_value(purchase.customer.clone()).expect("a customer");
    flex::sale(&session, &lines, Some(&customer)).expect("a sale")
}

/// A refund in the provider's words, as the core reads it.
pub fn refund_news(refund: &Value) -> refund::RefundChange {
    let body = shop::event("refund.updated", "fevt_0", 0, "refund", refund);
    let Reading::Event(event) = flex::read(&body) else {
        panic!("no event: {refund}")
    };
    let Change::Refund(change) = event.change else {
        panic!("no refund: {refund}")
    };
    change
}

/// An invoice that states nothing but its currency.
pub fn bill() -> Bill {
    Bill {
        currency: Currency::USD,
        amount_paid: None,
        amount_due: None,
        payment_intent_id: None,
        period_start: None,
        period_end: None,
        created_at: None,
    }
}

/// The facts of a payment in this status, in Flex's word, as the core reads them.
pub fn payment_facts(word: &str, amounts: &Value) -> Stated<payment::PaymentFacts> {
    let mut intent = json!({"payment_intent_id": "fpi_1", "status": word});
    let members = intent.as_object_mut().expect("an object");
    members.extend(amounts.as_object().cloned().unwrap_or_default());
    let kind = "payment_intent";
    let body = shop::event("payment_intent.succeeded", "fevt_0", 0, kind, &intent);
    let Reading::Event(event) = flex::read(&body) else {
        panic!("no event: {intent}")
    };
    match event.change {
        Change::Payment(change) => change.facts.expect("facts"),
        change => panic!("no payment: {change:?}"),
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    pub id: String,
    pub body: String,
}

impl Delivery {
    /// The completion of a purchase, under an event id of the provider.
    pub fn of(purchase: &Purchase, event_id: &str) -> Self {
        Self::with_body(event_id, purchase.completed(event_id))
    }

    /// An event about a thing, with real money.
    #[expect(
        clippy::indexing_slicing,
        reason = "indexing a `Value` to write makes the member"
    )]
    pub fn live(event_type: &str, event_id: &str, at: i64, mut thing: Value) -> Self {
        thing["test_mode"] = false.into();
        let name = match event_type.rsplit('.').nth(1) {
            Some("session") => "checkout_session",
            name => name.expect("a type names its thing"),
        };
        let body = shop::event(event_type, event_id, at, name, &thing);
        Self::with_body(event_id, body)
    }

    /// A delivery of this body.
    ///
    /// # Panics
    ///
    /// If the body is no text.
    pub fn with_body(event_id: &str, body: Vec<u8>) -> Self {
        Self {
            id: format!("msg_{event_id}"),
            body: String::from_utf8(body).expect("JSON is UTF-8"),
        }
    }
}

impl Bundle {
    /// Back to the morning on which the shop opened.
    pub fn begin_again(&self) {
        let morning = World::at(Timestamp::from_second(BEGIN).expect("a time"));
        morning.kept().keys = vec![flex::secret::key(SECRET).expect("a secret")];
        for name in ["BRACE-M", "TOTE"] {
            morning.kept().counters.insert(sku(name), ON_HAND);
        }
        std::mem::swap(&mut *self.world.kept(), &mut *morning.kept());
    }

    /// From now on the provider's API knows this sale.
    pub fn provider_has(&self, sale: &Sale) {
        self.world
            .kept()
            .sales
            .insert(sale.order_id.clone(), sale.clone());
    }

    /// From now on the provider's API knows a life's sale and its subscription.
    pub fn provider_has_life(&self, life: &Life) {
        self.provider_has(&sale(&life.purchase));
        self.provider_has_subscription(&life.subscription);
    }

    /// From now on the provider's API knows these refunds.
    pub fn provider_has_refunds(&self, refunds: &[refund::RefundChange]) {
        let known = refunds
            .iter()
            .map(|refund| (refund.refund_id.clone(), refund.clone()));
        self.world.kept().refunds.extend(known);
    }

    /// From now on the provider's API knows a subscription, in the provider's own words.
    pub fn provider_has_subscription(&self, subscription: &Value) {
        let body = shop::event(
            "customer.subscription.updated",
            "fevt_0",
            0,
            "subscription",
            subscription,
        );
        let Reading::Event(event) = flex::read(&body) else {
            panic!("no event: {subscription}")
        };
        let Change::Subscription(mut change) = event.change else {
            panic!("no subscription: {subscription}")
        };
        change.snapshot.source = Source::Read;
        self.world
            .kept()
            .subscriptions
            .insert(change.subscription_id.clone(), change);
    }

    /// Posts a delivery, signed now. `None` when the process stopped before it answered.
    pub async fn post(&self, delivery: &Delivery) -> Option<Answer> {
        let headers = signed_as(&delivery.id, SECRET, &delivery.body, self.world.now());
        let header = |name: &str| match name {
            "content-type" => Some("application/json"),
            _ => headers
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, value)| value.as_str()),
        };
        let body = delivery.body.as_bytes();
        let incoming = Incoming {
            method: "POST",
            provider: "flex",
            header: &header,
            body,
        };
        self.world.run(self.intake.take(&incoming)).await
    }

    /// Posts a delivery until it is answered with 200, at the intervals at which Svix comes again. If
    /// `working`, the queues are worked off between two tries.
    pub async fn deliver(&self, delivery: &Delivery, working: bool) {
        for wait in RESENDS {
            if self
                .post(delivery)
                .await
                .is_some_and(|answer| answer.reply().status == 200)
            {
                return;
            }
            if working {
                self.drain().await;
            }
            self.world.pass(wait);
        }
        let answer = self.post(delivery).await;
        assert_eq!(
            answer.map(|answer| answer.reply().status),
            Some(200),
            "the sender has given up"
        );
    }
}

/// The end of a story: everything that must not depend on interruptions. Our own times, versions and counts
/// of attempts are left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// The orders, whenever they were fulfilled.
    pub orders: BTreeMap<OrderId, Order>,
    pub counters: BTreeMap<Sku, i64>,
    /// The movements, whenever they were made.
    pub movements: BTreeMap<(Sku, OrderId), Movement>,
    pub receipts: BTreeMap<ReceiptId, &'static str>,
    /// The state of each event, and its reason.
    pub events: BTreeMap<EventId, (EventState, Option<String>)>,
    /// For which receipts mails went out, sorted; one entry a mail.
    pub mails: Vec<ReceiptId>,
    /// The messages left in the queues.
    pub queued: usize,
    /// The messages that the queues gave up on.
    pub dead_letters: Vec<String>,
}

impl End {
    /// The end without the events and their times. Webhooks and lists lead to the same one.
    #[must_use]
    pub fn without_events(mut self) -> Self {
        let then = Timestamp::UNIX_EPOCH;
        self.events.clear();
        for order in self.orders.values_mut() {
            order.placed_at = then;
            for refund in order.refunds.values_mut() {
                refund.facts = Fact::new(then, refund.facts.value.clone());
            }
        }
        self
    }

    /// The end as it is now.
    pub fn of(kept: &Kept) -> Self {
        let then = Timestamp::UNIX_EPOCH;
        let orders = kept.orders.iter().map(|(id, order)| {
            (
                id.clone(),
                Order {
                    fulfilled_at: order.fulfilled_at.map(|_| then),
                    version: 0,
                    payments: timeless(order),
                    // The list of events is about their arrival.
                    event_history: EventHistory::default(),
                    ..order.clone()
                },
            )
        });
        let movements = kept.movements.iter().map(|(key, moved)| {
            (
                key.clone(),
                Movement {
                    moved_at: then,
                    // Which refund restocked last depends on their arrival.
                    restocked_at: None,
                    restocked_earlier: 0,
                    ..moved.clone()
                },
            )
        });
        let events = kept
            .events
            .iter()
            .map(|(id, event)| (id.clone(), (event.state, event.reason.clone())));
        let mut mails: Vec<_> = kept
            .mails
            .iter()
            .map(|mail| mail.receipt_id.clone())
            .collect();
        mails.sort();
        Self {
            orders: orders.collect(),
            counters: kept.counters.clone(),
            movements: movements.collect(),
            receipts: kept
                .receipts
                .iter()
                .map(|(id, receipt)| (id.clone(), word(&receipt.state)))
                .collect(),
            events: events.collect(),
            mails,
            queued: kept.fulfillment_queue.len() + kept.receipt_queue.len(),
            dead_letters: kept.given_up(),
        }
    }
}

/// The facts of an order's payments, without their times.
fn timeless(order: &Order) -> BTreeMap<PaymentIntentId, Fact<payment::PaymentFacts>> {
    let payments = order.payments.iter();
    payments
        .map(|(id, facts)| {
            (
                id.clone(),
                Fact::new(Timestamp::UNIX_EPOCH, facts.value.clone()),
            )
        })
        .collect()
}

fn word(state: &ReceiptState) -> &'static str {
    match state {
        ReceiptState::Unsent { .. } => "unsent",
        ReceiptState::Leased { .. } => "leased",
        ReceiptState::Sent { .. } => "sent",
        ReceiptState::Failed { .. } => "failed",
        ReceiptState::Held => "held",
        ReceiptState::Withdrawn { .. } => "withdrawn",
    }
}
