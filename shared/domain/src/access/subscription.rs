//! A subscription: the merge of all facts seen of it, and what access follows from them.
//!
//! Flex's pattern (<https://docs.withflex.com/developer-guides/integration/checkout/fulfillment>): `created` grants
//! when it is trialing or active, a paid invoice confirms and extends, `updated` tells status and plan, `deleted`
//! revokes. Subscriptions are mostly born `incomplete`, and events come in any order, so none of that is done in
//! turn: each event adds facts, and [`Subscription::access`] is a function of them.

use crate::values::{
    facts::{Fact, earliest, latest, merge, whole_second, words},
    ids::{
        BadId, CustomerId, InvoiceId, OrderId, PaymentIntentId, PriceId, ProductId, ReceiptId,
        SubscriptionId,
    },
    mode::Mode,
    provider::Provider,
};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
    fmt,
};

words!(
    /// Where a subscription stands (<https://docs.withflex.com/api-reference/subscriptions/list-subscriptions>).
    SubscriptionStatus {
        /// Its first payment is not made.
        Incomplete = "incomplete",
        /// In its trial.
        Trialing = "trialing",
        /// Paid for.
        Active = "active",
        /// A renewal is not paid.
        PastDue = "past_due",
        /// A renewal is not paid, and no more tries are made.
        Unpaid = "unpaid",
        /// Its trial has ended without a way to pay, or the merchant has stopped it.
        Paused = "paused",
        /// Its first payment was never made.
        IncompleteExpired = "incomplete_expired",
        /// Over.
        Canceled = "canceled",
    }
);

/// How we know, in the order in which it counts within one second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The event of its creation.
    Created,
    /// Read from the provider's API. A change that is announced within the same second is the same, or newer.
    Read,
    /// An event of a change.
    Updated,
    /// The event of its end.
    Deleted,
}

/// A subscription at one moment. Its order settles ties within a second: by source, then by status, as declared.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SubscriptionFacts {
    /// How we know.
    pub source: Source,
    /// Where it stands.
    pub status: SubscriptionStatus,
    /// Whether it ends with the period that is paid for.
    pub cancel_at_period_end: bool,
    /// The end of the current period.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "jiff::fmt::serde::timestamp::second::optional"
    )]
    pub period_end: Option<Timestamp>,
    /// The end of its trial, past or to come.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "jiff::fmt::serde::timestamp::second::optional"
    )]
    pub trial_end: Option<Timestamp>,
    /// What is subscribed to.
    pub items: Vec<Item>,
    /// Its newest invoice; at its creation, its first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latest_invoice: Option<InvoiceId>,
}

/// One thing that is subscribed to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Item {
    /// The product, where told: access is kept for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product_id: Option<ProductId>,
    /// The price: the plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price_id: Option<PriceId>,
    /// How many.
    pub quantity: u32,
}

/// What a subscription was told to be for. Its order settles ties within a second: by source.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Plan {
    /// How we know.
    pub source: Source,
    /// Which products.
    pub products: BTreeSet<ProductId>,
}

/// SubscriptionChange of a subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscriptionChange {
    /// Of which.
    pub subscription_id: SubscriptionId,
    /// Whose.
    pub customer_id: CustomerId,
    /// Live or test money, where told.
    pub mode: Option<Mode>,
    /// What it was like then.
    pub snapshot: SubscriptionFacts,
}

/// What happened to an invoice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InvoiceEvent {
    /// It was paid.
    Paid,
    /// Its payment failed.
    PaymentFailed,
}

/// SubscriptionChange of a subscription's invoice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvoiceChange {
    /// Of which.
    pub invoice_id: InvoiceId,
    /// Of which subscription.
    pub subscription_id: SubscriptionId,
    /// Whose, where told.
    pub customer_id: Option<CustomerId>,
    /// Live or test money, where told.
    pub mode: Option<Mode>,
    /// What happened.
    pub event: InvoiceEvent,
    /// The invoice itself.
    pub bill: Bill,
}

