//! The invariants: what must hold after every step.

use super::{
    addresses::Addresses,
    faults::Faults,
    model,
    patience::{self, Attempt},
    plan::Plan,
};
use aws_lambda_events::event::sqs::SqsMessage;
use domain::{
    receipt::feedback::{Report, ReportKind},
    sale::{payment, stock::Movement},
};
use feedback::notice::Notice;
use kit::prelude::*;

/// Fails with a text unless the condition holds.
macro_rules! hold {
    ($holds:expr, $($words:tt)+) => {
        if !$holds {
            return Err(format!($($words)+));
        }
    };
}
pub(super) use hold;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum By {
    Operator,
    Feedback,
    #[default]
    Others,
}

/// The rows as they were last seen.
#[derive(Debug, Default)]
pub struct Seen {
    events: BTreeMap<EventId, EventState>,
    orders: BTreeMap<OrderId, Order>,
    subscriptions: BTreeMap<(CustomerId, SubscriptionId), Subscription>,
    contacts: BTreeMap<CustomerId, Contact>,
    receipts: BTreeMap<ReceiptId, Receipt>,
    movements: BTreeMap<(Sku, OrderId), Movement>,
    /// When each event was first seen to have ended.
    pub ended: BTreeMap<EventId, Timestamp>,
    /// How often an expired lease was taken over.
    pub takeovers: BTreeMap<ReceiptId, usize>,
    pub by: By,
    /// In which attempt, if it was fulfillment.
    pub attempt: Attempt,
    /// Since when it is known what each subscription is like.
    pub told_of: BTreeMap<SubscriptionId, Timestamp>,
    /// When each order was first seen to be fulfilled.
    pub fulfilled: BTreeMap<OrderId, Timestamp>,
    pub refused: BTreeSet<ReceiptId>,
    /// Which receipts were not sent since their address is not written to any more.
    pub marked: BTreeSet<ReceiptId>,
    /// The reports of SES so far, by receipt.
    pub reports: BTreeMap<ReceiptId, Vec<Report>>,
    /// Since when no mail goes to an address.
    marks: BTreeMap<AddressHash, Timestamp>,
    /// Every address that was ever known of a customer.
    addresses: Addresses,
    /// Which receipts were held at some time.
    pub held: BTreeSet<ReceiptId>,
    /// Which events were deleted when they had expired.
    pub forgotten: BTreeSet<EventId>,
    /// Reconcile has run.
    pub reconciled: bool,
}

impl Seen {
    /// An expired event is deleted: if it comes again, it comes for the first time.
    pub fn forget(&mut self, id: &EventId) {
        self.events.remove(id);
        self.ended.remove(id);
        self.forgotten.insert(id.clone());
    }

    /// These reports of SES go to feedback.
    pub fn hand(&mut self, records: &[SqsMessage]) {
        for record in records {
            let notice = serde_json::from_str::<Notice>(record.body.as_deref().unwrap_or_default());
            if let Some(report) = notice.ok().and_then(|notice| notice.report().ok()) {
                self.reports
                    .entry(report.receipt_id.clone())
                    .or_default()
                    .push(report);
            }
        }
    }

