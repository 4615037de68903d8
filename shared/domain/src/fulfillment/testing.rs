//! For tests: a shop with boring defaults, its tables in memory, and a worker. The worker does the same as the function
//! on AWS: read, decide, commit, and again after a lost race.

use crate::{
    access::{
        entitlement::Entitlement,
        purchase::AccessPolicies,
        renewal::{Recurring, Renewal},
        subscription::{
            Bill, InvoiceChange, InvoiceEvent, Item, Source, Subscription, SubscriptionChange,
            SubscriptionFacts,
        },
    },
    delivery::{
        answer::{Answer, Refunds, UnclearRefund},
        event::{Change, Event},
        reference::Reference,
        stored_event::{EventState, RECOVERED, StoredEvent},
    },
    fulfillment::{
        Decision, ParkReason, Policy,
        commit::Commit,
        decide,
        known::{Case, Known, Need},
    },
    ports::Committed,
    resource::{ResourceChange, ResourceId},
    sale::{
        amounts::PartPayment,
        details::{Details, Metadata},
        dispute::{self, DisputeStatus},
        order::{Order, Period},
        payment::{self, PaymentFacts, PaymentStatus},
        refund::{self, RefundStatus},
        restock::RestockPolicy,
        shop::{NotNeeded, ShopFilter},
        statement::{
            Capture, Certification, Customer, Eligibility, LineItem, Sale, SaleKind, SaleStatus,
            Totals,
        },
        stock::{RenewalStock, StockLevel},
    },
    testing::Tables,
    values::{
        facts::Stated,
        ids::{
            BadId, DeliveryId, OrderId, PaymentIntentId, ProductId, ReceiptId, Sku, SubscriptionId,
        },
        mode::Mode,
        money::Currency,
        note::{Action, Noted, Notes},
        outcome::ReadError,
        provider::ProviderPolicies,
    },
};
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// The time of the worker: after every event.
pub(crate) const NOW: i64 = 1_860_000_000;
/// The time of the sale's completion.
pub(crate) const SALE: i64 = 1_760_090_001;
pub(crate) const DAY: i64 = 86_400;

pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// Any identifier.
pub(crate) fn id<Id: TryFrom<String, Error = BadId>>(text: &str) -> Id {
    Id::try_from(text.to_owned()).unwrap()
}

/// The only order of most tests.
pub(crate) fn order_id() -> OrderId {
    id("fcs_1")
}

pub(crate) fn sku(text: &str) -> Sku {
    Sku::new(text).unwrap()
}

pub(crate) fn policy() -> Policy {
    Policy {
        mode: Mode::Live,
        merchant_id: None,
        shop: ShopFilter::default(),
        restock: RestockPolicy::Any,
        part_payment: PartPayment::Hold,
        access: AccessPolicies::KEEP,
        renewal_stock: RenewalStock::Move,
        reserve_stock: false,
        grace: SignedDuration::ZERO,
        payment_failed_mail: false,
        shipment_mail: false,
        trial_ends_mail: false,
        bundle: "0.0.0",
    }
}

/// An event of that second with this change.
pub(crate) fn facts(event_id: &str, second: i64, change: Change) -> Event {
    Event {
        event_id: id(event_id),
        event_type: "a.type".to_owned(),
        occurred_at: Some(at(second)),
        scope: crate::values::scope::Scope::UNSTATED,
        stamp: None,
        change,
    }
}

/// A note of a release.
pub(crate) fn released(why: &str) -> Noted {
    Noted {
        at: at(NOW),
        by: "ops".to_owned(),
        did: Action::Released,
        why: why.to_owned(),
    }
}

/// The stored row of the event.
pub(crate) fn stored(event: &Event) -> StoredEvent {
    StoredEvent {
        event_id: event.event_id.clone(),
        provider: "flex".parse().unwrap(),
        delivery_id: DeliveryId::new(if event.event_id.as_str().starts_with("reconciled:") {
            RECOVERED
        } else {
            "msg_1"
        })
        .unwrap(),
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
        notes: Notes::default(),
        outbox: Vec::new(),
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
        eligibility: Some(Eligibility {
            certification: Certification::Certified,
            word: "auto_substantiation".into(),
        }),
        product_id: Some(id(&format!("fprod_{name}"))),
        price_id: Some(id(&format!("fprice_{name}"))),
        sku: of.map(sku),
        metadata: Metadata::default(),
    }
}