/// What an invoice says. Amounts are minor units.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Bill {
    /// What was paid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount_paid: Option<i64>,
    /// What was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount_due: Option<i64>,
    /// Which payment paid it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment_intent_id: Option<PaymentIntentId>,
    /// The period that it is for.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "jiff::fmt::serde::timestamp::second::optional"
    )]
    pub period_start: Option<Timestamp>,
    /// The end of that period.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "jiff::fmt::serde::timestamp::second::optional"
    )]
    pub period_end: Option<Timestamp>,
}

/// An invoice as merged, on its subscription's row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invoice {
    /// What it said last.
    pub bill: Fact<Bill>,
    /// When it was first told to be paid.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "jiff::fmt::serde::timestamp::second::optional"
    )]
    pub paid_at: Option<Timestamp>,
    /// When its payment first failed: the grace period is counted from here, however often it fails again.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "jiff::fmt::serde::timestamp::second::optional"
    )]
    pub failed_at: Option<Timestamp>,
    /// Its receipt, once committed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt_id: Option<ReceiptId>,
    /// The notice that its payment failed, once committed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notice_id: Option<ReceiptId>,
}

/// How the checkout that a subscription began with knows it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Beginning {
    /// The order of that checkout.
    pub order_id: OrderId,
    /// Its invoice, where the checkout tells it: the order's receipt is that invoice's receipt too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invoice_id: Option<InvoiceId>,
}

/// Since when a period is not paid, by what is told of the subscription itself. Kept beside the snapshot, which every
/// later change replaces: the grace period is counted from the first failure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastDue {
    /// The end of that period, where told.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "jiff::fmt::serde::timestamp::second::optional"
    )]
    pub period_end: Option<Timestamp>,
    /// When that was first told of it.
    #[serde(with = "jiff::fmt::serde::timestamp::second::required")]
    pub since: Timestamp,
}

/// The row of the Entitlements table that keeps a subscription's facts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    /// Its id.
    pub subscription_id: SubscriptionId,
    /// Whose it is.
    pub customer_id: CustomerId,
    /// Counts the changes, from 1.
    pub version: u64,
    /// Who tells of it.
    pub provider: Provider,
    /// What was told of it last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<Fact<SubscriptionFacts>>,
    /// When it ended: for good.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "jiff::fmt::serde::timestamp::second::optional"
    )]
    pub ended_at: Option<Timestamp>,
    /// The latest moment that any paid invoice pays for.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "jiff::fmt::serde::timestamp::second::optional"
    )]
    pub paid_through: Option<Timestamp>,
    /// Since when its own events say that a renewal is not paid, for the latest period of which they say so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub past_due: Option<PastDue>,
    /// Its newest invoices: see [`MOST_INVOICES`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub invoices: BTreeMap<InvoiceId, Invoice>,
    /// The invoice that it was created with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub born_with: Option<InvoiceId>,
    /// The checkout that it began with, once that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beginning: Option<Beginning>,
    /// What it was told to be for last. SubscriptionChange that do not say are no news of that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Fact<Plan>>,
    /// Every product that it has ever been for.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub products: BTreeSet<ProductId>,
    /// The notice that its trial ends, once committed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trial_notice_id: Option<ReceiptId>,
}

/// How many invoices a row keeps: those of the latest periods. What older ones paid for is in `paid_through`, and
/// what they owe is no longer asked.
pub const MOST_INVOICES: usize = 24;

/// Whether there is access, until when, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    /// There is access before this moment, if there is any.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "jiff::fmt::serde::timestamp::second::optional"
    )]
    pub until: Option<Timestamp>,
    /// Why, in a word; its `Display` is a sentence.
    pub reason: Reason,
}

