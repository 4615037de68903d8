//! The events of a shop at the provider: each truth with its time, and its announcement.
//!
//! Everything is made from a seed and from the samples, and is the same whatever goes wrong later.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a sample that is not as it should be must stop the test"
)]

use crate::flint_shop::plan::FlintPlan;
use domain::{
    access::{
        purchase::AccessPolicies,
        subscription::{self, Source},
    },
    delivery::event::Change,
    fulfillment::Policy,
    sale::{
        mapping::{Mapping, MappingKey, MappingRow},
        payment, refund,
        shop::ShopFilter,
        statement::Capture,
        stock::RenewalStock,
    },
    values::facts::Stated,
    values::ids::ProductId,
};
use kit::dice::Dice;
use kit::prelude::*;
use kit::shop::{self, event};
use kit::story;
use std::sync::{LazyLock, Mutex, PoisonError};

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;
const MONTH: i64 = 30 * DAY;

/// Something that is true at the provider's from then on.
#[derive(Debug, Clone)]
pub enum Truth {
    Sale(Box<Sale>),
    Refund(Box<refund::RefundChange>),
    /// A subscription is like this, and has ended then, if it has.
    Subscription(Box<subscription::SubscriptionChange>, Option<Timestamp>),
    /// An invoice is paid that was made then.
    Invoice(Box<subscription::InvoiceChange>, Timestamp),
    /// Flint's API has this thing at this path.
    Flint(String, Value),
}

#[derive(Debug, Clone)]
pub struct Webhook {
    /// The provider's name.
    pub provider: &'static str,
    pub event_id: String,
    pub body: String,
    /// A list keeps showing it, so that reconcile recovers it if it never comes.
    pub listed: bool,
}

#[derive(Debug, Clone)]
pub struct Moment {
    /// When, in seconds since 1970.
    pub at: i64,
    /// The truth from then on.
    pub truth: Option<Truth>,
    pub webhook: Option<Webhook>,
}

impl Moment {
    /// Something is true from then on.
    pub fn of_truth(at: i64, truth: Truth) -> Self {
        Self {
            at,
            truth: Some(truth),
            webhook: None,
        }
    }

    /// The provider announces something.
    pub fn of_webhook(at: i64, webhook: Webhook) -> Self {
        Self {
            at,
            truth: None,
            webhook: Some(webhook),
        }
    }
}

#[derive(Debug, Clone)]
pub struct RefundFacts {
    pub id: String,
    pub amount: i64,
    pub status: &'static str,
    pub succeeded: bool,
    pub goods: BTreeMap<Sku, i64>,
}

#[derive(Debug, Clone)]
pub struct OrderFacts {
    pub id: String,
    /// The order of a renewal, which has no reference of the merchant.
    pub renews: bool,
    pub payments: Vec<String>,
    /// The last status of each payment that has its own events.
    pub statuses: BTreeMap<String, &'static str>,
    /// The customer, if an event states the customer's address.
    pub customer: Option<String>,
    /// The address that was given in the sale.
    pub email: String,
    pub reference: String,
    /// The order's funds in the end.
    pub funds: OrderFunds,
    pub total: i64,
    /// The bought pieces of each counted thing.
    pub goods: BTreeMap<Sku, i64>,
    pub refunds: Vec<RefundFacts>,
    /// The last status of each dispute.
    pub disputes: BTreeMap<String, &'static str>,
}

/// An invoice of a subscription, as it ends.
#[derive(Debug, Clone)]
pub struct InvoiceFacts {
    pub id: String,
    /// Paid by the sale.
    pub first: bool,
    pub payment: String,
    pub paid: bool,
    /// When its payment failed, if it did.
    pub failed_at: Option<i64>,
    pub end: i64,
}

#[derive(Debug, Clone, Default)]
pub struct LifeFacts {
    pub customer: String,
    pub id: String,
    /// The order that it began with, if it was paid.
    pub order: Option<String>,
    pub payments: Vec<String>,
    pub product: String,
    pub invoices: Vec<InvoiceFacts>,
    pub status: &'static str,
    /// Not to be renewed.
    pub cancels: bool,
    /// The end of the period that it is in.
    pub period_end: i64,
    /// The end of its trial, if it had one.
    pub trial_end: Option<i64>,
    /// When it was first called off, if it was.
    pub left_at: Option<i64>,
    /// When it ended, if it has.
    pub ended_at: Option<i64>,
}