/// A sale that is paid for.
pub(crate) fn sale(lines: Vec<LineItem>) -> Sale {
    let total = lines.iter().map(|line| line.amounts.total).sum();
    Sale {
        order_id: order_id(),
        stamp: None,
        is_unpaid: false,
        holds: BTreeSet::new(),
        client_reference_id: Some("order-1042".into()),
        status: SaleStatus::Complete,
        kind: SaleKind::Payment,
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
        tax_included: false,
        least_charge: 50,
        received: Some(total),
        payment_intents: vec![id("fpi_1")],
        payments: BTreeMap::new(),
        subscription_id: None,
        invoice_id: None,
        lines,
        checkout_sessions: BTreeSet::new(),
        fulfilled_elsewhere: false,
        details: Details::default(),
    }
}

/// A sale with payments in these states, whose session states that no money has been received.
pub(crate) fn with_payments(sale: Sale, statuses: &[&str]) -> Sale {
    let names: Vec<PaymentIntentId> = (1..=statuses.len())
        .map(|n| id(&format!("fpi_{n}")))
        .collect();
    let facts = |status: &&str| {
        paid(
            status,
            sale.totals.total / i64::try_from(statuses.len()).unwrap(),
        )
    };
    Sale {
        received: Some(0),
        payments: names
            .iter()
            .cloned()
            .zip(statuses.iter().map(facts))
            .collect(),
        payment_intents: names,
        ..sale
    }
}

pub(crate) fn stock_level(of: &str, on_hand: i64) -> StockLevel {
    StockLevel {
        sku: sku(of),
        on_hand: Some(on_hand),
        untracked: false,
        is_reported: false,
        moved: None,
    }
}

/// A status for each of the provider's words, in the order of the thing's life, which an adapter ranks them by.
fn status<S: Copy>(words: &[(&str, S)], word: &str, unknown: S) -> (u8, S) {
    let known = (1..).zip(words).find(|(_, (known, _))| *known == word);
    known.map_or((0, unknown), |(rank, (_, status))| (rank, *status))
}

const PAYMENT_WORDS: [(&str, PaymentStatus); 7] = [
    ("requires_payment_method", PaymentStatus::Failed),
    ("requires_confirmation", PaymentStatus::Open),
    ("requires_action", PaymentStatus::Open),
    ("processing", PaymentStatus::Processing),
    ("requires_capture", PaymentStatus::Authorized),
    ("canceled", PaymentStatus::Canceled),
    ("succeeded", PaymentStatus::Received),
];

const REFUND_WORDS: [(&str, RefundStatus); 5] = [
    ("pending", RefundStatus::Pending),
    ("requires_action", RefundStatus::Pending),
    ("succeeded", RefundStatus::Succeeded),
    ("failed", RefundStatus::Failed),
    ("canceled", RefundStatus::Canceled),
];

const DISPUTE_WORDS: [(&str, DisputeStatus); 8] = [
    ("warning_needs_response", DisputeStatus::Inquiry),
    ("warning_under_review", DisputeStatus::Inquiry),
    ("needs_response", DisputeStatus::Open),
    ("under_review", DisputeStatus::Open),
    ("warning_closed", DisputeStatus::InquiryClosed),
    ("prevented", DisputeStatus::InquiryClosed),
    ("lost", DisputeStatus::Lost),
    ("won", DisputeStatus::Won),
];

/// The facts of a payment in that state.
pub(crate) fn paid(word: &str, amount: i64) -> Stated<PaymentFacts> {
    let (rank, status) = status(&PAYMENT_WORDS, word, PaymentStatus::Unknown);
    let is_received = status == PaymentStatus::Received;
    let facts = PaymentFacts {
        received: Some(if is_received { amount } else { 0 }),
        amount: Some(amount),
        ..PaymentFacts::bare(status, word, Currency::USD)
    };
    Stated::ranked(rank, facts)
}

pub(crate) fn completed() -> Change {
    Change::Sale {
        order_id: order_id(),
        completed: true,
    }
}

/// An event of another type about the sale.
pub(crate) fn changed() -> Change {
    Change::Sale {
        order_id: order_id(),
        completed: false,
    }
}

