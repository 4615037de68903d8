//! For tests: a shop with boring defaults, its tables in memory, and a worker that does with them what the function
//! does on AWS: read, decide, commit, and again when a race is lost.

use crate::fulfillment::{
    Decision, ParkReason, Policy, after_sale, checkout, customer, subscription,
};
use crate::{
    access::{
        contact::Contact,
        entitlement::Entitlement,
        subscription::{
            Bill, InvoiceChange, InvoiceEvent, Item, Source, Subscription, SubscriptionFacts,
        },
    },
    delivery::{
        event::{Change, Event, RefundsOf},
        stored_event::{EventState, StoredEvent},
    },
    fulfillment::{
        commit::Commit,
        read_set::{ReadSet, Snapshot},
    },
    ports::Committed,
    receipt::Receipt,
    sale::{
        checkout::{
            Capture, Checkout, CheckoutKind, CheckoutStatus, Customer, Eligibility, LineItem,
            Totals,
        },
        dispute,
        merchant_reference::MerchantReference,
        order::Order,
        payment::{self, Link},
        refund,
        restock::RestockPolicy,
        stock::{Mapping, Movement, StockLevel},
    },
    values::{
        ids::{
            BadId, CustomerId, DeliveryId, OrderId, PaymentIntentId, ProductId, ReceiptId, Sku,
            SubscriptionId,
        },
        mode::Mode,
        money::Currency,
        outcome::ReadError,
        provider::Provider,
    },
};
use jiff::{SignedDuration, Timestamp};
use serde::{Serialize, de::DeserializeOwned};
use std::collections::BTreeMap;

/// When our worker runs: after everything that is told.
pub(crate) const NOW: i64 = 1_860_000_000;
/// When the checkout is completed.
pub(crate) const SALE: i64 = 1_760_090_001;
/// A day.
pub(crate) const DAY: i64 = 86_400;

pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// Any identifier.
pub(crate) fn id<Id: TryFrom<String, Error = BadId>>(text: &str) -> Id {
    Id::try_from(text.to_owned()).unwrap()
}

/// The order that there is where only one is.
pub(crate) fn order_id() -> OrderId {
    id("fcs_1")
}

pub(crate) fn sku(text: &str) -> Sku {
    id(text)
}

pub(crate) fn policy() -> Policy {
    Policy {
        mode: Mode::Live,
        restock: RestockPolicy::Any,
        grace: SignedDuration::ZERO,
        payment_failed_mail: false,
        trial_ends_mail: false,
    }
}

/// An event that tells of something at that second.
pub(crate) fn facts(event_id: &str, second: i64, change: Change) -> Event {
    Event {
        event_id: id(event_id),
        event_type: String::new(),
        occurred_at: Some(at(second)),
        change,
    }
}

/// Its row.
pub(crate) fn stored(event: &Event) -> StoredEvent {
    StoredEvent {
        event_id: event.event_id.clone(),
        provider: Provider::Flex,
        delivery_id: DeliveryId::new("msg_1").unwrap(),
        event_type: Some(event.event_type.clone()),
        subject: None,
        occurred_at: event.occurred_at,
        received_at: at(NOW),
        body: Vec::new(),
        fingerprint: String::new(),
        state: EventState::Stored,
        reason: None,
        class: None,
        attempts: 0,
        note: None,
        receipt_ids: Vec::new(),
    }
}

pub(crate) fn line(name: &str, quantity: u32, total: i64, of: Option<&str>) -> LineItem {
    LineItem {
        line_item_id: id(name),
        description: name.to_owned(),
        quantity,
        unit_amount: Some(total / i64::from(quantity.max(1))),
        amounts: Totals {
            subtotal: total,
            total,
            ..Totals::default()
        },
        eligibility: Some(Eligibility("auto_substantiation".into())),
        product_id: Some(id(&format!("fprod_{name}"))),
        price_id: Some(id(&format!("fprice_{name}"))),
        sku: of.map(sku),
    }
}

