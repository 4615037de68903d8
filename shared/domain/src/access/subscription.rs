//! A subscription: the merge of all its facts, and the access that follows from them.
//!
//! Flex's pattern (<https://docs.withflex.com/developer-guides/integration/checkout/fulfillment>):
//! `created` grants when it is trialing or active, a paid invoice confirms and extends, `updated`
//! brings status and plan, `deleted` revokes. Most subscriptions start as `incomplete`, and events
//! come in any order, so no step depends on another. Each event adds facts, and
//! [`Subscription::access`] is a function of them.

use crate::{
    sale::order::Period,
    values::{
        facts::{Fact, Stamp, Stated, earliest, latest, merge, merge_by, whole_second, words},
        ids::{
            CustomerId, InvoiceId, OrderId, PaymentIntentId, PaymentMethodId, PriceId, ProductId,
            ReceiptId, SubscriptionId,
        },
        mode::Mode,
        money::Currency,
        provider::ProviderId,
    },
};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;
use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
    fmt,
};

words!(
    /// The status of a subscription
    /// (<https://docs.withflex.com/api-reference/subscriptions/list-subscriptions>).
    SubscriptionStatus {
        /// The first payment is not made yet.
        Incomplete = "incomplete",
        /// In the trial.
        Trialing = "trialing",
        /// Paid.
        Active = "active",
        /// A renewal is not paid.
        PastDue = "past_due",
        /// A renewal is not paid, and the provider has stopped its retries.
        Unpaid = "unpaid",
        /// The trial ended without a payment method, or the merchant paused the subscription.
        Paused = "paused",
        /// The first payment was never made.
        IncompleteExpired = "incomplete_expired",
        /// Ended.
        Canceled = "canceled",
    }
);

impl SubscriptionStatus {
    /// The place in the life of a subscription, from 0 to 8. The later place of two facts of one time counts.
    #[must_use]
    pub fn place(&self) -> u8 {
        match self {
            Self::Other(_) => 0,
            Self::Incomplete => 1,
            Self::Trialing => 2,
            Self::Active => 3,
            Self::PastDue => 4,
            Self::Unpaid => 5,
            Self::Paused => 6,
            Self::IncompleteExpired => 7,
            Self::Canceled => 8,
        }
    }
}

/// The source of a fact. The order of the variants has no meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The event of the creation.
    Created,
    /// A read from the provider's API.
    Read,
    /// An event of a change.
    Updated,
    /// The event of the end.
    Deleted,
}

/// A subscription at one moment.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SubscriptionFacts {
    pub source: Source,
    pub status: SubscriptionStatus,
    /// True if the subscription ends with the paid period.
    pub cancel_at_period_end: bool,
    /// The end of the current period.
    pub period_end: Option<Timestamp>,
    /// The end of the trial, past or future.
    pub trial_end: Option<Timestamp>,
    pub items: Vec<Item>,
    /// The newest invoice; at the creation, the first.
    pub latest_invoice: Option<InvoiceId>,
    /// The creation of the subscription, if stated.
    pub created_at: Option<Timestamp>,
    /// The end of the paid time, if the provider states that the current period is paid.
    pub paid_through: Option<Timestamp>,
    /// The time since when a paused subscription gives no access, if the pause suspends it.
    pub suspended_at: Option<Timestamp>,
    /// The time of the end, if stated.
    pub ended_at: Option<Timestamp>,
    /// The saved method that renewals are charged to, if stated.
    pub payment_method_id: Option<PaymentMethodId>,
}

/// One item of a subscription.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Item {
    /// The product that the item gives access to, if known.
    pub product_id: Option<ProductId>,
    /// The price, which is the plan.
    pub price_id: Option<PriceId>,
    pub quantity: u32,
}

/// A change of a subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscriptionChange {
    pub subscription_id: SubscriptionId,
    pub customer_id: CustomerId,
    /// Live or test money, if the event says so.
    pub mode: Option<Mode>,
    /// The subscription at the time of the event.
    pub snapshot: Stated<SubscriptionFacts>,
}