/// Why there is access, or is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Nothing has been paid, and it is in no trial.
    NotPaidYet,
    /// It is paid for, and goes on.
    Paid,
    /// In its trial.
    Trial,
    /// Paid for, and not to be renewed.
    CancelsAtPeriodEnd,
    /// Cancelled, with the rest of what is paid for.
    CanceledButPaid,
    /// A renewal has failed, and the grace period runs.
    Grace,
    /// A renewal has failed.
    PaymentFailed,
    /// Stopped for the time being.
    Paused,
    /// It is for something else now.
    NotInPlan,
    /// Ended for good.
    Ended,
    /// Its status is a word that we do not know; what was paid for counts.
    UnknownStatus,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::NotPaidYet,
        Self::Paid,
        Self::Trial,
        Self::CancelsAtPeriodEnd,
        Self::CanceledButPaid,
        Self::Grace,
        Self::PaymentFailed,
        Self::Paused,
        Self::NotInPlan,
        Self::Ended,
        Self::UnknownStatus,
    ];

    /// The word for it, as rows and readers have it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotPaidYet => "not_paid_yet",
            Self::Paid => "paid",
            Self::Trial => "trial",
            Self::CancelsAtPeriodEnd => "cancels_at_period_end",
            Self::CanceledButPaid => "canceled_but_paid",
            Self::Grace => "grace",
            Self::PaymentFailed => "payment_failed",
            Self::Paused => "paused",
            Self::NotInPlan => "not_in_plan",
            Self::Ended => "ended",
            Self::UnknownStatus => "unknown_status",
        }
    }
}

/// A sentence that a support person can read aloud.
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
            Self::UnknownStatus => {
                "The payment provider reports a status that we do not know; what was paid for may be used to its end."
            }
        })
    }
}

impl Access {
    /// Whether there is access now.
    #[must_use]
    pub fn is_given(&self, now: Timestamp) -> bool {
        self.until.is_some_and(|until| now < until)
    }
}