#[derive(Debug)]
pub struct Plan {
    pub moments: Vec<Moment>,
    /// The stock at the beginning.
    pub stock_levels: BTreeMap<Sku, i64>,
    /// Each period of a subscription sends a box.
    pub mapping: Mapping,
    pub policy: Policy,
    /// The policy for mails with an unknown outcome.
    pub on_unknown: OnUnknown,
    /// The completed sales, as they end.
    pub orders: Vec<OrderFacts>,
    pub lives: Vec<LifeFacts>,
    /// The last announced address of each customer, and its time.
    pub addresses: BTreeMap<String, (i64, String)>,
    pub deleted: Vec<String>,
    /// The story at the second provider. Its moments are among the others.
    pub flint: FlintPlan,
    dice: Dice,
    next_event: u64,
}

/// A part of a sample: read from its file once.
fn sample(kind: &str, resource: &str) -> Value {
    static READ: LazyLock<Mutex<BTreeMap<String, Value>>> = LazyLock::new(Mutex::default);
    let mut read = READ.lock().unwrap_or_else(PoisonError::into_inner);
    let known = read
        .entry(kind.to_owned())
        .or_insert_with(|| shop::sample(kind));
    let mut resource = known["object"][resource].clone();
    resource["test_mode"] = json!(false);
    resource
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("a time")
}

fn text(second: i64) -> Value {
    json!(at(second).to_string())
}

/// The goods of a subscription's period.
const BOX: &str = "BOX";

fn boxes_by_product() -> Mapping {
    let product = shop::product_of(&shop::subscription(0));
    let product = ProductId::new(product).expect("an id");
    let row = MappingRow {
        maps_to: Some(counted(BOX)),
        ..MappingRow::default()
    };
    Mapping::from([(MappingKey::Product(product), row)])
}

fn counted(name: &str) -> Sku {
    Sku::new(name).expect("a SKU")
}

fn reference(bought: &Purchase) -> String {
    bought.session["client_reference_id"]
        .as_str()
        .expect("a reference")
        .to_owned()
}

fn payments_of(bought: &Purchase) -> Vec<String> {
    let payments = bought.session["payment_intents"]
        .as_array()
        .expect("payments");
    payments
        .iter()
        .map(|payment| payment.as_str().expect("an id").to_owned())
        .collect()
}

/// How the payments of an order end.
fn statuses_of(payments: &[String], funds: OrderFunds) -> BTreeMap<String, &'static str> {
    let status = if funds == OrderFunds::Received {
        "succeeded"
    } else {
        "canceled"
    };
    payments.iter().map(|id| (id.clone(), status)).collect()
}

/// A body's change, as intake reads it.
fn change(body: &[u8]) -> Change {
    match flex::read(body) {
        Reading::Event(event) => event.change,
        Reading::Unreadable(why) => panic!("no event: {why}"),
    }
}

/// The payments of an order with the amount of each: equal parts, the rest with the first.
fn parts(payments: &[String], total: i64) -> impl Iterator<Item = (&String, i64)> {
    let count = i64::try_from(payments.len()).expect("few payments").max(1);
    let (part, rest) = (total / count, total % count);
    let amounts = std::iter::once(part + rest).chain(std::iter::repeat(part));
    payments.iter().zip(amounts)
}

/// A payment that has brought the amount.
fn paid_intent(amount: i64) -> Value {
    let mut intent = sample("payment_intent.succeeded", "payment_intent");
    intent["amount"] = json!(amount);
    intent["amount_received"] = json!(amount);
    intent
}

/// The API's facts of a payment in that status. If it has succeeded, they equal its event's.
fn payment_facts(status: &str, amount: i64) -> Stated<payment::PaymentFacts> {
    match status {
        "succeeded" => story::payment_facts(status, &paid_intent(amount)),
        _ => story::payment_facts(status, &json!({})),
    }
}