/// An occurrence in the life of an invoice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InvoiceEvent {
    Paid,
    PaymentFailed,
}

/// A change of a subscription's invoice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvoiceChange {
    pub invoice_id: InvoiceId,
    pub subscription_id: SubscriptionId,
    /// The customer, if the event names one.
    pub customer_id: Option<CustomerId>,
    /// Live or test money, if the event says so.
    pub mode: Option<Mode>,
    pub event: InvoiceEvent,
    pub bill: Stated<Bill>,
}

/// The facts of an invoice. Amounts are minor units of `currency`.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Bill {
    pub currency: Currency,
    pub amount_paid: Option<i64>,
    pub amount_due: Option<i64>,
    /// The payment that paid the invoice.
    pub payment_intent_id: Option<PaymentIntentId>,
    pub period_start: Option<Timestamp>,
    pub period_end: Option<Timestamp>,
    /// The creation of the invoice, if stated.
    pub created_at: Option<Timestamp>,
}

/// An invoice as merged, on its subscription's row.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invoice {
    /// The latest facts; facts of a paid invoice take precedence.
    pub bill: Fact<Bill>,
    /// The earliest reported time of payment.
    pub paid_at: Option<Timestamp>,
    /// The first failure of the payment. The grace period starts here, even if later retries fail
    /// too.
    pub failed_at: Option<Timestamp>,
    /// The notice about the failed payment, once committed.
    pub notice_id: Option<ReceiptId>,
}

/// The order that started a subscription.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Beginning {
    pub order_id: OrderId,
    /// The invoice, if the sale names it: the order is also that invoice's order.
    pub invoice_id: Option<InvoiceId>,
    /// The date of the order.
    pub placed_at: Timestamp,
    /// The payments of the order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub payment_intents: Vec<PaymentIntentId>,
}

/// The place of an invoice in the life of its subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The first one: its order is the order of the sale.
    First,
    /// A later one: its order is a renewal.
    Renewal,
    /// The order that started the subscription must come first.
    Undecided,
}

/// The start of an unpaid period, from the subscription's own events. Kept beside the snapshot,
/// which later changes replace, because the grace period starts at the first failure.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastDue {
    /// The end of the unpaid period, if known.
    pub period_end: Option<Timestamp>,
    /// The first report of `past_due` for this period.
    pub since: Timestamp,
}

/// The row of the Entitlements table that holds a subscription's facts.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    pub subscription_id: SubscriptionId,
    pub customer_id: CustomerId,
    /// Counts changes, from 1.
    pub version: u64,
    pub provider: ProviderId,
    /// The latest facts with a known status, if there are any.
    pub snapshot: Option<Fact<SubscriptionFacts>>,
    /// The end of the subscription, permanent once set.
    pub ended_at: Option<Timestamp>,
    /// The latest period end of all paid invoices.
    pub paid_through: Option<Timestamp>,
    /// The latest period that the subscription's own events report as unpaid.
    pub past_due: Option<PastDue>,
    /// The newest invoices, at most [`MOST_INVOICES`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub invoices: BTreeMap<InvoiceId, Invoice>,
    /// The creation of the subscription, if stated.
    pub created_at: Option<Timestamp>,
    /// The invoice of the creation event.
    pub born_with: Option<InvoiceId>,
    /// The sale that started the subscription, once known.
    pub beginning: Option<Beginning>,
    /// The latest products. A change without items does not replace them.
    pub plan: Option<Fact<BTreeSet<ProductId>>>,
    /// All products that the subscription ever had.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub products: BTreeSet<ProductId>,
    /// The notice that the trial ends, once committed.
    pub trial_notice_id: Option<ReceiptId>,
    /// True for a subscription of another shop: its events need nothing here.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub other_shop: bool,
    /// Its orders of which a dispute is lost.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub lost_orders: BTreeSet<OrderId>,
    /// The latest stated payment method.
    pub payment_method: Option<Fact<PaymentMethodId>>,
    /// True if that method was removed: the next renewal cannot be charged.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub payment_method_removed: bool,
}