    /// Compares every row with its earlier state: nothing goes backwards (I3), no stock level is below zero (I5).
    pub fn look(
        &mut self,
        kept: &Kept,
        plan: &Plan,
        faults: &Faults,
        now: Timestamp,
    ) -> Result<(), String> {
        self.events(kept, plan, faults, now)?;
        for (id, order) in &kept.orders {
            let was = self.orders.get(id);
            if was.is_some_and(|was| was.version == order.version) {
                continue;
            }
            if let Some(was) = was {
                goes_on(was, order)?;
            }
            if order.fulfilled_at.is_some() {
                self.fulfilled.entry(id.clone()).or_insert(now);
            }
            self.orders.insert(id.clone(), order.clone());
        }
        hold!(self.orders.len() == kept.orders.len(), "an order is gone");
        for (key, row) in &kept.subscription_rows {
            let was = self.subscriptions.get(key);
            if was.is_some_and(|was| was.version == row.version) {
                continue;
            }
            if let Some(was) = was {
                lives_on(was, row)?;
            }
            if row.snapshot.is_some() {
                let id = row.subscription_id.clone();
                self.told_of.entry(id).or_insert(now);
            }
            self.subscriptions.insert(key.clone(), row.clone());
        }
        hold!(
            self.subscriptions.len() == kept.subscription_rows.len(),
            "a subscription is gone"
        );
        for (id, row) in &kept.contacts {
            let was = self.contacts.insert(id.clone(), row.clone());
            if was.as_ref() == Some(row) {
                continue;
            }
            if let Some(was) = was {
                let facts = |row: &Contact| row.facts.as_ref().map(|facts| facts.stamp);
                hold!(
                    !was.erased || row.erased,
                    "I3: the customer {id} is undeleted"
                );
                hold!(
                    row.erased || facts(&was) <= facts(row),
                    "I3: the customer {id} moved back"
                );
            }
            let email = row.facts.as_ref();
            let email = email.and_then(|facts| facts.value.email.clone());
            if row.erased || email.is_some() {
                self.addresses.learn(id, now, email.filter(|_| !row.erased));
            }
        }
        hold!(
            self.contacts.len() == kept.contacts.len(),
            "a customer is gone"
        );
        self.marks(kept, now)?;
        self.receipts(kept, faults, now)?;
        self.stock_levels(kept, plan)
    }

    fn events(
        &mut self,
        kept: &Kept,
        plan: &Plan,
        faults: &Faults,
        now: Timestamp,
    ) -> Result<(), String> {
        use EventState::{
            Committed, Dropped, NotNeeded, Parked, Processed, Stored, Unhandled, Unreadable,
        };
        for (id, event) in &kept.events {
            let state = event.state;
            let was = self.events.insert(id.clone(), state);
            if was != Some(state) {
                faults.sky().recent.event(now, id, was);
            }
            if was == Some(Stored) && state == Parked {
                let fulfilled = |id: &str| {
                    let mut fulfilled = self.fulfilled.iter();
                    let order = fulfilled.find(|(known, _)| known.as_str() == id);
                    order.map(|(_, since)| *since)
                };
                let is_fair = faults.sky().is_fair();
                patience::of_parked(event, &self.attempt, plan, fulfilled, now, is_fair)?;
            }
            let goes_on = match was {
                None => matches!(state, Stored | NotNeeded | Unhandled),
                Some(Stored) => {
                    matches!(state, Stored | Committed | Processed | Parked | NotNeeded)
                }
                // A person replays them.
                Some(Parked) if self.by == By::Operator && state == Stored => true,
                Some(Committed) => matches!(state, Committed | Processed),
                Some(
                    ended @ (Processed | Parked | Dropped | NotNeeded | Unhandled | Unreadable),
                ) => state == ended,
            };
            hold!(goes_on, "I3: event {id} went from {was:?} to {state:?}");
            if state.may_expire() {
                self.ended.entry(id.clone()).or_insert(now);
            }
        }
        let gone = self.events.keys().find(|id| !kept.events.contains_key(*id));
        hold!(gone.is_none(), "an event is gone: {gone:?}");
        Ok(())
    }