/// A checkout that is paid for.
pub(crate) fn checkout(lines: Vec<LineItem>) -> Checkout {
    let total = lines.iter().map(|line| line.amounts.total).sum();
    Checkout {
        provider: Provider::Flex,
        order_id: order_id(),
        client_reference_id: Some("order-1042".into()),
        status: CheckoutStatus::Complete,
        kind: CheckoutKind::Payment,
        capture: Capture::Automatic,
        mode: Mode::Live,
        created_at: Some(at(SALE - 100)),
        customer: Customer {
            customer_id: Some(id("fcus_1")),
            ..Customer::default()
        },
        currency: Currency::USD,
        totals: Totals {
            subtotal: total,
            total,
            ..Totals::default()
        },
        received: Some(total),
        payment_intents: vec![id("fpi_1")],
        payments: BTreeMap::new(),
        subscription_id: None,
        invoice_id: None,
        lines,
    }
}

/// A checkout with payments this far, of which the session says that nothing has been received.
pub(crate) fn with_payments(checkout: Checkout, statuses: &[&str]) -> Checkout {
    let names: Vec<PaymentIntentId> = (1..=statuses.len())
        .map(|n| id(&format!("fpi_{n}")))
        .collect();
    let facts = |status: &&str| {
        paid(
            status,
            checkout.totals.total / i64::try_from(statuses.len()).unwrap(),
        )
    };
    Checkout {
        received: Some(0),
        payments: names
            .iter()
            .cloned()
            .zip(statuses.iter().map(facts))
            .collect(),
        payment_intents: names,
        ..checkout
    }
}

pub(crate) fn stock_level(of: &str, on_hand: i64) -> StockLevel {
    StockLevel {
        sku: sku(of),
        on_hand: Some(on_hand),
        moved: None,
    }
}

/// What is told of a payment in that state.
pub(crate) fn paid(status: &str, amount: i64) -> payment::PaymentFacts {
    let status = payment::PaymentStatus::from(status);
    let received = Some(if status == payment::PaymentStatus::Succeeded {
        amount
    } else {
        0
    });
    payment::PaymentFacts {
        status,
        received,
        amount: Some(amount),
        card: None,
    }
}

pub(crate) fn completed() -> Change {
    Change::Checkout {
        order_id: order_id(),
        completed: true,
    }
}

/// Something else happened to the checkout.
pub(crate) fn changed() -> Change {
    Change::Checkout {
        order_id: order_id(),
        completed: false,
    }
}

pub(crate) fn payment_change(payment: &str, facts: Option<payment::PaymentFacts>) -> Change {
    Change::Payment(payment::PaymentChange {
        payment_intent_id: id(payment),
        mode: Some(Mode::Live),
        facts,
    })
}

pub(crate) fn refund_told(payment: &str, status: &str, amount: i64) -> refund::RefundFacts {
    refund::RefundFacts {
        status: status.into(),
        amount,
        payment_intent_id: id(payment),
        goods: Vec::new(),
        invoice_id: None,
        made_at: Some(at(SALE + DAY)),
    }
}

pub(crate) fn refund_news(refund: &str, facts: refund::RefundFacts) -> refund::RefundChange {
    refund::RefundChange {
        refund_id: id(refund),
        mode: Some(Mode::Live),
        facts,
        subscription_id: None,
    }
}

/// A refund of the order's first payment.
pub(crate) fn refunded(refund: &str, status: &str, amount: i64) -> Change {
    Change::Refund(refund_news(refund, refund_told("fpi_1", status, amount)))
}

pub(crate) fn dispute_news(
    dispute: &str,
    status: &str,
    funds: Option<dispute::DisputeFunds>,
) -> dispute::DisputeChange {
    dispute::DisputeChange {
        dispute_id: id(dispute),
        mode: Some(Mode::Live),
        facts: dispute::DisputeFacts {
            status: status.into(),
            amount: 1000,
            currency: Currency::USD,
            payment_intent_id: id("fpi_1"),
            reason: Some("fraudulent".to_owned()),
            due_by: Some(at(SALE + 10 * DAY)),
        },
        funds,
    }
}

/// A subscription to one product, told by an event of a change.
pub(crate) fn snapshot(status: &str, period_end: i64) -> SubscriptionFacts {
    SubscriptionFacts {
        source: Source::Updated,
        status: status.into(),
        cancel_at_period_end: false,
        period_end: Some(at(period_end)),
        trial_end: None,
        items: vec![item("fprod_gym")],
        latest_invoice: None,
    }
}