/// Invoices kept on a row: those of the latest periods. `paid_through` holds the result of the
/// older ones, and their unpaid amounts no longer matter.
pub const MOST_INVOICES: usize = 24;

/// A customer's access through a subscription.
#[skip_serializing_none]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    /// Access exists before this whole second; `None` if there never was any.
    #[serde(default, with = "jiff::fmt::serde::timestamp::second::optional")]
    pub until: Option<Timestamp>,
    /// The reason as a word; its `Display` is a sentence.
    pub reason: Reason,
}

/// The reason for access or for its absence.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Reason {
    /// Nothing is paid, and there is no trial.
    NotPaidYet,
    /// Paid, and renews.
    Paid,
    /// In the trial.
    Trial,
    /// Paid, and will not renew.
    CancelsAtPeriodEnd,
    /// Canceled; the paid time is left.
    CanceledButPaid,
    /// A renewal failed, and the grace period runs.
    Grace,
    /// A renewal failed, and there is no grace left.
    PaymentFailed,
    Paused,
    /// The plan no longer includes the product.
    NotInPlan,
    /// Ended permanently.
    Ended,
    /// Bought once.
    Purchased,
    /// Bought once, and refunded in full.
    Refunded,
    /// Bought once, and a dispute took the money back.
    DisputeLost,
    /// The provider's status word is unknown; the paid time counts.
    UnknownStatus,
}

impl Reason {
    /// All variants.
    pub const ALL: &'static [Self] = <Self as strum::VariantArray>::VARIANTS;

    /// The word in rows.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// A sentence that support staff can read aloud.
impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotPaidYet => "The subscription has not been paid for yet.",
            Self::Paid => "The subscription is paid for and renews at the end of its period.",
            Self::Trial => "The subscription is in its trial.",
            Self::CancelsAtPeriodEnd => "The subscription was cancelled and lasts to the end of the paid period.",
            Self::CanceledButPaid => "The subscription is cancelled; what was paid for may be used to its end.",
            Self::Grace => "The last renewal could not be charged; access goes on for a period of grace.",
            Self::PaymentFailed => "The last renewal could not be charged.",
            Self::Paused => "The subscription is paused; what was paid for may be used to its end.",
            Self::NotInPlan => "The subscription no longer includes this product.",
            Self::Ended => "The subscription has ended.",
            Self::Purchased => "The product was bought.",
            Self::Refunded => "The purchase was refunded in full.",
            Self::DisputeLost => "The bank took the money for the purchase back.",
            Self::UnknownStatus => {
                "The payment provider reports a status that we do not know; what was paid for may be used to its end."
            }
        })
    }
}

fn given(until: Option<Timestamp>, reason: Reason) -> Access {
    Access { until, reason }
}

impl Access {
    /// True if there is access now.
    #[must_use]
    pub fn is_given(&self, now: Timestamp) -> bool {
        self.until.is_some_and(|until| now < until)
    }
}

impl Subscription {
    /// A subscription without facts.
    #[must_use]
    pub fn new(
        provider: ProviderId,
        customer_id: CustomerId,
        subscription_id: SubscriptionId,
    ) -> Self {
        Self {
            subscription_id,
            customer_id,
            version: 0,
            provider,
            snapshot: None,
            ended_at: None,
            paid_through: None,
            past_due: None,
            invoices: BTreeMap::new(),
            created_at: None,
            born_with: None,
            beginning: None,
            plan: None,
            products: BTreeSet::new(),
            trial_notice_id: None,
            other_shop: false,
            lost_orders: BTreeSet::new(),
            payment_method: None,
            payment_method_removed: false,
        }
    }