impl Plan {
    pub fn of(seed: u64) -> Self {
        let mut dice = Dice::of(seed, 1);
        let sold = 1 + dice.below(5);
        let begun = dice.below(4);
        let pieces = i64::try_from(dice.below(2 * (sold + 2) + 1)).unwrap_or_default();
        let totes = i64::try_from(dice.below(sold + 3)).unwrap_or_default();
        let boxes = i64::try_from(dice.below(4 * begun + 1)).unwrap_or_default();
        let policy = Policy {
            merchant_id: None,
            mode: Mode::Live,
            shop: ShopFilter::ALL,
            restock: dice.one_of(&[
                RestockPolicy::Never,
                RestockPolicy::Full,
                RestockPolicy::Any,
            ]),
            part_payment: dice.one_of(&[PartPayment::Hold, PartPayment::Release]),
            access: AccessPolicies::KEEP,
            renewal_stock: dice.one_of(&[RenewalStock::Move, RenewalStock::Never]),
            reserve_stock: false,
            grace: SignedDuration::from_secs(dice.one_of(&[0, 3 * DAY, 10 * DAY])),
            payment_failed_mail: dice.percent(50),
            // The shops of the simulation report no fulfillments.
            shipment_mail: false,
            trial_ends_mail: dice.percent(25),
            bundle: env!("CARGO_PKG_VERSION"),
        };
        let on_unknown = if dice.percent(60) {
            OnUnknown::Resend
        } else {
            OnUnknown::Hold
        };
        let mut plan = Self {
            moments: Vec::new(),
            stock_levels: BTreeMap::from([
                (counted("BRACE-M"), pieces),
                (counted("TOTE"), totes),
                (counted(BOX), boxes),
            ]),
            mapping: boxes_by_product(),
            policy,
            on_unknown,
            orders: Vec::new(),
            lives: Vec::new(),
            addresses: BTreeMap::new(),
            deleted: Vec::new(),
            flint: FlintPlan::of(seed),
            dice,
            next_event: 1,
        };
        plan.policy.reserve_stock = plan.flint.reserves;
        for n in 1..=sold {
            plan.sell(n);
        }
        for n in 1..=begun {
            plan.live(100 + n);
        }
        plan.stock_levels.extend(plan.flint.stock_levels.clone());
        plan.moments.append(&mut plan.flint.moments);
        // Some events come twice, the second time under another id, as when a person asks the provider to send again.
        for n in 0..plan.moments.len() {
            if plan.dice.percent(10)
                && let Some(webhook) = plan.moments[n].webhook.clone()
            {
                let event_id = match webhook.provider {
                    "flint" => format!("{}again", webhook.event_id),
                    _ => plan.event_id(),
                };
                let body = webhook.body.replace(&webhook.event_id, &event_id);
                let at = plan.moments[n].at;
                let webhook = Webhook {
                    event_id,
                    body,
                    ..webhook
                };
                plan.moments.push(Moment::of_webhook(at, webhook));
            }
        }
        plan.moments.sort_by_key(|moment| moment.at);
        plan
    }

    fn seconds(&mut self, least: i64, most: i64) -> i64 {
        let span = u64::try_from(most - least + 1).unwrap_or(1);
        least + i64::try_from(self.dice.below(span)).unwrap_or_default()
    }

    fn event_id(&mut self) -> String {
        self.next_event += 1;
        id("fevt", self.next_event)
    }

    fn truth(&mut self, at: i64, truth: Truth) {
        self.moments.push(Moment::of_truth(at, truth));
    }

    fn tell(&mut self, at: i64, kind: &str, name: &str, resource: &Value) {
        let event_id = self.event_id();
        let body = event(kind, &event_id, at, name, resource);
        let body = String::from_utf8(body).expect("JSON is UTF-8");
        let listed = matches!(
            kind,
            "checkout.session.async_payment_succeeded"
                | "invoice.paid"
                | "invoice.payment_succeeded"
        ) || kind.starts_with("refund.")
            || kind.starts_with("customer.subscription.");
        let webhook = Webhook {
            provider: "flex",
            event_id,
            body,
            listed,
        };
        self.moments.push(Moment::of_webhook(at, webhook));
    }

    /// The last announcement stays in no list.
    fn must_come(&mut self) {
        let last = self.moments.last_mut();
        if let Some(webhook) = last.and_then(|moment| moment.webhook.as_mut()) {
            webhook.listed = false;
        }
    }

    fn tell_of_payment(&mut self, at: i64, payment: &str, amount: i64) {
        let mut intent = paid_intent(amount);
        intent["payment_intent_id"] = json!(payment);
        self.tell(at, "payment_intent.succeeded", "payment_intent", &intent);
    }