pub(crate) fn payment_change(payment: &str, facts: Option<Stated<PaymentFacts>>) -> Change {
    Change::Payment(payment::PaymentChange {
        payment_intent_id: id(payment),
        order_id: None,
        mode: Some(Mode::Live),
        facts,
    })
}

pub(crate) fn refund_facts(payment: &str, word: &str, amount: i64) -> Stated<refund::RefundFacts> {
    let (rank, status) = status(&REFUND_WORDS, word, RefundStatus::Unknown);
    let facts = refund::RefundFacts {
        status,
        word: word.to_owned(),
        amount,
        currency: Currency::USD,
        payment_intent_id: id(payment),
        goods: Vec::new(),
        goods_unclear: false,
        invoice_id: None,
        made_at: Some(at(SALE + DAY)),
    };
    Stated::ranked(rank, facts)
}

pub(crate) fn refund_news(
    refund: &str,
    facts: Stated<refund::RefundFacts>,
) -> refund::RefundChange {
    refund::RefundChange {
        refund_id: id(refund),
        mode: Some(Mode::Live),
        facts,
        subscription_id: None,
    }
}

/// A refund of the order's first payment.
pub(crate) fn refunded(refund: &str, status: &str, amount: i64) -> Change {
    Change::Refund(refund_news(refund, refund_facts("fpi_1", status, amount)))
}

pub(crate) fn dispute_news(
    dispute: &str,
    word: &str,
    funds: Option<dispute::DisputeFunds>,
) -> dispute::DisputeChange {
    let (rank, status) = status(&DISPUTE_WORDS, word, DisputeStatus::Unknown);
    dispute::DisputeChange {
        dispute_id: id(dispute),
        mode: Some(Mode::Live),
        facts: Stated::ranked(
            rank,
            dispute::DisputeFacts {
                status,
                word: word.to_owned(),
                amount: 1000,
                currency: Currency::USD,
                payment_intent_id: id("fpi_1"),
                reason: Some("fraudulent".to_owned()),
                due_by: Some(at(SALE + 10 * DAY)),
            },
        ),
        closed: false,
        funds,
    }
}

/// A subscription to one product, as a change event states it.
pub(crate) fn snapshot(status: &str, period_end: i64) -> SubscriptionFacts {
    SubscriptionFacts {
        source: Source::Updated,
        status: status.into(),
        cancel_at_period_end: false,
        period_end: Some(at(period_end)),
        trial_end: None,
        items: vec![item("fprod_gym")],
        latest_invoice: None,
        created_at: None,
        paid_through: None,
        suspended_at: None,
        payment_method_id: None,
        ended_at: None,
    }
}

pub(crate) fn item(product: &str) -> Item {
    Item {
        product_id: Some(id(product)),
        price_id: Some(id(&format!("{product}-price"))),
        quantity: 1,
    }
}

/// Facts as an adapter ranks them: by their source, then by their status.
pub(crate) fn stated(facts: SubscriptionFacts) -> Stated<SubscriptionFacts> {
    let source = match facts.source {
        Source::Created => 0,
        Source::Read => 1,
        Source::Updated => 2,
        Source::Deleted => 3,
    };
    let words = SUBSCRIPTION_WORDS.map(|word| (word, ()));
    let (status, ()) = status(&words, facts.status.as_str(), ());
    Stated::ranked(source * 16 + status, facts)
}

const SUBSCRIPTION_WORDS: [&str; 8] = [
    "incomplete",
    "trialing",
    "active",
    "past_due",
    "unpaid",
    "paused",
    "incomplete_expired",
    "canceled",
];

pub(crate) fn subscription_change(subscription: &str, snapshot: SubscriptionFacts) -> Change {
    Change::Subscription(crate::access::subscription::SubscriptionChange {
        subscription_id: id(subscription),
        customer_id: id("fcus_1"),
        mode: Some(Mode::Live),
        snapshot: stated(snapshot),
    })
}

/// The facts of an invoice whose payment either succeeded or failed.
pub(crate) fn bill(event: InvoiceEvent, amount: i64, period: (i64, i64)) -> Bill {
    Bill {
        currency: Currency::USD,
        amount_paid: Some(if event == InvoiceEvent::Paid {
            amount
        } else {
            0
        }),
        amount_due: Some(amount),
        payment_intent_id: None,
        period_start: Some(at(period.0)),
        period_end: Some(at(period.1)),
        created_at: None,
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
        bill: bill.into(),
    })
}