    /// Merges the subscription's facts from an event or a read of that time.
    pub fn learn(&mut self, at: Timestamp, snapshot: impl Into<Stated<SubscriptionFacts>>) {
        let facts = snapshot.into().fact(at);
        let (at, snapshot) = (facts.stamp.at, &facts.value);
        match snapshot.source {
            Source::Deleted => {
                let ended_at = snapshot.ended_at.unwrap_or(at);
                self.ended_at = earliest(self.ended_at, Some(ended_at));
            }
            // A provider sends one creation event. If two disagree, the maximum is independent of
            // arrival order.
            Source::Created => {
                self.born_with = self.born_with.take().max(snapshot.latest_invoice.clone());
            }
            Source::Updated | Source::Read => {}
        }
        if snapshot.status == SubscriptionStatus::PastDue {
            self.learn_past_due(PastDue {
                period_end: snapshot.period_end,
                since: at,
            });
        }
        self.created_at = earliest(self.created_at, snapshot.created_at);
        self.paid_through = latest(self.paid_through, snapshot.paid_through);
        self.learn_plan(facts.stamp, &facts.value);
        let method = facts.value.payment_method_id.clone();
        let stamp = facts.stamp;
        merge(
            &mut self.payment_method,
            method.map(|value| Fact { stamp, value }),
        );
        // An unknown status neither grants nor revokes, so it does not replace a known one.
        let is_known = |facts: &SubscriptionFacts| facts.status.is_known();
        merge_by(&mut self.snapshot, Some(facts), is_known);
    }

    /// Keeps the later period, and the first report for one period.
    fn learn_past_due(&mut self, facts: PastDue) {
        let known = self.past_due.take().unwrap_or_else(|| facts.clone());
        self.past_due = Some(match known.period_end.cmp(&facts.period_end) {
            Ordering::Less => facts,
            Ordering::Equal => PastDue {
                since: known.since.min(facts.since),
                ..known
            },
            Ordering::Greater => known,
        });
    }

    fn learn_plan(&mut self, stamp: Stamp, snapshot: &SubscriptionFacts) {
        let items = snapshot.items.iter();
        let products: BTreeSet<_> = items.filter_map(|item| item.product_id.clone()).collect();
        if products.is_empty() {
            return;
        }
        self.products.extend(products.iter().cloned());
        let plan = Fact {
            stamp,
            value: products,
        };
        merge(&mut self.plan, Some(plan));
    }

    /// Merges an occurrence of that time in the life of an invoice.
    pub fn learn_invoice(
        &mut self,
        at: Timestamp,
        id: &InvoiceId,
        event: InvoiceEvent,
        bill: impl Into<Stated<Bill>>,
    ) {
        let facts = bill.into().fact(at);
        let at = Some(facts.stamp.at);
        let invoice = self.invoices.entry(id.clone()).or_insert_with(|| Invoice {
            bill: facts.clone(),
            paid_at: None,
            failed_at: None,
            notice_id: None,
        });
        let period_end = facts.value.period_end;
        // The facts of a paid invoice stay, whatever a failed attempt reports.
        if (event == InvoiceEvent::Paid, &facts) > (invoice.paid_at.is_some(), &invoice.bill) {
            invoice.bill = facts;
        }
        match event {
            InvoiceEvent::Paid => {
                invoice.paid_at = earliest(invoice.paid_at, at);
                self.paid_through = latest(self.paid_through, period_end);
            }
            InvoiceEvent::PaymentFailed => invoice.failed_at = earliest(invoice.failed_at, at),
        }
        while self.invoices.len() > MOST_INVOICES {
            let oldest = self
                .invoices
                .iter()
                .min_by_key(|(id, invoice)| (invoice.bill.value.period_end, *id));
            let Some(oldest) = oldest.map(|(id, _)| id.clone()) else {
                break;
            };
            self.invoices.remove(&oldest);
        }
    }

    /// Merges the end of a period that a renewal pays for. Its invoice may carry the past period.
    pub fn learn_period(&mut self, period: Period) {
        self.paid_through = latest(self.paid_through, Some(period.end));
    }