    fn tell_of_charge(&mut self, at: i64, kind: &str, payment: &str) {
        let mut charge = sample("charge.captured", "charge");
        charge["payment_intent"] = json!(payment);
        self.tell(at, kind, "charge", &charge);
    }

    fn completed(&mut self, at: i64, purchase: &Purchase) {
        let event_id = self.event_id();
        let mut body: Value = serde_json::from_slice(&purchase.completed(&event_id)).expect("JSON");
        body["event_dt"] = json!(at);
        let webhook = Webhook {
            provider: "flex",
            event_id,
            body: body.to_string(),
            listed: true,
        };
        self.moments.push(Moment::of_webhook(at, webhook));
    }

    fn leave_alone(&mut self, at: i64, bought: &Purchase, known: Sale) {
        let left = Sale {
            status: SaleStatus::Expired,
            received: Some(0),
            ..known
        };
        self.truth(at, Truth::Sale(Box::new(left)));
        let kind = "checkout.session.expired";
        self.tell(at, kind, "checkout_session", &bought.session);
    }

    /// Something that we do not need, or do not know.
    fn tell_something_else(&mut self, at: i64) {
        let kinds = ["payment_intent.created", "payment_intent.pondered"];
        let kind = self.dice.one_of(&kinds);
        let intent = sample("payment_intent.created", "payment_intent");
        self.tell(at, kind, "payment_intent", &intent);
    }

    /// A sale of a cart, in one of the ways in which it can be paid for, and what comes of it.
    fn sell(&mut self, n: u64) {
        let mut bought = purchase(n);
        bought.customer["email"] = json!(format!("buyer{n}@example.com"));
        let begin = BEGIN + self.seconds(0, 10 * DAY);
        if self.dice.percent(15) {
            // Several sales of one cart: their rows are contended.
            bought.session["client_reference_id"] = json!("cart-7");
        }
        if self.dice.percent(20) {
            self.tell_something_else(begin);
        }
        if self.dice.percent(50) {
            // One card pays for all of it.
            let only = bought.session["payment_intent"].clone();
            bought.session["payment_intents"] = json!([only]);
        }
        let payments = payments_of(&bought);
        let known = sale(&bought);
        let total = known.totals.total;
        if self.dice.percent(8) {
            self.sell_elsewhere(begin, &bought, known);
            return;
        }
        let goods = BTreeMap::from([(counted("BRACE-M"), 2), (counted("TOTE"), 1)]);
        let with = |status: &str, received: i64, capture: Capture| {
            let of = |id: &String| PaymentIntentId::new(id.as_str()).expect("an id");
            let facts = parts(&payments, total);
            let payments = facts.map(|(id, part)| (of(id), payment_facts(status, part)));
            let payments = payments.collect();
            Truth::Sale(Box::new(Sale {
                payments,
                received: Some(received),
                capture,
                ..known.clone()
            }))
        };
        let mut paid_at = begin;
        let mut funds = OrderFunds::Received;
        match self.dice.below(10) {
            0..=4 => {
                self.truth(begin, Truth::Sale(Box::new(known.clone())));
                self.completed(begin, &bought);
                for (payment, part) in parts(&payments, total) {
                    self.tell_of_payment(begin, payment, part);
                    if self.dice.percent(30) {
                        self.tell_of_charge(begin, "charge.succeeded", payment);
                    }
                }
            }
            5 | 6 => {
                // Authorized, and captured later or never.
                self.truth(begin, with("requires_capture", 0, Capture::Manual));
                self.completed(begin, &bought);
                paid_at = begin + self.seconds(60, 6 * DAY);
                if self.dice.percent(70) {
                    self.truth(paid_at, with("succeeded", total, Capture::Manual));
                    for (payment, part) in parts(&payments, total) {
                        self.tell_of_charge(paid_at, "charge.captured", payment);
                        self.tell_of_payment(paid_at, payment, part);
                    }
                } else {
                    funds = OrderFunds::Expired;
                    self.truth(paid_at, with("canceled", 0, Capture::Manual));
                    for payment in &payments {
                        self.tell_of_charge(paid_at, "charge.expired", payment);
                    }
                }
            }
            7 | 8 => {
                // A delayed way to pay.
                self.truth(begin, with("processing", 0, Capture::Automatic));
                self.completed(begin, &bought);
                paid_at = begin + self.seconds(HOUR, 5 * DAY);
                let succeeds = self.dice.percent(70);
                let (status, received, kind) = if succeeds {
                    (
                        "succeeded",
                        total,
                        "checkout.session.async_payment_succeeded",
                    )
                } else {
                    funds = OrderFunds::Failed;
                    ("canceled", 0, "checkout.session.async_payment_failed")
                };
                self.truth(paid_at, with(status, received, Capture::Automatic));
                self.tell(paid_at, kind, "checkout_session", &bought.session);
            }
            _ => {
                // Abandoned: it never becomes an order.
                self.leave_alone(begin, &bought, known);
                return;
            }
        }
        let (refunds, disputes) = match funds {
            OrderFunds::Received => self.give_back(n, paid_at, total, &payments),
            _ => Default::default(),
        };
        self.orders.push(OrderFacts {
            renews: false,
            id: bought.order_id().to_owned(),
            statuses: statuses_of(&payments, funds),
            payments,
            customer: None,
            email: format!("buyer{n}@example.com"),
            reference: reference(&bought),
            funds,
            total,
            goods,
            refunds,
            disputes,
        });
    }