    fn receipts(&mut self, kept: &Kept, faults: &Faults, now: Timestamp) -> Result<(), String> {
        for (id, receipt) in &kept.receipts {
            let Some(was) = self.receipts.get(id) else {
                faults.sky().recent.receipt(now, id, None);
                self.receipts.insert(id.clone(), receipt.clone());
                continue;
            };
            if was.version == receipt.version {
                continue;
            }
            hold!(
                was.version < receipt.version,
                "I3: receipt {id} went back a version"
            );
            let state = &receipt.state;
            match (&was.state, state) {
                (was, state) if self.by == By::Feedback => {
                    self.learned(id, was, state)?;
                    if was != state {
                        faults.sky().count("receipts settled by SES's feedback");
                    }
                }
                (
                    ReceiptState::Leased {
                        owner,
                        lease_ends_at,
                    },
                    ReceiptState::Leased {
                        owner: now_owner, ..
                    },
                ) => {
                    if owner != now_owner {
                        may_be_taken_over(id, owner, *lease_ends_at, faults, now)?;
                        *self.takeovers.entry(id.clone()).or_default() += 1;
                    }
                }
                (
                    ReceiptState::Leased {
                        owner,
                        lease_ends_at,
                    },
                    ReceiptState::Held,
                ) => {
                    may_be_taken_over(id, owner, *lease_ends_at, faults, now)?;
                    self.held.insert(id.clone());
                }
                (ReceiptState::Leased { owner, .. }, ReceiptState::Failed { reason }) => {
                    let is_refused = flight_of(owner.as_str())
                        .is_some_and(|flight| faults.sky().refused.contains(&flight));
                    if self.is_marked(kept, receipt, reason) {
                        faults.sky().count("addresses not written to any more");
                        self.marked.insert(id.clone());
                    } else if is_refused {
                        self.refused.insert(id.clone());
                    } else {
                        hold!(reason.contains("deleted"), "{id} failed: {reason}");
                    }
                }
                (
                    ReceiptState::Unsent { .. },
                    ReceiptState::Unsent { .. } | ReceiptState::Leased { .. },
                )
                | (
                    ReceiptState::Leased { .. },
                    ReceiptState::Unsent { .. }
                    | ReceiptState::Sent { .. }
                    | ReceiptState::Withdrawn { .. },
                ) => {}
                (was, now) => return Err(format!("I3: receipt {id} went from {was:?} to {now:?}")),
            }
            let was = self.receipts.insert(id.clone(), receipt.clone());
            faults.sky().recent.receipt(now, id, was);
        }
        hold!(
            self.receipts.len() == kept.receipts.len(),
            "a receipt is gone"
        );
        Ok(())
    }

    /// Feedback changes a receipt only by SES's reports.
    fn learned(
        &self,
        id: &ReceiptId,
        was: &ReceiptState,
        state: &ReceiptState,
    ) -> Result<(), String> {
        let reports = self.reports.get(id).map(Vec::as_slice).unwrap_or_default();
        hold!(!reports.is_empty(), "{id}: nobody told anything of it");
        let follows = match state {
            same if same == was => true,
            ReceiptState::Sent { message_id, .. } => reports
                .iter()
                .any(|report| report.message_id == *message_id && lets_out(report)),
            ReceiptState::Failed { .. } => reports.iter().any(|report| !lets_out(report)),
            _ => false,
        };
        hold!(
            follows,
            "I3: receipt {id} went from {was:?} to {state:?} by {reports:?}"
        );
        Ok(())
    }

    /// A receipt failed because its address is suppressed.
    fn is_marked(&self, kept: &Kept, receipt: &Receipt, reason: &str) -> bool {
        let order = kept.orders.get(&receipt.order_id);
        let own = order.and_then(|order| order.customer.email.as_ref());
        let others = order.and_then(|order| order.customer.customer_id.as_ref());
        let others = others.into_iter();
        let others = others.flat_map(|customer| self.addresses.ever(customer));
        let marks = own.map(String::as_str).into_iter().chain(others);
        let mut marks = marks.filter_map(|address| kept.marks.get(&AddressHash::of(address)));
        marks.any(|mark| mark.reason() == Some(reason))
    }

    /// A suppression stays, and has its report.
    fn marks(&mut self, kept: &Kept, now: Timestamp) -> Result<(), String> {
        let reports = || self.reports.values().flatten();
        for mark in kept.marks.values() {
            let mut known = reports().filter_map(Report::suppression);
            let is_known = known.any(|of| of.address == mark.address);
            hold!(is_known, "nobody told of the mark {mark:?}");
            self.marks.entry(mark.address.clone()).or_insert(now);
        }
        hold!(self.marks.len() == kept.marks.len(), "a mark is gone");
        Ok(())
    }