    /// Merges the order that started the subscription.
    pub fn learn_beginning(&mut self, beginning: Beginning) {
        self.beginning = self.beginning.take().max(Some(beginning));
    }

    /// Notes whether a dispute of one of its orders is lost, as that order has it now.
    pub fn learn_dispute(&mut self, order_id: &OrderId, is_lost: bool) {
        if is_lost {
            self.lost_orders.insert(order_id.clone());
        } else {
            self.lost_orders.remove(order_id);
        }
    }

    /// True if a dispute took back the money of the newest paid invoice. A later payment pays for access again.
    #[must_use]
    pub fn has_lost_payment(&self) -> bool {
        let paid = self.invoices.iter();
        let paid = paid.filter(|(_, invoice)| invoice.paid_at.is_some());
        let newest = paid.max_by_key(|(id, invoice)| (invoice.bill.value.period_end, *id));
        let renewal = newest.filter(|(id, _)| self.standing(id) == Standing::Renewal);
        match (renewal, &self.beginning) {
            (Some((id, _)), _) => self.lost_orders.contains(&OrderId::from(id)),
            (None, Some(beginning)) => self.lost_orders.contains(&beginning.order_id),
            (None, None) => false,
        }
    }

    /// The first failed payment that is still open. Its invoice is unpaid, no other payment covers
    /// its period, and the subscription was not reported active since.
    fn failing_since(&self) -> Option<Timestamp> {
        let is_covered =
            |end: Option<Timestamp>| end.is_some_and(|end| Some(end) <= self.paid_through);
        let recovered_at = self
            .snapshot
            .as_ref()
            .filter(|facts| facts.value.status == SubscriptionStatus::Active);
        let unsent = self.invoices.values().filter(|invoice| {
            let end = invoice.bill.value.period_end;
            // An invoice that carries the past period is for the next one.
            let is_covered = is_covered(end) && (!invoice.is_past() || end < self.paid_through);
            invoice.paid_at.is_none() && !is_covered
        });
        let past_due = self.past_due.as_ref().filter(|facts| {
            let paid_since = self
                .invoices
                .values()
                .any(|invoice| invoice.paid_at >= Some(facts.since));
            // A period that was over when the payment failed is the one before the unpaid one.
            let is_past = facts.period_end <= Some(facts.since);
            let is_covered =
                is_covered(facts.period_end) && (!is_past || facts.period_end < self.paid_through);
            !is_covered && !paid_since
        });
        unsent
            .filter_map(|invoice| invoice.failed_at)
            .chain(past_due.map(|facts| facts.since))
            .filter(|failed_at| recovered_at.is_none_or(|facts| facts.stamp.at <= *failed_at))
            .min()
    }

    /// The end and the reason of access, with this grace period after a failed renewal.
    ///
    /// Paid access is revoked only when the subscription ends. Three things extend it: the current
    /// period while active, the trial, and the grace period after a failed renewal.
    #[must_use]
    pub fn access(&self, grace: SignedDuration) -> Access {
        let access = match (&self.snapshot, self.failing_since()) {
            (Some(facts), since) => self.access_by_status(&facts.value, since, grace),
            (None, Some(since)) => self.access_while_failing(since, grace),
            (None, None) => given(self.paid_through, Reason::Paid),
        };
        let access = match access {
            Access {
                until: None,
                reason: Reason::Paid,
            } => given(None, Reason::NotPaidYet),
            access => access,
        };
        let access = match self.ended_at {
            Some(ended_at) => given(access.until.map(|until| until.min(ended_at)), Reason::Ended),
            None => access,
        };
        // Other systems read it from rows that hold whole seconds.
        Access {
            until: access.until.map(whole_second),
            ..access
        }
    }

    /// The end of the trial, if the status implies one: providers set trial dates even before the
    /// first payment.
    fn trial_end(&self) -> Option<Timestamp> {
        let facts = &self.snapshot.as_ref()?.value;
        match facts.status {
            SubscriptionStatus::Trialing => facts.trial_end.or(facts.period_end),
            SubscriptionStatus::Active | SubscriptionStatus::PastDue => facts.trial_end,
            _ => None,
        }
    }