    /// A sale of another shop on the account, in any order: nothing of it is needed here.
    fn sell_elsewhere(&mut self, begin: i64, bought: &Purchase, known: Sale) {
        let payments = payments_of(bought);
        let total = known.totals.total;
        let sold = Sale {
            fulfilled_elsewhere: true,
            ..known
        };
        self.truth(begin, Truth::Sale(Box::new(sold)));
        if self.dice.percent(80) {
            self.completed(begin, bought);
        }
        for (payment, part) in parts(&payments, total) {
            self.tell_of_payment(begin, payment, part);
            if self.dice.percent(30) {
                self.tell_of_charge(begin, "charge.succeeded", payment);
            }
        }
    }

    /// The refunds and disputes of a paid order.
    fn give_back(
        &mut self,
        n: u64,
        paid_at: i64,
        total: i64,
        payments: &[String],
    ) -> (Vec<RefundFacts>, BTreeMap<String, &'static str>) {
        let (mut refunds, mut disputes) = (Vec::new(), BTreeMap::new());
        let mut left = total;
        while self.dice.percent(35) && left > 500 {
            let payment = self.dice.place(payments.len());
            let amount = if self.dice.percent(40) {
                left
            } else {
                self.seconds(101, 499)
            };
            left -= amount;
            let from = (payments[payment].clone(), None);
            refunds.push(self.refund(n * 8 + refunds.len() as u64, paid_at, amount, &from));
        }
        if self.dice.percent(15) {
            let (dispute, status) = self.dispute(n, paid_at, &payments[0]);
            disputes.insert(dispute, status);
        }
        (refunds, disputes)
    }

    /// A refund, from being asked for to its end.
    fn refund(
        &mut self,
        n: u64,
        after: i64,
        amount: i64,
        (payment, renewal): &(String, Option<String>),
    ) -> RefundFacts {
        let mut refund = sample("refund.updated", "refund");
        let refund_id = id("fre", n);
        refund["refund_id"] = json!(refund_id);
        refund["payment_intent_id"] = json!(payment);
        refund["amount"] = json!(amount);
        let names_goods = self.dice.percent(40);
        refund["metadata"] = if names_goods {
            json!({"restock": "TOTE:1"})
        } else {
            json!({})
        };
        refund["subscription_id"] = json!(renewal);
        let goods = names_goods
            .then(|| (counted("TOTE"), 1))
            .into_iter()
            .collect();
        let mut when = after + self.seconds(10, 20 * DAY);
        let steps: &[&'static str] = match self.dice.below(6) {
            0 => &["pending", "failed"],
            1 => &["pending", "succeeded", "failed"],
            2 => &["succeeded"],
            _ => &["pending", "succeeded"],
        };
        for (nth, status) in steps.iter().enumerate() {
            refund["status"] = json!(status);
            let kind = match (nth, self.dice.below(2)) {
                (0, _) => "refund.created",
                (_, 0) => "charge.refund.updated",
                _ => "refund.updated",
            };
            let body = event(kind, "fevt_0", when, "refund", &refund);
            let Change::Refund(change) = change(&body) else {
                panic!("no refund: {refund}")
            };
            self.truth(when, Truth::Refund(Box::new(change)));
            self.tell(when, kind, "refund", &refund);
            // No list shows that a refund has succeeded before it failed.
            if *status == "succeeded" && steps.get(nth + 1).is_some() {
                self.must_come();
            }
            if *status == "succeeded" && self.dice.percent(40) {
                self.tell_of_charge(when, "charge.refunded", payment);
            }
            when += self.seconds(0, 2 * DAY);
        }
        let status = steps.last().copied().unwrap_or_default();
        let succeeded = steps.contains(&"succeeded");
        RefundFacts {
            id: refund_id,
            amount,
            status,
            succeeded,
            goods,
        }
    }