pub(crate) fn item(product: &str) -> Item {
    Item {
        product_id: Some(id(product)),
        price_id: Some(id(&format!("{product}-price"))),
        quantity: 1,
    }
}

pub(crate) fn subscription_change(subscription: &str, snapshot: SubscriptionFacts) -> Change {
    Change::Subscription(crate::access::subscription::SubscriptionChange {
        subscription_id: id(subscription),
        customer_id: id("fcus_1"),
        mode: Some(Mode::Live),
        snapshot,
    })
}

/// What an invoice says whose payment either went through or did not.
pub(crate) fn bill(event: InvoiceEvent, amount: i64, period: (i64, i64)) -> Bill {
    Bill {
        amount_paid: Some(if event == InvoiceEvent::Paid {
            amount
        } else {
            0
        }),
        amount_due: Some(amount),
        payment_intent_id: None,
        period_start: Some(at(period.0)),
        period_end: Some(at(period.1)),
    }
}

pub(crate) fn invoice_change(
    subscription: &str,
    invoice: &str,
    event: InvoiceEvent,
    bill: Bill,
) -> Change {
    Change::Invoice(InvoiceChange {
        invoice_id: id(invoice),
        subscription_id: id(subscription),
        customer_id: Some(id("fcus_1")),
        mode: Some(Mode::Live),
        event,
        bill,
    })
}

/// What the provider's API would tell.
#[derive(Debug, Clone, Default)]
pub(crate) struct Api {
    pub(crate) checkouts: BTreeMap<OrderId, Checkout>,
    pub(crate) refunds: Vec<refund::RefundChange>,
    pub(crate) subscriptions: BTreeMap<SubscriptionId, SubscriptionFacts>,
}

impl Api {
    fn checkout(&self, id: &OrderId) -> Result<&Checkout, ParkReason> {
        let unknown = || {
            ParkReason::NotTold(ReadError::Permanent {
                status: 404,
                code: None,
            })
        };
        self.checkouts.get(id).ok_or_else(unknown)
    }

    fn checkout_of(&self, payment: &PaymentIntentId) -> Option<&OrderId> {
        let mut checkouts = self.checkouts.values();
        checkouts
            .find(|checkout| checkout.payment_intents.contains(payment))
            .map(|found| &found.order_id)
    }

    fn refunds(&self, of: &RefundsOf) -> Vec<refund::RefundChange> {
        let is_meant = |change: &&refund::RefundChange| {
            let payment = &change.facts.payment_intent_id;
            match of {
                RefundsOf::Payment(id) => payment == id,
                RefundsOf::Checkout(id) => self.checkout_of(payment) == Some(id),
            }
        };
        self.refunds.iter().filter(is_meant).cloned().collect()
    }
}

/// The rows of a commit as they are read again.
fn kept(commit: &Commit) -> Commit {
    fn again<T: Serialize + DeserializeOwned>(row: &T) -> T {
        serde_json::from_value(serde_json::to_value(row).unwrap()).unwrap()
    }
    Commit {
        order: commit.order.as_ref().map(again),
        links: commit.links.iter().map(again).collect(),
        reference: commit.reference.as_ref().map(again),
        subscription: commit.subscription.as_ref().map(again),
        entitlements: commit.entitlements.iter().map(again).collect(),
        contact: commit.contact.as_ref().map(again),
        receipts: commit.receipts.iter().map(again).collect(),
        ..commit.clone()
    }
}

/// The tables.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tables {
    pub(crate) orders: BTreeMap<OrderId, Order>,
    pub(crate) links: BTreeMap<PaymentIntentId, Link>,
    pub(crate) references: BTreeMap<String, MerchantReference>,
    pub(crate) subscriptions: BTreeMap<SubscriptionId, Subscription>,
    pub(crate) entitlements: BTreeMap<(CustomerId, ProductId), Entitlement>,
    pub(crate) contacts: BTreeMap<CustomerId, Contact>,
    pub(crate) receipts: BTreeMap<ReceiptId, Receipt>,
    pub(crate) mapping: Mapping,
    pub(crate) counters: BTreeMap<Sku, i64>,
    pub(crate) movements: BTreeMap<(OrderId, Sku), Movement>,
}