    fn access_by_status(
        &self,
        facts: &SubscriptionFacts,
        failing_since: Option<Timestamp>,
        grace: SignedDuration,
    ) -> Access {
        use SubscriptionStatus as Status;
        let (paid, trial) = (self.paid_through, self.trial_end());
        match (&facts.status, failing_since) {
            // No payment is due before the end of the trial.
            (Status::Trialing, since) if since.is_none_or(|since| Some(since) < trial) => {
                let is_paid = paid > trial;
                let reason = if is_paid { Reason::Paid } else { Reason::Trial };
                given(latest(paid, trial), reason)
            }
            (
                Status::Trialing | Status::Active | Status::PastDue | Status::Incomplete,
                Some(since),
            ) => self.access_while_failing(since, grace),
            (Status::Active | Status::PastDue | Status::Trialing, None) => {
                self.access_while_paid(facts)
            }
            (Status::Incomplete | Status::IncompleteExpired, _) => given(paid, Reason::Paid),
            (Status::Unpaid, _) => given(paid, Reason::PaymentFailed),
            (Status::Paused, _) => {
                let suspended_at = facts.suspended_at;
                let until = paid.map(|paid| suspended_at.map_or(paid, |at| at.min(paid)));
                given(until, Reason::Paused)
            }
            (Status::Canceled, _) => given(paid, Reason::CanceledButPaid),
            (Status::Other(_), _) => given(paid, Reason::UnknownStatus),
        }
    }

    fn access_while_paid(&self, facts: &SubscriptionFacts) -> Access {
        let reason = if facts.cancel_at_period_end {
            Reason::CancelsAtPeriodEnd
        } else {
            Reason::Paid
        };
        // A past-due subscription that was paid since: only the paid time counts.
        let period_end = facts
            .period_end
            .filter(|_| facts.status == SubscriptionStatus::Active);
        given(latest(self.paid_through, period_end), reason)
    }

    fn access_while_failing(&self, since: Timestamp, grace: SignedDuration) -> Access {
        let had = latest(self.paid_through, self.trial_end());
        let graced = since.saturating_add(grace).ok();
        // Grace requires earlier access; a failed first payment gets none.
        let is_past_due = self
            .snapshot
            .as_ref()
            .is_some_and(|facts| facts.value.status == SubscriptionStatus::PastDue);
        if had.is_none() && !is_past_due {
            given(None, Reason::NotPaidYet)
        } else if grace > SignedDuration::ZERO && graced > had {
            given(graced, Reason::Grace)
        } else {
            given(had, Reason::PaymentFailed)
        }
    }

    /// True if the provider must be asked: the known facts lack a date or a product.
    #[must_use]
    pub fn is_vague(&self) -> bool {
        let Some(Fact {
            stamp,
            value: facts,
        }) = &self.snapshot
        else {
            return true;
        };
        let dateless = match facts.status {
            SubscriptionStatus::Active => facts.period_end.is_none(),
            SubscriptionStatus::Trialing => facts.trial_end.or(facts.period_end).is_none(),
            _ => false,
        };
        // Some providers bill in arrears: such an invoice does not say how far it pays. Facts from
        // before the payment do not say it either.
        let paid_last = self
            .invoices
            .values()
            .filter_map(|invoice| invoice.paid_at)
            .max();
        let unclear = self
            .invoices
            .values()
            .filter(|invoice| invoice.paid_at == paid_last)
            .any(|invoice| {
                paid_last.is_some_and(|paid_at| {
                    invoice
                        .bill
                        .value
                        .period_end
                        .is_none_or(|end| end <= paid_at)
                        && (facts.source != Source::Read || stamp.at < paid_at)
                })
            });
        dateless || unclear || self.plan.is_none()
    }