    fn dispute(&mut self, n: u64, after: i64, payment: &str) -> (String, &'static str) {
        let mut dispute = sample("charge.dispute.created", "dispute");
        let dispute_id = id("fdsp", n);
        dispute["dispute_id"] = json!(dispute_id);
        dispute["payment_intent_id"] = json!(payment);
        let last = self.dice.one_of(&["won", "lost", "under_review"]);
        let mut when = after + self.seconds(HOUR, 20 * DAY);
        for (kind, status) in [
            ("created", "needs_response"),
            ("updated", "under_review"),
            ("closed", last),
            ("funds_withdrawn", last),
        ] {
            if (kind, status) == ("closed", "under_review") {
                break;
            }
            dispute["status"] = json!(status);
            self.tell(when, &format!("charge.dispute.{kind}"), "dispute", &dispute);
            when += self.seconds(1, 5 * DAY);
        }
        (dispute_id, last)
    }
}

/// A subscription while its life is planned.
struct Growing {
    number: u64,
    resource: Value,
    facts: LifeFacts,
}

impl Plan {
    /// A subscription that is never paid for.
    fn never_paid(&mut self, mut life: Growing, begin: i64) {
        let end = begin + MONTH;
        self.turn(&mut life, begin, "created", "incomplete", end);
        // Reconcile recovers no subscription that never began: it has no effect. Here a row is expected that says so.
        self.must_come();
        let expired = "incomplete_expired";
        self.turn(&mut life, begin + DAY, "updated", expired, end);
        self.must_come();
        self.lives.push(life.facts);
    }

    /// A subscription, from its beginning as far as it comes.
    fn live(&mut self, n: u64) {
        let mut bought = Purchase::subscription(n);
        let customer = match self.lives.first() {
            Some(other) if self.dice.percent(30) => other.customer.clone(),
            _ => id("fcus", n),
        };
        for name in ["customer", "customer_id"] {
            if bought.session.get(name).is_some() {
                bought.session[name] = json!(customer);
            }
        }
        bought.session["test_mode"] = json!(false);
        bought.customer["customer_id"] = json!(customer);
        bought.customer["email"] = json!(format!("buyer{n}@example.com"));
        let mut resource = shop::subscription(n);
        resource["customer"] = json!(customer);
        let begin = BEGIN + self.seconds(0, 40 * DAY);
        resource["created_at"] = text(begin);
        resource["test_mode"] = json!(false);
        let product = shop::product_of(&resource);
        let facts = LifeFacts {
            customer,
            id: id("fsub", n),
            product,
            status: "incomplete",
            ..LifeFacts::default()
        };
        let mut life = Growing {
            number: n,
            resource,
            facts,
        };
        if self.dice.percent(8) {
            self.never_paid(life, begin);
            return;
        }
        let trial = self.dice.percent(25);
        let mut paid_to = if trial {
            begin + 14 * DAY
        } else {
            begin + MONTH
        };
        if trial {
            life.resource["trial_start"] = text(begin);
            life.resource["trial_end"] = text(paid_to);
            life.facts.trial_end = Some(paid_to);
        }
        let word = if trial { "trialing" } else { "incomplete" };
        self.turn(&mut life, begin, "created", word, paid_to);
        let known = sale(&bought);
        let total = known.totals.total;
        self.truth(begin + 2, Truth::Sale(Box::new(known)));
        self.completed(begin + 2, &bought);
        if !trial {
            let own = bought.session["payment_intent"].as_str();
            let own = own.expect("a payment").to_owned();
            life.facts.payments.push(own);
            self.invoice(&mut life, begin + 3, &["paid"], 0, (begin, paid_to));
            self.turn(&mut life, begin + 4, "updated", "active", paid_to);
        }
        let mut goes_on = true;
        for nth in 1..=self.dice.below(5) {
            goes_on = self.renew(&mut life, nth, &mut paid_to);
            if !goes_on {
                break;
            }
        }
        if goes_on {
            self.leave(&mut life, paid_to);
        }
        self.renewals(&life, n, paid_to);
        self.write_to(&life.facts.customer, begin, paid_to);
        let order_id = bought.order_id().to_owned();
        let first = life.facts.payments.first().cloned();
        self.orders.push(OrderFacts {
            renews: false,
            id: order_id.clone(),
            payments: first.filter(|_| !trial).into_iter().collect(),
            statuses: BTreeMap::new(),
            customer: Some(life.facts.customer.clone()),
            email: format!("buyer{n}@example.com"),
            reference: reference(&bought),
            funds: OrderFunds::Received,
            total,
            goods: BTreeMap::from([(counted(BOX), 1)]),
            refunds: Vec::new(),
            disputes: BTreeMap::new(),
        });
        life.facts.order = Some(order_id);
        self.lives.push(life.facts);
    }

