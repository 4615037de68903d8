//! The one rule about money: the amounts of an order that are due, received, released, waived, refunded and disputed.
//!
//! - *Received* is the larger of the session's statement and the sum of its payments. If neither states an amount, a
//!   completed sale with automatic capture, or a payment that succeeded, counts as received in full.
//! - *Released* was authorized and is never captured: a final partial capture, or a voided authorization. It reduces
//!   the amount due, because it is the merchant's decision. Providers may report it as a refund; it is none.
//! - *Waived* is a rest that is too small to be charged.
//! - An order is paid if the received amount reaches the amount due. With less it is partly paid.

use crate::{
    sale::{
        dispute::{Dispute, DisputeStage},
        payment::{PaymentFacts, PaymentStatus},
        refund::Refund,
        statement::Capture,
    },
    values::{
        facts::Fact,
        ids::{DisputeId, PaymentIntentId, RefundId},
    },
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The state of an order's money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, strum::Display)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum OrderFunds {
    /// All that is due.
    Received,
    /// A part of what is due.
    Part,
    /// No payment has begun.
    Open,
    /// Reserved on the customer's card, to be captured by the merchant.
    Authorized,
    /// In progress: delayed payment methods take days.
    Processing,
    /// The payment failed.
    Failed,
    /// The authorization or the sale expired.
    Expired,
    Canceled,
}

/// The merchant's choice about a partly paid order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, strum::EnumString, strum::VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum PartPayment {
    /// It waits for the rest, and a person sees it.
    #[default]
    Hold,
    /// It is fulfilled; its receipt shows the amount that is still due.
    Release,
}

/// The way in which a sale ended without completion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Closed {
    Expired,
    Canceled,
}

/// The statements about an order's money. Amounts are minor units of the order's currency.
#[derive(Debug, Clone)]
pub struct Statements<'a> {
    /// The order's total.
    pub ordered: i64,
    /// The received amount as the sale states it, if it does.
    pub received: Option<i64>,
    /// True while the provider says that nothing is paid.
    pub is_unpaid: bool,
    pub capture: Capture,
    /// `None` for a completed sale.
    pub closed: Option<Closed>,
    /// The provider charges no smaller amount.
    pub least_charge: i64,
    pub payment_intents: &'a [PaymentIntentId],
    pub payments: &'a BTreeMap<PaymentIntentId, Fact<PaymentFacts>>,
    /// The refunds of the order's own payments.
    pub refunds: BTreeMap<&'a RefundId, &'a Refund>,
    pub disputes: &'a BTreeMap<DisputeId, Dispute>,
}

/// The amounts of an order, in minor units of its currency. `ordered = due + released + waived`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Amounts {
    /// The order's total.
    pub ordered: i64,
    /// The amount that the customer has to pay in the end.
    pub due: i64,
    pub received: i64,
    /// Authorized and never captured.
    pub released: i64,
    /// Too small to be charged.
    pub waived: i64,
    /// Paid back, without refunds that failed or only release an authorization.
    pub refunded: i64,
    /// Under open disputes.
    pub disputed: i64,
    pub funds: OrderFunds,
}

impl Amounts {
    /// The part of the amount due that is not received.
    #[must_use]
    pub fn open(&self) -> i64 {
        self.due.saturating_sub(self.received).max(0)
    }
}

impl PaymentFacts {
    /// The amount that this payment has brought.
    #[must_use]
    pub fn taken(&self) -> i64 {
        let asked = self
            .amount
            .filter(|_| self.status == PaymentStatus::Received);
        let received = self.received.filter(|received| *received > 0);
        received.or(asked).unwrap_or_default().max(0)
    }

    /// True if it ended without any money.
    #[must_use]
    pub fn is_void(&self) -> bool {
        self.status == PaymentStatus::Canceled && self.taken() == 0
    }

    /// True if it can bring nothing more. A status that is not known can.
    fn is_final(&self) -> bool {
        match self.status {
            PaymentStatus::Received | PaymentStatus::Canceled => true,
            PaymentStatus::Authorized => self.capturable == Some(0) && self.taken() > 0,
            _ => false,
        }
    }