    /// A mail goes to an address that its customer had since the attempt began, and to no suppressed one.
    pub fn may_send(
        &self,
        id: &ReceiptId,
        to: &str,
        plan: &Plan,
        began_at: Timestamp,
    ) -> Result<(), String> {
        let marked_at = self.marks.get(&AddressHash::of(to));
        hold!(
            marked_at.is_none_or(|at| *at >= began_at),
            "a mail to {to}, marked since {marked_at:?}"
        );
        let mails = model::mails(plan);
        let of = mails.order(id.as_str()).unwrap_or_default();
        if let Some(order) = plan.flint.orders.iter().find(|order| order.id == of) {
            hold!(to == order.email, "a mail of {id} to {to}");
            return Ok(());
        }
        let Some(order) = plan.orders.iter().find(|order| order.id == of) else {
            return Err(format!("I2: a mail of {id}, which nobody is owed"));
        };
        // The receipt of a sale shows the address at the sale.
        let shows_sale = !order.renews && id.as_str().ends_with("-order");
        let reached = match order.customer.as_deref().filter(|_| !shows_sale) {
            Some(customer) => self.addresses.since(customer, began_at, &order.email),
            None => vec![Some(order.email.as_str())],
        };
        hold!(
            reached.contains(&Some(to)),
            "a mail of {id} to {to}, and not to one of {reached:?}"
        );
        Ok(())
    }

    fn stock_levels(&mut self, kept: &Kept, plan: &Plan) -> Result<(), String> {
        for (sku, stocked) in &plan.stock_levels {
            let moved = kept.movements.values().filter(|moved| moved.sku == *sku);
            let gone: i64 = moved.map(|moved| moved.deducted - moved.restocked).sum();
            let count = kept.counters.get(sku).copied().unwrap_or_default();
            hold!(count >= 0, "I5: {sku} is at {count}");
            hold!(
                count == stocked - gone,
                "I5: {sku} is at {count}, of {stocked}, and {gone} are gone"
            );
        }
        for (key, moved) in &kept.movements {
            // Reserved units, and those of an interrupted fulfillment, are not sold yet.
            let is_out = |was: &&Movement| self.fulfilled.contains_key(&was.order_id);
            let was = self.movements.get(key).filter(|was| !was.is_reserved);
            let was = was.filter(is_out);
            if let Some(was) = was {
                let with_restocks_of = |was: &Movement| Movement {
                    restocked: was.restocked,
                    restocked_at: was.restocked_at,
                    restocked_earlier: was.restocked_earlier,
                    ..moved.clone()
                };
                let same = Movement {
                    deducted: was.deducted,
                    is_open: was.is_open,
                    ..with_restocks_of(was)
                } == *was;
                hold!(
                    same && was.restocked <= moved.restocked
                        && was.deducted <= moved.deducted
                        && (was.is_open || *was == with_restocks_of(was)),
                    "I2: a movement changed: {was:?}, {moved:?}"
                );
            }
            hold!(
                (0..=moved.deducted).contains(&moved.restocked),
                "I5: more came back than went: {moved:?}"
            );
            let is_back = moved.restocked > 0;
            hold!(
                is_back == moved.restocked_at.is_some()
                    && (!is_back || (0..moved.restocked).contains(&moved.restocked_earlier)),
                "I5: a restock without its time: {moved:?}"
            );
            self.movements.insert(key.clone(), moved.clone());
        }
        hold!(
            self.movements.len() == kept.movements.len(),
            "a movement is gone"
        );
        Ok(())
    }
}

/// A report is about a mail that SES sent.
fn lets_out(report: &Report) -> bool {
    report.kind != ReportKind::Rejected
}

/// A lease changes hands only after its end, and never that of an undisturbed owner.
fn may_be_taken_over(
    id: &ReceiptId,
    owner: &OwnerToken,
    lease_ends_at: Timestamp,
    faults: &Faults,
    now: Timestamp,
) -> Result<(), String> {
    hold!(
        lease_ends_at <= now,
        "{id}: taken over though {owner} had it until {lease_ends_at}"
    );
    let is_disturbed =
        flight_of(owner.as_str()).is_some_and(|flight| faults.sky().disturbed.contains(&flight));
    hold!(
        is_disturbed,
        "{id}: taken over from {owner}, which nothing had disturbed"
    );
    Ok(())
}