impl Subscription {
    /// A subscription of which nothing is stored.
    #[must_use]
    pub fn new(
        provider: Provider,
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
            born_with: None,
            beginning: None,
            plan: None,
            products: BTreeSet::new(),
            trial_notice_id: None,
        }
    }

    /// Merges what the subscription was like at that time.
    pub fn learn(&mut self, at: Timestamp, snapshot: SubscriptionFacts) {
        match snapshot.source {
            Source::Deleted => self.ended_at = earliest(self.ended_at, Some(whole_second(at))),
            // Of several first invoices, which no provider should tell, always the same one.
            Source::Created => {
                self.born_with = self.born_with.take().max(snapshot.latest_invoice.clone())
            }
            Source::Updated | Source::Read => {}
        }
        if snapshot.status == SubscriptionStatus::PastDue {
            let facts = PastDue {
                period_end: snapshot.period_end,
                since: whole_second(at),
            };
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
        let products: BTreeSet<_> = snapshot
            .items
            .iter()
            .filter_map(|item| item.product_id.clone())
            .collect();
        if !products.is_empty() {
            self.products.extend(products.iter().cloned());
            merge(
                &mut self.plan,
                Some(Fact::new(
                    at,
                    Plan {
                        source: snapshot.source,
                        products,
                    },
                )),
            );
        }
        let facts = Some(Fact::new(at, snapshot));
        // A status that we do not know neither gives nor takes: it does not replace one that we know.
        let weight = |facts: &Option<Fact<SubscriptionFacts>>| {
            facts.as_ref().map(|facts| facts.value.status.is_known())
        };
        if (weight(&facts), &facts) > (weight(&self.snapshot), &self.snapshot) {
            self.snapshot = facts;
        }
    }

    /// Merges what happened to an invoice at that time.
    pub fn learn_invoice(
        &mut self,
        at: Timestamp,
        id: &InvoiceId,
        event: InvoiceEvent,
        bill: Bill,
    ) {
        let facts = Fact::new(at, bill);
        let at = Some(facts.at);
        let invoice = self.invoices.entry(id.clone()).or_insert_with(|| Invoice {
            bill: facts.clone(),
            paid_at: None,
            failed_at: None,
            receipt_id: None,
            notice_id: None,
        });
        let period_end = facts.value.period_end;
        // What it says once paid stays, whatever is told of a try that failed.
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

    /// Merges which checkout it began with.
    pub fn learn_beginning(&mut self, beginning: Beginning) {
        self.beginning = self.beginning.take().max(Some(beginning));
    }

    /// When the first payment failed that is still owed: of an invoice that is not paid, for a time that nothing else
    /// pays for, with no word since that the subscription is active.
    fn failing_since(&self) -> Option<Timestamp> {
        let is_covered =
            |end: Option<Timestamp>| end.is_some_and(|end| Some(end) <= self.paid_through);
        let recovered_at = self
            .snapshot
            .as_ref()
            .filter(|facts| facts.value.status == SubscriptionStatus::Active);
        let unsent = self.invoices.values().filter(|invoice| {
            invoice.paid_at.is_none() && !is_covered(invoice.bill.value.period_end)
        });
        let past_due = self.past_due.as_ref().filter(|facts| {
            let paid_since = self
                .invoices
                .values()
                .any(|invoice| invoice.paid_at >= Some(facts.since));
            !is_covered(facts.period_end) && !paid_since
        });
        unsent
            .filter_map(|invoice| invoice.failed_at)
            .chain(past_due.map(|facts| facts.since))
            .filter(|failed_at| recovered_at.is_none_or(|facts| facts.at <= *failed_at))
            .min()
    }

    /// Until when there is access and why, with so much grace after a failed renewal.
    ///
    /// What is paid for is never taken away, but by the subscription's end. Beyond that, an active subscription has
    /// access to the end of its current period, a trial to its own end, and one whose renewal fails the grace.
    #[must_use]
    pub fn access(&self, grace: SignedDuration) -> Access {
        let given = |until: Option<Timestamp>, reason| Access { until, reason };
        let paid = self.paid_through;
        let facts = self.snapshot.as_ref();
        let status = facts.map(|facts| &facts.value.status);
        // Only where it has begun: a subscription can be told to have a trial while its first payment is not made.
        let trial = facts.and_then(|Fact { value: facts, .. }| match facts.status {
            SubscriptionStatus::Trialing => facts.trial_end.or(facts.period_end),
            SubscriptionStatus::Active | SubscriptionStatus::PastDue => facts.trial_end,
            _ => None,
        });
        let failing = |since: Timestamp| {
            let had = latest(paid, trial);
            let graced = since.saturating_add(grace).ok();
            // Grace is for who has had access: nobody gets it for a first payment that fails.
            let deserves = had.is_some() || status == Some(&SubscriptionStatus::PastDue);
            match deserves {
                false => given(None, Reason::NotPaidYet),
                true if grace > SignedDuration::ZERO && graced > had => {
                    given(graced, Reason::Grace)
                }
                true => given(had, Reason::PaymentFailed),
            }
        };
        let access = match (facts, self.failing_since()) {
            (Some(Fact { value: facts, .. }), since) => match (&facts.status, since) {
                // Nothing is owed before a trial's end.
                (SubscriptionStatus::Trialing, since)
                    if since.is_none_or(|since| Some(since) < trial) =>
                {
                    given(
                        latest(paid, trial),
                        if paid > trial {
                            Reason::Paid
                        } else {
                            Reason::Trial
                        },
                    )
                }
                (
                    SubscriptionStatus::Trialing
                    | SubscriptionStatus::Active
                    | SubscriptionStatus::PastDue
                    | SubscriptionStatus::Incomplete,
                    Some(since),
                ) => failing(since),
                (
                    SubscriptionStatus::Active
                    | SubscriptionStatus::PastDue
                    | SubscriptionStatus::Trialing,
                    None,
                ) => {
                    let ends = facts.cancel_at_period_end;
                    let reason = if ends {
                        Reason::CancelsAtPeriodEnd
                    } else {
                        Reason::Paid
                    };
                    // Past due, and paid since: what is paid for counts, whatever the period is by now.
                    let period_end = facts
                        .period_end
                        .filter(|_| facts.status == SubscriptionStatus::Active);
                    given(latest(paid, period_end), reason)
                }
                (SubscriptionStatus::Incomplete | SubscriptionStatus::IncompleteExpired, _) => {
                    given(paid, Reason::Paid)
                }
                (SubscriptionStatus::Unpaid, _) => given(paid, Reason::PaymentFailed),
                (SubscriptionStatus::Paused, _) => given(paid, Reason::Paused),
                (SubscriptionStatus::Canceled, _) => given(paid, Reason::CanceledButPaid),
                (SubscriptionStatus::Other(_), _) => given(paid, Reason::UnknownStatus),
            },
            (None, Some(since)) => failing(since),
            (None, None) => given(paid, Reason::Paid),
        };
        let access = match access {
            Access {
                until: None,
                reason: Reason::Paid,
            } => given(None, Reason::NotPaidYet),
            access => access,
        };
        match self.ended_at {
            Some(ended_at) => given(access.until.map(|until| until.min(ended_at)), Reason::Ended),
            None => access,
        }
    }

    /// Whether the provider should be asked what it is like: what is known gives no date, or nothing to give access to.
    #[must_use]
    pub fn is_vague(&self) -> bool {
        let Some(Fact { at, value: facts }) = &self.snapshot else {
            return true;
        };
        let dateless = match facts.status {
            SubscriptionStatus::Active => facts.period_end.is_none(),
            SubscriptionStatus::Trialing => facts.trial_end.or(facts.period_end).is_none(),
            _ => false,
        };
        // Some providers bill for the period that has passed: such an invoice does not say how far it pays. What was
        // read before it was paid does not either.
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
                        && (facts.source != Source::Read || *at < paid_at)
                })
            });
        dateless || unclear || self.plan.is_none()
    }

    /// What it is for now.
    #[must_use]
    pub fn current_products(&self) -> BTreeSet<ProductId> {
        self.plan
            .as_ref()
            .map(|plan| plan.value.products.clone())
            .unwrap_or_default()
    }

    /// Whether facts contradict its end: a payment or a sign of life after it. Then the provider is asked before
    /// anything is taken away.
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
            facts.at > ended_at
                && matches!(
                    facts.value.status,
                    SubscriptionStatus::Trialing | SubscriptionStatus::Active
                )
        });
        paid_since || lives_since
    }

    /// Whether an invoice is the one that the subscription began with, and so is covered by the order's receipt.
    /// `payments` are those of that order, `placed_at` is when it was placed.
    ///
    /// No field of an invoice tells it from a renewal's (<https://docs.withflex.com/api-reference/invoices/get-invoice>),
    /// so the checkout is asked first, then the subscription's creation, then the payment; and where none of them
    /// knows, the time.
    #[must_use]
    pub fn begins_with(
        &self,
        id: &InvoiceId,
        bill: &Bill,
        payments: &[PaymentIntentId],
        placed_at: Timestamp,
    ) -> bool {
        /// Between a checkout and its invoice lie seconds; between two invoices at least a day.
        const CLOSE: SignedDuration = SignedDuration::from_hours(12);
        let named = self
            .beginning
            .as_ref()
            .and_then(|beginning| beginning.invoice_id.as_ref());
        if let Some(first) = named.or(self.born_with.as_ref()) {
            return first == id;
        }
        // The first invoice is never for a time that was over when it was paid or failed.
        let billed_at = self
            .invoices
            .get(id)
            .and_then(|known| earliest(known.paid_at, known.failed_at));
        let is_past = bill.period_end > bill.period_start
            && billed_at.is_some_and(|at| bill.period_end <= Some(at));
        bill.payment_intent_id
            .as_ref()
            .is_some_and(|payment| payments.contains(payment))
            || !is_past
                && bill
                    .period_start
                    .is_some_and(|start| start.duration_since(placed_at).abs() < CLOSE)
    }

    /// The id of an invoice's receipt: the same however often it is asked for.
    pub fn receipt_id_of(invoice: &InvoiceId) -> Result<ReceiptId, BadId> {
        ReceiptId::new(format!("{invoice}-invoice"))
    }
}

#[cfg(test)]
mod tests;