    /// The orders of the paid renewals. One of them may be refunded in part.
    fn renewals(&mut self, life: &Growing, n: u64, paid_to: i64) {
        let paid = life.facts.invoices.iter();
        let paid = paid.filter(|invoice| invoice.paid && !invoice.first);
        let goods = match self.policy.renewal_stock {
            RenewalStock::Move => BTreeMap::from([(counted(BOX), 1)]),
            RenewalStock::Never => BTreeMap::new(),
        };
        for (nth, invoice) in paid.enumerate() {
            let mut refunds = Vec::new();
            if nth == 0 && self.dice.percent(25) {
                let from = (invoice.payment.clone(), Some(life.facts.id.clone()));
                refunds.push(self.refund(5_000 + n, paid_to, 999, &from));
            }
            self.orders.push(OrderFacts {
                id: invoice.id.clone(),
                renews: true,
                payments: vec![invoice.payment.clone()],
                statuses: BTreeMap::new(),
                customer: Some(life.facts.customer.clone()),
                email: format!("buyer{n}@example.com"),
                reference: String::new(),
                funds: OrderFunds::Received,
                total: 4999,
                goods: goods.clone(),
                refunds,
                disputes: BTreeMap::new(),
            });
        }
    }

    /// The next renewal, well or not: whether the subscription goes on.
    fn renew(&mut self, life: &mut Growing, nth: u64, paid_to: &mut i64) -> bool {
        let (from, to) = (*paid_to, *paid_to + MONTH);
        let when = from + self.seconds(60, 2 * HOUR);
        let fails = self.dice.percent(25);
        if fails {
            self.invoice(life, when, &["payment_failed"], nth, (from, to));
            self.turn(life, when + 1, "updated", "past_due", to);
            let again = when + self.seconds(2 * HOUR, 6 * DAY);
            if self.dice.percent(50) {
                // The provider tries once more.
                self.invoice(life, again - HOUR, &["payment_failed"], nth, (from, to));
            }
            match self.dice.below(4) {
                0 => return false,
                1 => {
                    self.turn(life, again, "updated", "unpaid", to);
                    return false;
                }
                2 if self.dice.percent(50) => {
                    self.turn(life, again, "deleted", "canceled", to);
                    life.facts.ended_at = Some(again);
                    return false;
                }
                _ => {
                    self.invoice(life, again, &["paid", "payment_succeeded"], nth, (from, to));
                    self.turn(life, again + 1, "updated", "active", to);
                }
            }
        } else {
            self.invoice(life, when, &["payment_succeeded", "paid"], nth, (from, to));
            self.turn(life, when + 1, "updated", "active", to);
        }
        *paid_to = to;
        true
    }

    /// How a subscription ends that is in order, if it does.
    fn leave(&mut self, life: &mut Growing, paid_to: i64) {
        let word = life.facts.status;
        match self.dice.below(4) {
            0 => {
                let when = paid_to - self.seconds(DAY, 10 * DAY);
                life.facts.cancels = true;
                self.turn(life, when, "updated", word, paid_to);
                if self.dice.percent(70) {
                    self.turn(life, paid_to, "deleted", "canceled", paid_to);
                    life.facts.ended_at = Some(paid_to);
                }
            }
            1 => {
                let when = paid_to - self.seconds(DAY, 10 * DAY);
                self.turn(life, when, "deleted", "canceled", paid_to);
                life.facts.ended_at = Some(when);
            }
            _ => {}
        }
    }