impl Tables {
    pub(crate) fn read(&self, read_set: &ReadSet) -> Snapshot {
        let of_order = |order_id: &OrderId, sku: &Sku| StockLevel {
            sku: sku.clone(),
            on_hand: self.counters.get(sku).copied(),
            moved: self
                .movements
                .get(&(order_id.clone(), sku.clone()))
                .cloned(),
        };
        let found =
            |id: &PaymentIntentId| self.links.get(id).map(|link| (id.clone(), link.clone()));
        Snapshot {
            order: read_set
                .order
                .as_ref()
                .and_then(|id| self.orders.get(id))
                .cloned(),
            links: read_set.links.iter().filter_map(found).collect(),
            reference: read_set
                .reference
                .as_ref()
                .and_then(|text| self.references.get(text))
                .cloned(),
            subscription: read_set
                .subscription
                .as_ref()
                .and_then(|(_, id)| self.subscriptions.get(id))
                .cloned(),
            entitlements: read_set
                .entitlements
                .iter()
                .filter_map(|key| self.entitlements.get(key))
                .cloned()
                .collect(),
            contact: read_set
                .contact
                .as_ref()
                .and_then(|id| self.contacts.get(id))
                .cloned(),
            mapping: read_set
                .mapping
                .iter()
                .filter_map(|of| self.mapping.get(of).map(|sku| (of.clone(), sku.clone())))
                .collect(),
            stock_levels: read_set
                .stock_levels
                .iter()
                .flat_map(|(order_id, skus)| skus.iter().map(move |sku| of_order(order_id, sku)))
                .collect(),
        }
    }

    /// Writes all of a commit or none of it, under the conditions that the real tables hold it to.
    pub(crate) fn commit(&mut self, commit: &Commit) -> Committed {
        if !self.would_take(commit) {
            return Committed::Raced;
        }
        let Commit {
            order,
            links,
            reference,
            subscription,
            entitlements,
            contact,
            receipts,
            ..
        } = kept(commit);
        self.orders
            .extend(order.map(|row| (row.order_id.clone(), row)));
        self.links.extend(
            links
                .into_iter()
                .map(|row| (row.payment_intent_id.clone(), row)),
        );
        self.references
            .extend(reference.map(|row| (row.reference.clone(), row)));
        self.subscriptions
            .extend(subscription.map(|row| (row.subscription_id.clone(), row)));
        let access = entitlements
            .into_iter()
            .map(|row| ((row.customer_id.clone(), row.product_id.clone()), row));
        self.entitlements.extend(access);
        self.contacts
            .extend(contact.map(|row| (row.customer_id.clone(), row)));
        self.receipts.extend(
            receipts
                .into_iter()
                .map(|row| (row.receipt_id.clone(), row)),
        );
        for take in &commit.deductions {
            *self.counters.get_mut(&take.movement.sku).unwrap() -= take.movement.deducted;
            let key = (take.movement.order_id.clone(), take.movement.sku.clone());
            self.movements.insert(key, take.movement.clone());
        }
        for back in &commit.returns {
            *self.counters.get_mut(&back.sku).unwrap() += back.pieces;
            self.movements
                .get_mut(&(back.order_id.clone(), back.sku.clone()))
                .unwrap()
                .restocked += back.pieces;
        }
        Committed::Now
    }