/// The answers of the provider's API.
#[derive(Debug, Clone, Default)]
pub(crate) struct Api {
    pub(crate) sales: BTreeMap<OrderId, Sale>,
    /// Payments that are fetched by themselves.
    pub(crate) payments: BTreeMap<PaymentIntentId, payment::PaymentChange>,
    pub(crate) refunds: Vec<refund::RefundChange>,
    pub(crate) unclear_refund: Option<UnclearRefund>,
    pub(crate) subscriptions: BTreeMap<SubscriptionId, SubscriptionFacts>,
    /// The prices of a subscription's products.
    pub(crate) prices: BTreeMap<ProductId, i64>,
    pub(crate) items_changed_at: Option<Timestamp>,
    /// The customer of every subscription.
    pub(crate) customer: Customer,
    /// Things that are mirrored.
    pub(crate) resources: BTreeMap<ResourceId, ResourceChange>,
}

impl Api {
    fn fetch(&self, reference: &Reference) -> Result<Answer, ParkReason> {
        let unknown = || {
            ParkReason::NotRead(ReadError::Permanent {
                status: 404,
                code: None,
            })
        };
        match reference {
            Reference::Sale(id) => {
                let found = self.sales.get(id).ok_or_else(unknown)?;
                Ok(Answer::Sale(Box::new(found.clone())))
            }
            Reference::SaleOfPayment(payment) => {
                Ok(Answer::SaleOfPayment(self.sale_of(payment).cloned()))
            }
            Reference::Payment(id) => {
                let change = self.payments.get(id).ok_or_else(unknown)?.clone();
                Ok(Answer::Change(Box::new(Change::Payment(change))))
            }
            Reference::RefundsOfSale(id) => {
                Ok(self.refunds(|payment| self.sale_of(payment) == Some(id)))
            }
            Reference::RefundsOfPayment(id) => Ok(self.refunds(|payment| payment == id)),
            Reference::Subscription(id) => {
                let change = self.subscription(id).ok_or_else(unknown)?;
                Ok(Answer::Change(Box::new(Change::Subscription(change))))
            }
            Reference::Renewal(id) => {
                let change = self.subscription(id).ok_or_else(unknown)?;
                Ok(Answer::Renewal(Box::new(self.renewal(change))))
            }
            Reference::Resource(id) => {
                let change = self.resources.get(id).ok_or_else(unknown)?;
                let change = Change::Resource(Box::new(change.clone()));
                Ok(Answer::Change(Box::new(change)))
            }
            _ => Err(unknown()),
        }
    }

    fn subscription(&self, id: &SubscriptionId) -> Option<SubscriptionChange> {
        let facts = SubscriptionFacts {
            source: Source::Read,
            ..self.subscriptions.get(id)?.clone()
        };
        Some(SubscriptionChange {
            subscription_id: id.clone(),
            customer_id: self::id("fcus_1"),
            mode: Some(Mode::Live),
            snapshot: facts.into(),
        })
    }

    /// Months, and each item at its price, else at the usual one.
    fn renewal(&self, change: SubscriptionChange) -> Renewal {
        let period = change.snapshot.period_end.map(|end| Period {
            start: end - SignedDuration::from_secs(30 * DAY),
            end,
        });
        let recurring = |item: &Item| {
            let product = item.product_id.as_ref().unwrap();
            let price = self.prices.get(product).copied().unwrap_or(4999);
            let total = price * i64::from(item.quantity);
            Recurring {
                line: LineItem {
                    product_id: item.product_id.clone(),
                    price_id: item.price_id.clone(),
                    ..line(product.as_str(), item.quantity, total, None)
                },
                changed_at: self.items_changed_at,
            }
        };
        Renewal {
            items: change.snapshot.items.iter().map(recurring).collect(),
            customer: self.customer.clone(),
            details: Details::default(),
            period,
            change,
        }
    }

    fn sale_of(&self, payment: &PaymentIntentId) -> Option<&OrderId> {
        let mut sales = self.sales.values();
        sales
            .find(|sale| sale.payment_intents.contains(payment))
            .map(|found| &found.order_id)
    }