    /// The subscription's state from then on, with its event.
    fn turn(
        &mut self,
        life: &mut Growing,
        when: i64,
        kind: &str,
        status: &'static str,
        period_end: i64,
    ) {
        let resource = &mut life.resource;
        resource["status"] = json!(status);
        resource["cancel_at_period_end"] = json!(life.facts.cancels);
        resource["current_period_start"] = text(period_end - MONTH);
        resource["current_period_end"] = text(period_end);
        let facts = resource.clone();
        (life.facts.status, life.facts.period_end) = (status, period_end);
        if life.facts.cancels || status == "canceled" {
            life.facts.left_at.get_or_insert(when);
        }
        let kind = format!("customer.subscription.{kind}");
        let body = event(
            "customer.subscription.updated",
            "fevt_0",
            when,
            "subscription",
            &facts,
        );
        let Change::Subscription(mut known) = change(&body) else {
            panic!("no subscription: {facts}")
        };
        known.snapshot.source = Source::Read;
        let ended_at = (status == "canceled").then(|| at(when));
        self.truth(when, Truth::Subscription(Box::new(known), ended_at));
        self.tell(when, &kind, "subscription", &facts);
    }

    /// A change of the invoice of a period, stated by these events.
    fn invoice(
        &mut self,
        life: &mut Growing,
        when: i64,
        kinds: &[&str],
        nth: u64,
        (from, to): (i64, i64),
    ) {
        let n = life.number;
        let mut invoice = sample("invoice.paid", "invoice");
        let invoice_id = match nth {
            0 => id("fin", n),
            _ => id("fin", n * 64 + (1 << 40) + nth),
        };
        let payment = match (nth, life.facts.payments.first()) {
            (0, Some(own)) => own.clone(),
            _ => id("fpi", n * 64 + (1 << 42) + nth),
        };
        invoice["invoice_id"] = json!(invoice_id);
        invoice["subscription"] = json!(life.facts.id);
        // Without a customer, fulfillment asks the index, or the API.
        invoice["customer"] = if self.dice.percent(20) {
            Value::Null
        } else {
            json!(life.facts.customer)
        };
        invoice["payment_intent"] = json!(payment);
        invoice["period_start"] = text(from);
        invoice["period_end"] = text(to);
        invoice["created_at"] = text(from);
        let paid = !kinds.contains(&"payment_failed");
        if !paid {
            invoice["status"] = json!("open");
            invoice["amount_paid"] = json!(0);
        }
        let known = life
            .facts
            .invoices
            .iter_mut()
            .find(|known| known.id == invoice_id);
        if let Some(known) = known {
            known.paid = paid;
        } else {
            let failed_at = (!paid).then_some(when);
            let first = nth == 0;
            life.facts.invoices.push(InvoiceFacts {
                id: invoice_id,
                first,
                payment: payment.clone(),
                paid,
                failed_at,
                end: to,
            });
        }
        if paid && nth > 0 {
            life.facts.payments.push(payment);
        }
        if paid {
            let body = event("invoice.paid", "fevt_0", when, "invoice", &invoice);
            let Change::Invoice(known) = change(&body) else {
                panic!("no invoice: {invoice}")
            };
            self.truth(when, Truth::Invoice(Box::new(known), at(from)));
        }
        for kind in kinds {
            self.tell(when, &format!("invoice.{kind}"), "invoice", &invoice);
        }
    }

    /// The events about a customer between two times.
    fn write_to(&mut self, customer: &str, from: i64, to: i64) {
        let mut who = sample("customer.updated", "customer");
        who["customer_id"] = json!(customer);
        for n in 0..self.dice.below(3) {
            who["email"] = json!(format!("pat{n}@example.com"));
            let when = self.seconds(from, to.max(from));
            self.tell(when, "customer.updated", "customer", &who);
            let facts = (when, format!("pat{n}@example.com"));
            let newest = self.addresses.entry(customer.to_owned()).or_default();
            *newest = facts.max(newest.clone());
        }
        if self.dice.percent(10) {
            self.tell(to, "customer.deleted", "customer", &who);
            self.deleted.push(customer.to_owned());
        }
    }
}