    fn would_take(&self, commit: &Commit) -> bool {
        let follows = |known: Option<u64>, version: u64| known.unwrap_or(0) + 1 == version;
        let order = commit.order.iter().all(|row| {
            follows(
                self.orders.get(&row.order_id).map(|known| known.version),
                row.version,
            )
        });
        let links = commit.links.iter().all(|row| {
            follows(
                self.links
                    .get(&row.payment_intent_id)
                    .map(|known| known.version),
                row.version,
            )
        });
        let reference = commit.reference.iter().all(|row| {
            follows(
                self.references
                    .get(&row.reference)
                    .map(|known| known.version),
                row.version,
            )
        });
        let subscription = commit.subscription.iter().all(|row| {
            follows(
                self.subscriptions
                    .get(&row.subscription_id)
                    .map(|known| known.version),
                row.version,
            )
        });
        let access = commit.entitlements.iter().all(|row| {
            let key = (row.customer_id.clone(), row.product_id.clone());
            follows(
                self.entitlements.get(&key).map(|known| known.version),
                row.version,
            )
        });
        let contact = commit.contact.iter().all(|row| {
            follows(
                self.contacts
                    .get(&row.customer_id)
                    .map(|known| known.version),
                row.version,
            )
        });
        let receipts = commit
            .receipts
            .iter()
            .all(|row| !self.receipts.contains_key(&row.receipt_id));
        let deductions = commit.deductions.iter().all(|take| {
            let moved = self
                .movements
                .contains_key(&(take.movement.order_id.clone(), take.movement.sku.clone()));
            let on_hand = self.counters.get(&take.movement.sku).copied();
            let enough = if take.movement.short() == 0 {
                on_hand >= Some(take.movement.deducted)
            } else {
                on_hand == Some(take.on_hand)
            };
            !moved && enough
        });
        let returns = commit.returns.iter().all(|back| {
            let moved = self
                .movements
                .get(&(back.order_id.clone(), back.sku.clone()));
            moved.is_some_and(|moved| moved.restocked == back.seen)
        });
        order
            && links
            && reference
            && subscription
            && access
            && contact
            && receipts
            && deductions
            && returns
    }
}

/// What brings a checkout up.
enum About<'a> {
    /// Change of the checkout; they may say that it is completed.
    Checkout { completed: bool },
    /// Change of one of its payments.
    Payment(&'a payment::PaymentChange),
    /// Change that a delayed payment has arrived.
    Paid,
}

/// How an event ended, for now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// Nothing is left to do.
    Done,
    /// It comes again.
    Waits(ParkReason),
    /// A person decides.
    Parked(ParkReason),
}

/// A shop: its tables, its provider and its policy.
#[derive(Debug, Clone)]
pub(crate) struct Shop {
    pub(crate) tables: Tables,
    pub(crate) api: Api,
    pub(crate) policy: Policy,
    pub(crate) now: Timestamp,
    /// Whether rows are written as JSON and read again: true to life, and slow.
    pub(crate) reads_back: bool,
}

impl Shop {
    pub(crate) fn new() -> Self {
        // Not a whole second, as it is with clocks.
        let now = at(NOW) + SignedDuration::from_millis(321);
        Self {
            tables: Tables::default(),
            api: Api::default(),
            policy: policy(),
            now,
            reads_back: true,
        }
    }

    /// A shop whose provider knows this checkout, with ten of each thing on the shelf.
    pub(crate) fn selling(checkout: Checkout) -> Self {
        let mut shop = Self::new();
        shop.tables.counters = checkout
            .lines
            .iter()
            .filter_map(|line| Some((line.sku.clone()?, 10)))
            .collect();
        shop.api
            .checkouts
            .insert(checkout.order_id.clone(), checkout);
        shop
    }

    /// Tells it something, at that second.
    pub(crate) fn tell(&mut self, second: i64, change: Change) -> End {
        let event = facts(&format!("fevt_{second}"), second, change);
        self.deliver(&event)
    }

    /// Works an event off, as often as a race is lost.
    pub(crate) fn deliver(&mut self, event: &Event) -> End {
        let decision = self.decide(event);
        let (end, committed) = self.carry_out(decision);
        assert_eq!(
            committed,
            Committed::Now,
            "{event:?} was decided on the rows as they are"
        );
        end
    }

    /// Carries a decision out, or finds that its rows have changed.
    pub(crate) fn carry_out(&mut self, decision: Decision) -> (End, Committed) {
        let (commit, end) = match decision {
            Decision::Write(commit) => {
                assert!(commit.ends, "what is written for good ends the event");
                (Some(commit), End::Done)
            }
            Decision::Nothing { unsent } => {
                for id in unsent {
                    assert!(
                        self.tables.receipts.contains_key(&id),
                        "{id} is owed and was never committed"
                    );
                }
                (None, End::Done)
            }
            Decision::Wait {
                commit,
                park_reason,
            } => {
                assert!(
                    commit.as_ref().is_none_or(|commit| !commit.ends),
                    "what waits has not ended"
                );
                (commit, End::Waits(park_reason))
            }
            Decision::Park(park_reason) => (None, End::Parked(park_reason)),
        };
        let commit = commit.map(|commit| {
            if self.reads_back {
                kept(&commit)
            } else {
                *commit
            }
        });
        let committed = commit.map_or(Committed::Now, |commit| self.tables.commit(&commit));
        (end, committed)
    }