/// Which flight an owner's token is of.
fn flight_of(owner: &str) -> Option<u64> {
    owner.strip_prefix('r')?.split('.').next()?.parse().ok()
}

/// An order never goes backwards.
fn goes_on(was: &Order, order: &Order) -> Result<(), String> {
    let id = &order.order_id;
    hold!(
        was.version < order.version,
        "I3: order {id} went back a version"
    );
    hold!(
        was.fulfilled_at.is_none() || was.fulfilled_at == order.fulfilled_at,
        "I2: order {id} was fulfilled again, or not any more"
    );
    hold!(
        was.receipt_id.is_none() || was.receipt_id == order.receipt_id,
        "I2: order {id} has another receipt"
    );
    let sold = was.fulfilled_at.is_none()
        || (was.lines == order.lines
            && was.shortfalls.len() == order.shortfalls.len()
            && was
                .shortfalls
                .iter()
                .zip(&order.shortfalls)
                .all(|(was, now)| {
                    was.sku == now.sku
                        && was.missing >= now.missing
                        && was.filled_at.is_none_or(|at| now.filled_at == Some(at))
                }));
    hold!(sold, "I3: what order {id} sold has changed");
    // A payment that is read later may have begun earlier than what dated the sale so far.
    let is_dated = match was.fulfilled_at {
        Some(_) => was.placed_at == order.placed_at,
        None => was.placed_at >= order.placed_at,
    };
    hold!(is_dated, "I3: order {id} was placed at another time");
    for (refund_id, was) in &was.refunds {
        let now = order.refunds.get(refund_id);
        let kept = now.is_some_and(|now| {
            (now.succeeded || !was.succeeded)
                && now.facts >= was.facts
                && (was.receipt_id.is_none() || was.receipt_id == now.receipt_id)
        });
        hold!(kept, "I3: refund {refund_id} went from {was:?} to {now:?}");
    }
    for (dispute_id, was) in &was.disputes {
        let now = order.disputes.get(dispute_id);
        hold!(
            now.is_some_and(|now| now.facts >= was.facts),
            "I3: dispute {dispute_id} went back"
        );
    }
    for (payment, was) in &was.payments {
        let now = order.payments.get(payment).map(|now| &now.value.status);
        let kept =
            was.value.status != payment::PaymentStatus::Received || now == Some(&was.value.status);
        hold!(kept, "I3: payment {payment} went from succeeded to {now:?}");
    }
    Ok(())
}

/// A subscription never goes backwards.
fn lives_on(was: &Subscription, row: &Subscription) -> Result<(), String> {
    let id = &row.subscription_id;
    hold!(
        was.version < row.version,
        "I3: subscription {id} went back a version"
    );
    hold!(
        was.paid_through <= row.paid_through,
        "I3: {id} was paid through {:?}, now {:?}",
        was.paid_through,
        row.paid_through
    );
    hold!(
        was.ended_at.is_none() || row.ended_at.is_some(),
        "I3: {id} lives again"
    );
    hold!(
        was.beginning.is_none() || row.beginning.is_some(),
        "I3: {id} has lost its beginning"
    );
    let facts = |row: &Subscription| row.snapshot.as_ref().map(|facts| facts.stamp);
    hold!(facts(was) <= facts(row), "I3: {id} is as it was earlier");
    for (invoice_id, was) in &was.invoices {
        let kept = row.invoices.get(invoice_id).is_some_and(|now| {
            (was.paid_at.is_none() || now.paid_at.is_some())
                && (was.notice_id.is_none() || was.notice_id == now.notice_id)
        });
        hold!(kept, "I3: invoice {invoice_id} of {id} went back");
    }
    Ok(())
}