    /// The authorized amount that is never captured.
    fn released(&self) -> i64 {
        let amount = self.amount.filter(|_| self.is_final());
        amount.map_or(0, |amount| amount.saturating_sub(self.taken()).max(0))
    }
}

impl<'a> Statements<'a> {
    /// The amounts by these statements.
    #[must_use]
    pub fn amounts(&self) -> Amounts {
        let received = self.sum();
        let missing = self.ordered.saturating_sub(received).max(0);
        let (released, waived) = self.given_up(received, missing);
        let due = self.ordered.saturating_sub(released).saturating_sub(waived);
        Amounts {
            ordered: self.ordered,
            due,
            received,
            released,
            waived,
            refunded: self.refunded(),
            disputed: self.disputed(),
            funds: self.funds(received, due, released),
        }
    }

    /// The facts of each payment; `None` for a payment that could not be read.
    fn known(&self) -> impl Iterator<Item = Option<&'a PaymentFacts>> {
        let (ids, payments) = (self.payment_intents, self.payments);
        ids.iter()
            .map(|id| payments.get(id).map(|facts| &facts.value))
    }

    fn facts(&self) -> impl Iterator<Item = &'a PaymentFacts> {
        self.known().flatten()
    }

    /// True if no payment can bring more.
    fn is_final(&self) -> bool {
        self.known()
            .all(|facts| facts.is_some_and(PaymentFacts::is_final))
    }

    fn sum(&self) -> i64 {
        let taken = self
            .facts()
            .fold(0_i64, |sum, facts| sum.saturating_add(facts.taken()));
        let sum = taken.max(self.received.unwrap_or_default());
        if sum < self.ordered && self.is_believed() {
            return self.ordered;
        }
        sum.max(0)
    }

    /// True if all money counts as received although no amount is stated.
    fn is_believed(&self) -> bool {
        if self.closed.is_some() || self.is_too_small() || self.received > Some(0) {
            return false;
        }
        let mut facts = self.facts();
        if !self.payment_intents.is_empty() && self.is_final() {
            return facts.any(|facts| {
                facts.status == PaymentStatus::Received && facts.received.or(facts.amount).is_none()
            });
        }
        self.received.is_none()
            && self.capture == Capture::Automatic
            && facts.all(PaymentFacts::is_final)
            && self.known().any(|facts| facts.is_none()) | self.payment_intents.is_empty()
    }

    /// True if the sale was completed without a payment, because its total cannot be charged.
    fn is_too_small(&self) -> bool {
        self.payment_intents.is_empty()
            && self.received.unwrap_or_default() <= 0
            && (1..self.least_charge).contains(&self.ordered)
    }

    /// The released and the waived part of the missing amount.
    fn given_up(&self, received: i64, missing: i64) -> (i64, i64) {
        if self.is_too_small() && self.closed.is_none() {
            return (0, missing);
        }
        let is_unpaid = received == 0 && self.capture == Capture::Automatic;
        if self.payment_intents.is_empty() || !self.is_final() || is_unpaid {
            return (0, 0);
        }
        let released = self
            .facts()
            .fold(0_i64, |sum, facts| sum.saturating_add(facts.released()))
            .min(missing);
        let rest = missing.saturating_sub(released);
        let is_waived = received > 0 && rest < self.least_charge;
        (released, if is_waived { rest } else { 0 })
    }

    fn funds(&self, received: i64, due: i64, released: i64) -> OrderFunds {
        let is_void = received == 0 && released > 0;
        match (self.closed, received) {
            (Some(_), 1..) => return OrderFunds::Part,
            (Some(Closed::Expired), _) => return OrderFunds::Expired,
            (Some(Closed::Canceled), _) => return OrderFunds::Canceled,
            (None, 0) if self.is_unpaid => {}
            (None, _) if received >= due && !is_void => return OrderFunds::Received,
            (None, 1..) => return OrderFunds::Part,
            (None, _) => {}
        }
        let any = |status: &PaymentStatus| self.facts().any(|facts| facts.status == *status);
        if any(&PaymentStatus::Authorized) {
            OrderFunds::Authorized
        } else if any(&PaymentStatus::Processing) {
            OrderFunds::Processing
        } else if self.payment_intents.is_empty() || self.known().any(|facts| facts.is_none()) {
            match self.capture {
                Capture::Automatic if self.is_unpaid => OrderFunds::Open,
                Capture::Automatic => OrderFunds::Processing,
                Capture::Manual => OrderFunds::Authorized,
            }
        } else if self.is_final() {
            match self.capture {
                Capture::Automatic => OrderFunds::Failed,
                Capture::Manual => OrderFunds::Expired,
            }
        } else if any(&PaymentStatus::Failed) {
            OrderFunds::Failed
        } else {
            // An unknown word neither fails nor grants.
            OrderFunds::Processing
        }
    }

    fn refunded(&self) -> i64 {
        let stands = |id: &RefundId| self.refunds.get(id).is_some_and(|refund| refund.stands());
        let back = self.paid_back().into_iter().filter(|(id, _)| stands(id));
        back.fold(0, |sum, (_, amount)| sum.saturating_add(amount))
    }

    fn disputed(&self) -> i64 {
        let disputes = self.disputes.values();
        let open = disputes.filter(|dispute| dispute.stage() == DisputeStage::Open);
        open.fold(0, |sum, dispute| {
            sum.saturating_add(dispute.facts.value.amount)
        })
    }

    /// For each refund that ever succeeded, the amount that really goes back to the customer. The rest of the refund
    /// only releases an authorization: by an amount that equals what its payment never captured, else by what exceeds
    /// the captured amount, the latest refund first. A refund that failed after all counts for itself only.
    #[must_use]
    pub fn paid_back(&self) -> BTreeMap<&'a RefundId, i64> {
        let refunds = self.refunds.iter().map(|(id, refund)| (*id, *refund));
        let succeeded = refunds.filter(|(_, refund)| refund.succeeded);
        succeeded
            .map(|(id, refund)| {
                let facts = &refund.facts.value;
                let released = self.payments.get(&facts.payment_intent_id);
                let released = released.map_or(0, |payment| self.released_by(id, &payment.value));
                (id, facts.amount.saturating_sub(released))
            })
            .collect()
    }

    /// The part of a refund that releases an authorization of its payment, beside the refunds that stand.
    fn released_by(&self, id: &RefundId, payment: &PaymentFacts) -> i64 {
        let of = |id: &RefundId| Some(&self.refunds.get(id)?.facts.value.payment_intent_id);
        let counts = |other: &&RefundId, refund: &Refund| {
            of(other) == of(id) && (*other == id || refund.stands())
        };
        let all = self.refunds.iter().map(|(id, refund)| (*id, *refund));
        let mut own: Vec<_> = all
            .filter(|(other, refund)| counts(other, refund))
            .map(|(id, refund)| (refund.facts.value.made_at, id, refund.facts.value.amount))
            .collect();
        own.sort_unstable();
        let shares = releases(payment, &own).into_iter();
        let own_share = shares.filter(|(other, _)| *other == id);
        own_share.map(|(_, released)| released).sum()
    }
}

/// The refunds of one payment, the earliest first, that release an authorization, with the released amount.
fn releases<'a, At>(
    facts: &PaymentFacts,
    refunds: &[(At, &'a RefundId, i64)],
) -> Vec<(&'a RefundId, i64)> {
    let rest = facts.released();
    if rest == 0 {
        return Vec::new();
    }
    if let Some((_, id, amount)) = refunds.iter().find(|(_, _, amount)| *amount == rest) {
        return vec![(id, *amount)];
    }
    let sum = refunds
        .iter()
        .fold(0_i64, |sum, (_, _, amount)| sum.saturating_add(*amount));
    let mut excess = sum.saturating_sub(facts.taken()).clamp(0, rest);
    let latest = refunds.iter().rev().map(|(_, id, amount)| {
        let released = excess.min(*amount);
        excess -= released;
        (*id, released)
    });
    latest.collect()
}

#[cfg(test)]
mod tests;