    /// What is decided about an event on the rows as they are.
    pub(crate) fn decide(&self, event: &Event) -> Decision {
        let row = stored(event);
        match &event.change {
            Change::Checkout {
                order_id,
                completed,
            } => self.about_checkout(
                &row,
                order_id,
                &About::Checkout {
                    completed: *completed,
                },
            ),
            Change::CheckoutPaid { order_id } => self.about_checkout(&row, order_id, &About::Paid),
            Change::Payment(change) => self.about_payment(&row, change),
            Change::Refund(change) => {
                self.about_refunds(&row, row.stated_at(), std::slice::from_ref(change))
            }
            Change::RefundsOf(of) => match self.api.refunds(of).as_slice() {
                [] => Decision::Wait {
                    commit: None,
                    park_reason: ParkReason::NoRefund,
                },
                change => self.about_refunds(&row, self.now, change),
            },
            Change::Dispute(change) => {
                let order = self.order_of(&change.facts.payment_intent_id, None);
                let rows = self.tables.read(&ReadSet {
                    order,
                    ..ReadSet::default()
                });
                after_sale::dispute(&row, change, &rows, &self.policy)
            }
            Change::Subscription(change) => self.about_subscription(&row, change),
            Change::Invoice(change) => self.about_invoice(&row, change),
            Change::Customer(change) => {
                let read_set = ReadSet {
                    contact: Some(change.customer_id.clone()),
                    ..ReadSet::default()
                };
                customer(&row, change, &self.tables.read(&read_set), &self.policy)
            }
            Change::NotNeeded | Change::Unhandled => Decision::Nothing { unsent: Vec::new() },
        }
    }

    fn about_checkout(
        &self,
        event: &StoredEvent,
        order_id: &OrderId,
        about: &About<'_>,
    ) -> Decision {
        let known = self.tables.orders.get(order_id);
        if let Some(order) = known.filter(|order| order.fulfilled_at.is_some()) {
            return Decision::Nothing {
                unsent: order.receipt_id.iter().cloned().collect(),
            };
        }
        let facts = match self.api.checkout(order_id) {
            Ok(facts) => facts,
            Err(park_reason) => return Decision::Park(park_reason),
        };
        let read_set = ReadSet {
            order: Some(order_id.clone()),
            ..checkout::read_set(facts)
        };
        let mut rows = self.tables.read(&read_set);
        if !read_set.mapping.is_empty() {
            rows.stock_levels = self
                .tables
                .read(&checkout::stock_read_set(facts, &rows))
                .stock_levels;
        }
        let decide = |completed, rows: &Snapshot| {
            checkout::decide(event, completed, facts, rows, &self.policy, self.now)
        };
        match about {
            About::Checkout { completed } => decide(*completed, &rows),
            About::Payment(change) => decide(false, &after_sale::noted(event, change, rows)),
            About::Paid => checkout::decide_paid(event, facts, &rows, &self.policy, self.now),
        }
    }

    fn about_payment(&self, event: &StoredEvent, change: &payment::PaymentChange) -> Decision {
        let payment = &change.payment_intent_id;
        let order = self
            .tables
            .links
            .get(payment)
            .and_then(|link| link.order_id.clone());
        let read_set = ReadSet {
            order: order.clone(),
            links: vec![payment.clone()],
            ..ReadSet::default()
        };
        let rows = self.tables.read(&read_set);
        match (
            after_sale::payment(event, change, &rows, &self.policy, self.now),
            order,
        ) {
            (after_sale::AboutPayment::Decided(decision), _) => decision,
            (after_sale::AboutPayment::LookAgain, order) => {
                self.about_checkout(event, &order.unwrap(), &About::Payment(change))
            }
        }
    }