    /// The products of the current plan.
    #[must_use]
    pub fn current_products(&self) -> BTreeSet<ProductId> {
        self.plan
            .as_ref()
            .map(|plan| plan.value.clone())
            .unwrap_or_default()
    }

    /// True if the provider must be asked before this is written: facts contradict each other, or do not state enough.
    #[must_use]
    pub fn must_be_asked_for(&self) -> bool {
        self.is_contradicted() || self.is_vague()
    }

    /// True if facts contradict the end: a later payment or a later active status. The provider is
    /// then asked before access is revoked.
    #[must_use]
    pub fn is_contradicted(&self) -> bool {
        let Some(ended_at) = self.ended_at else {
            return false;
        };
        let paid_since = self
            .invoices
            .values()
            .any(|invoice| invoice.paid_at > Some(ended_at));
        let lives_since = self.snapshot.as_ref().is_some_and(|facts| {
            facts.stamp.at > ended_at
                && matches!(
                    facts.value.status,
                    SubscriptionStatus::Trialing | SubscriptionStatus::Active
                )
        });
        paid_since || lives_since
    }

    /// The place of one of its invoices.
    ///
    /// No field distinguishes the first invoice from a renewal's
    /// (<https://docs.withflex.com/api-reference/invoices/get-invoice>). The checks go from best to
    /// worst evidence: the sale, the subscription's creation, the payment, the time. Without
    /// its first order, a subscription that began long before the invoice still decides: it may be
    /// older than this stack.
    #[must_use]
    pub fn standing(&self, id: &InvoiceId) -> Standing {
        let beginning = self.beginning.as_ref();
        let named = beginning.and_then(|beginning| beginning.invoice_id.as_ref());
        if let Some(first) = named.or(self.born_with.as_ref()) {
            return Standing::of(first == id);
        }
        let Some(invoice) = self.invoices.get(id) else {
            return Standing::Undecided;
        };
        let payment = invoice.bill.value.payment_intent_id.as_ref();
        if beginning
            .zip(payment)
            .is_some_and(|(beginning, payment)| beginning.payment_intents.contains(payment))
        {
            return Standing::First;
        }
        let begun = [
            beginning.map(|beginning| beginning.placed_at),
            self.created_at,
        ];
        match (beginning, invoice.is_begun_with(begun)) {
            (Some(_), close) => Standing::of(close == Some(true)),
            (None, Some(false)) => Standing::Renewal,
            (None, Some(true) | None) => Standing::Undecided,
        }
    }
}

impl Standing {
    fn of(is_first: bool) -> Self {
        if is_first { Self::First } else { Self::Renewal }
    }
}

impl Invoice {
    /// The amount and the time of its payment; `None` if it is not paid or cost nothing, as at the start of a trial.
    #[must_use]
    pub fn payment(&self) -> Option<(i64, Timestamp)> {
        let amount = self.bill.value.amount_paid.filter(|paid| *paid > 0);
        amount.zip(self.paid_at)
    }

    /// True if its period was over when its payment was tried or made first.
    fn is_past(&self) -> bool {
        let bill = &self.bill.value;
        bill.period_end > bill.period_start
            && earliest(self.paid_at, self.failed_at).is_some_and(|at| bill.period_end <= Some(at))
    }

    /// True if it was made close to one of these moments; `None` if its own time or all moments are unknown.
    fn is_begun_with(&self, moments: [Option<Timestamp>; 2]) -> Option<bool> {
        /// A sale and its invoice are seconds apart; two invoices are at least a day apart.
        const CLOSE: SignedDuration = SignedDuration::from_hours(12);
        let bill = &self.bill.value;
        // The period of the first invoice is never over when the invoice is paid or fails.
        if self.is_past() {
            return Some(false);
        }
        let made_at = bill.created_at.or(bill.period_start)?;
        let close = moments
            .into_iter()
            .flatten()
            .map(|moment| made_at.duration_since(moment).abs() < CLOSE);
        close.reduce(|one, other| one || other)
    }
}

#[cfg(test)]
mod tests;