    fn refunds(&self, of: impl Fn(&PaymentIntentId) -> bool) -> Answer {
        let meant = |change: &&refund::RefundChange| of(&change.facts.payment_intent_id);
        Answer::Refunds(Refunds {
            understood: self.refunds.iter().filter(meant).cloned().collect(),
            unclear: self.unclear_refund.clone(),
        })
    }
}

/// The result of one delivery of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// Nothing is left to do.
    Done,
    /// It comes again.
    Waits(ParkReason),
    /// A person decides.
    Parked(ParkReason),
    /// Nothing is to do here.
    NotNeeded(NotNeeded),
}

/// A shop: its tables, its provider and its policy.
#[derive(Debug, Clone)]
pub(crate) struct Shop {
    pub(crate) tables: Tables,
    pub(crate) api: Api,
    pub(crate) policy: Policy,
    pub(crate) provider: ProviderPolicies,
    pub(crate) now: Timestamp,
}

impl Shop {
    pub(crate) fn new() -> Self {
        // A clock rarely shows a whole second.
        let now = at(NOW) + SignedDuration::from_millis(321);
        Self {
            tables: Tables::default(),
            api: Api::default(),
            policy: policy(),
            provider: ProviderPolicies::OURS,
            now,
        }
    }

    /// A shop whose provider knows this sale, with ten of each product in stock.
    pub(crate) fn selling(sale: Sale) -> Self {
        let mut shop = Self::new();
        shop.tables.counters = sale
            .lines
            .iter()
            .filter_map(|line| Some((line.sku.clone()?, 10)))
            .collect();
        shop.api.sales.insert(sale.order_id.clone(), sale);
        shop
    }

    /// Delivers an event of that second.
    pub(crate) fn tell(&mut self, second: i64, change: Change) -> End {
        let event = facts(&format!("fevt_{second}"), second, change);
        self.deliver(&event)
    }

    /// Handles an event, again after each lost race.
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

    /// Carries a decision out, unless its rows have changed.
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
            Decision::NotNeeded { commit, reason } => {
                assert!(commit.as_ref().is_none_or(|commit| !commit.ends));
                (commit, End::NotNeeded(reason))
            }
        };
        let committed = commit.map_or(Committed::Now, |commit| self.tables.commit(&commit));
        (end, committed)
    }

    /// The decision about an event on the present rows.
    pub(crate) fn decide(&self, event: &Event) -> Decision {
        self.decide_row(&stored(event), event)
    }

    /// The decision about an event with this row.
    pub(crate) fn decide_row(&self, row: &StoredEvent, event: &Event) -> Decision {
        let mut known = Known::default();
        loop {
            let case = Case {
                event: row,
                scope: &event.scope,
                stamp: event.stamp,
                known: &known,
                policy: &self.policy,
                provider: self.provider,
                stated_at: row.stated_at(),
                now: self.now,
            };
            match decide(&case, &event.change) {
                Ok(decision) => return decision,
                Err(Need::Rows(read_set)) => {
                    let rows = self.tables.read(&read_set);
                    known.add_rows(*read_set, rows);
                }
                Err(Need::CustomerOf(id)) => {
                    let customer = self
                        .subscriptions()
                        .get(&id)
                        .map(|row| row.customer_id.clone());
                    known.add_customer(id, customer);
                }
                Err(Need::Fetch(reference)) => {
                    let answer = self.api.fetch(&reference);
                    known.add_answer(reference, self.now, answer);
                }
            }
        }
    }

    pub(crate) fn order(&self) -> &Order {
        &self.tables.orders[&order_id()]
    }

    pub(crate) fn subscription(&self, subscription: &str) -> &Subscription {
        self.subscriptions()[&id::<SubscriptionId>(subscription)]
    }

    pub(crate) fn subscriptions(&self) -> BTreeMap<&SubscriptionId, &Subscription> {
        let rows = self.tables.subscription_rows.iter();
        rows.map(|((_, id), row)| (id, row)).collect()
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

/// The commit of a decision.
pub(crate) fn commit(decision: Decision) -> Commit {
    match decision {
        Decision::Write(commit) => *commit,
        other => panic!("nothing is written: {other}"),
    }
}