    /// The order of a payment: by our link, by the subscription that it renewed, else by the provider.
    fn order_of(
        &self,
        payment: &PaymentIntentId,
        subscription: Option<&SubscriptionId>,
    ) -> Option<OrderId> {
        let linked = self
            .tables
            .links
            .get(payment)
            .and_then(|link| link.order_id.as_ref());
        let begun = || {
            let row = self.tables.subscriptions.get(subscription?)?;
            row.beginning.as_ref().map(|beginning| &beginning.order_id)
        };
        linked
            .or_else(begun)
            .or_else(|| self.api.checkout_of(payment))
            .cloned()
    }

    fn about_refunds(
        &self,
        event: &StoredEvent,
        stated_at: Timestamp,
        change: &[refund::RefundChange],
    ) -> Decision {
        let payment = after_sale::payment_of(change).unwrap();
        let subscription = change
            .iter()
            .find_map(|change| change.subscription_id.as_ref());
        let order = self.order_of(payment, subscription);
        let mut rows = self.tables.read(&ReadSet {
            order,
            ..ReadSet::default()
        });
        if let Some(order) = &rows.order {
            rows.stock_levels = self
                .tables
                .read(&after_sale::stock_read_set(order, &self.policy))
                .stock_levels;
        }
        after_sale::refunds(event, stated_at, change, &rows, &self.policy, self.now)
    }

    fn about_subscription(
        &self,
        event: &StoredEvent,
        change: &crate::access::subscription::SubscriptionChange,
    ) -> Decision {
        let known = self.tables.subscriptions.get(&change.subscription_id);
        let learned = self.asked(subscription::learned(event, change, known));
        let rows = self.rows_of(&learned, None);
        subscription::decide(event, change, &learned, &rows, &self.policy, self.now)
    }

    fn about_invoice(&self, event: &StoredEvent, change: &InvoiceChange) -> Decision {
        let known = self.tables.subscriptions.get(&change.subscription_id);
        let customer_id = change
            .customer_id
            .clone()
            .or_else(|| known.map(|known| known.customer_id.clone()));
        let learned = subscription::learned_invoice(event, change, &customer_id.unwrap(), known);
        let learned = self.asked(learned);
        let rows = self.rows_of(&learned, change.bill.payment_intent_id.as_ref());
        subscription::decide_invoice(event, change, &learned, &rows, &self.policy, self.now)
    }

    /// The subscription with what the provider says of it, where that must be asked.
    fn asked(&self, mut learned: Subscription) -> Subscription {
        if subscription::asks(&learned)
            && let Some(facts) = self.api.subscriptions.get(&learned.subscription_id)
        {
            // What it says now is newer than all that it has announced, whatever our clock says.
            let next = learned
                .snapshot
                .as_ref()
                .map(|known| known.at + SignedDuration::from_secs(1));
            let read_at = next.map_or(self.now, |next| next.max(self.now));
            learned.learn(
                read_at,
                SubscriptionFacts {
                    source: Source::Read,
                    ..facts.clone()
                },
            );
        }
        learned
    }

    fn rows_of(&self, learned: &Subscription, payment: Option<&PaymentIntentId>) -> Snapshot {
        self.tables.read(&ReadSet {
            order: learned
                .beginning
                .as_ref()
                .map(|beginning| beginning.order_id.clone()),
            links: payment.into_iter().cloned().collect(),
            subscription: Some((learned.customer_id.clone(), learned.subscription_id.clone())),
            ..subscription::entitlement_read_set(learned)
        })
    }

    pub(crate) fn order(&self) -> &Order {
        &self.tables.orders[&order_id()]
    }

    pub(crate) fn subscription(&self, subscription: &str) -> &Subscription {
        &self.tables.subscriptions[&id::<SubscriptionId>(subscription)]
    }

    pub(crate) fn access(&self, product: &str) -> &Entitlement {
        &self.tables.entitlements[&(id("fcus_1"), id(product))]
    }

    pub(crate) fn on_hand(&self, of: &str) -> i64 {
        self.tables.counters[&sku(of)]
    }

    pub(crate) fn receipts(&self) -> Vec<&str> {
        self.tables.receipts.keys().map(ReceiptId::as_str).collect()
    }
}

/// What a decision writes.
pub(crate) fn commit(decision: Decision) -> Commit {
    match decision {
        Decision::Write(commit) => *commit,
        other => panic!("nothing is written: {other}"),
    }
}
