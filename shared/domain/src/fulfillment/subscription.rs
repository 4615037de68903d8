//! A subscription's own events: facts merged, access derived.

use crate::{
    access::{
        entitlement::{Entitlement, GrantPolicy, granted},
        subscription::{Source, Subscription, SubscriptionChange, SubscriptionStatus},
    },
    delivery::{answer::Answer, event::Change, reference::Reference},
    fulfillment::{
        Decision, ParkReason, Stop,
        commit::Commit,
        known::Case,
        notice::notice_of_trial,
        of_other_mode, payment_method,
        read_set::{ReadSet, Snapshot},
    },
    receipt::Receipt,
    sale::shop::NotNeeded,
    values::{facts::Fact, ids::ProductId, outcome::ReadError},
};
use jiff::{SignedDuration, Timestamp};

/// Decides a change of a subscription.
pub(super) fn decide(case: &Case<'_>, change: &SubscriptionChange) -> Result<Decision, Stop> {
    if let Some(park_reason) = of_other_mode("subscription", change.mode, case.policy.mode) {
        return Err(park_reason.into());
    }
    let key = (change.customer_id.clone(), change.subscription_id.clone());
    let rows = case.known.rows(&ReadSet {
        subscription: Some(key),
        ..ReadSet::default()
    })?;
    if rows.subscription.as_ref().is_some_and(|row| row.other_shop) {
        return Err(Stop::NotNeeded(NotNeeded::OtherShop));
    }
    let learned = asked(case, learned(case, change, rows.subscription.as_ref()))?;
    let rows = case.known.rows(&entitlement_read_set(&learned))?;
    if let Some(park_reason) = contradiction(&learned) {
        return Err(park_reason.into());
    }
    let mut subscription = learned.clone();
    let notice = notice_of_trial(case, &mut subscription)?;
    let written = write(case, subscription, notice.into_iter().collect(), rows);
    if let Some(park_reason) = nothing_to_give(case, &learned) {
        return Ok(wait(written, park_reason));
    }
    Ok(written.map_or_else(
        || Decision::Nothing {
            unsent: learned.trial_notice_id.iter().cloned().collect(),
        },
        Decision::Write,
    ))
}

/// The subscription with the facts that the event states.
fn learned(
    case: &Case<'_>,
    change: &SubscriptionChange,
    known: Option<&Subscription>,
) -> Subscription {
    let new = || {
        let (customer_id, id) = (change.customer_id.clone(), change.subscription_id.clone());
        Subscription::new(case.event.provider.clone(), customer_id, id)
    };
    let mut subscription = known.cloned().unwrap_or_else(new);
    subscription.learn(case.stated_at, change.snapshot.clone());
    subscription
}

/// The subscription with the provider's answer, if the facts contradict each other or do not state enough. If the
/// provider knows no such subscription, the facts stay as they are. If its answer is not understood and a contradicted
/// end would take access away, a person decides.
pub(super) fn asked(case: &Case<'_>, learned: Subscription) -> Result<Subscription, Stop> {
    if learned.must_be_asked_for() {
        answered(case, learned)
    } else {
        Ok(learned)
    }
}

/// The subscription with the provider's answer.
pub(super) fn answered(case: &Case<'_>, mut learned: Subscription) -> Result<Subscription, Stop> {
    let reference = Reference::Subscription(learned.subscription_id.clone());
    let fetched = case.known.fetched(&reference)?;
    match &fetched.answer {
        Ok(Answer::Change(change)) => {
            if let Change::Subscription(change) = &**change {
                learn_answer(&mut learned, change, fetched.asked_at);
            }
            Ok(learned)
        }
        Err(park_reason @ ParkReason::NotRead(ReadError::NotUnderstood(_)))
            if learned.is_contradicted() =>
        {
            Err(park_reason.clone().into())
        }
        Ok(_) | Err(_) => Ok(learned),
    }
}

/// Learns the provider's answer. It is newer than everything that the provider announced before, whatever our clock
/// says.
pub(super) fn learn_answer(
    learned: &mut Subscription,
    change: &SubscriptionChange,
    asked_at: Timestamp,
) {
    let known_at = learned.snapshot.as_ref().map(|facts| facts.stamp.at);
    let next = known_at.and_then(|at| at.checked_add(SignedDuration::from_secs(1)).ok());
    let mut snapshot = change.snapshot.clone();
    snapshot.at = next.max(Some(snapshot.at.unwrap_or(asked_at)));
    learned.learn(asked_at, snapshot);
}

/// The rows of the access that a subscription has anything to do with, and of its payment method.
pub(super) fn entitlement_read_set(subscription: &Subscription) -> ReadSet {
    let products = subscription.products.iter().cloned();
    let read_set = |product: ProductId| (subscription.customer_id.clone(), product);
    ReadSet {
        entitlements: products.map(read_set).collect(),
        ..payment_method::read_set(subscription)
    }
}

/// The commit of a subscription with the access that follows from it; `None` if nothing is new.
pub(super) fn write(
    case: &Case<'_>,
    mut subscription: Subscription,
    receipts: Vec<Receipt>,
    rows: &Snapshot,
) -> Option<Box<Commit>> {
    let method = payment_method::charge(case, &mut subscription, rows);
    let entitlements = entitlements(case, &subscription, rows);
    let known = rows.subscription.as_ref();
    let has_news = !entitlements.is_empty() || method.is_some();
    if known == Some(&subscription) && !has_news && receipts.is_empty() {
        return None;
    }
    // A commit that writes access or a method always writes the subscription too. Its version is the condition that the row is
    // still as read. A concurrent event may have changed the facts that give access.
    let subscription = (known != Some(&subscription) || has_news).then(|| Subscription {
        version: subscription.version + 1,
        ..subscription
    });
    let event_id = case.event.event_id.clone();
    Some(Box::new(Commit {
        subscription,
        entitlements,
        receipts,
        resources: method.into_iter().collect(),
        ..Commit::of(event_id)
    }))
}

/// The access that a subscription gives, where it differs from the rows.
fn entitlements(case: &Case<'_>, subscription: &Subscription, rows: &Snapshot) -> Vec<Entitlement> {
    let policy = GrantPolicy {
        grace: case.policy.grace,
        on_lost_dispute: case.policy.access.on_lost_dispute,
    };
    let access = |product: &ProductId| {
        let is_its_row = |row: &&Entitlement| row.product_id == *product;
        let known = rows.entitlements.iter().find(is_its_row);
        let row = granted(known, subscription, product, policy);
        (known != Some(&row)).then_some(Entitlement {
            version: row.version + 1,
            ..row
        })
    };
    subscription.products.iter().filter_map(access).collect()
}

/// Writes the known facts and waits for the rest. A commit that does not end the event never queues receipts. It
/// therefore writes none; the attempt that ends the event does.
pub(super) fn wait(written: Option<Box<Commit>>, park_reason: ParkReason) -> Decision {
    let facts = written.filter(|commit| commit.receipts.is_empty());
    Decision::Wait {
        commit: facts.map(|commit| commit.unended()),
        park_reason,
    }
}

/// A deletion that the provider's later answer contradicts.
pub(super) fn contradiction(learned: &Subscription) -> Option<ParkReason> {
    let Fact {
        stamp,
        value: facts,
    } = learned.snapshot.as_ref()?;
    let lives = facts.source == Source::Read
        && matches!(
            facts.status,
            SubscriptionStatus::Trialing | SubscriptionStatus::Active
        );
    let ended_before = learned.ended_at.is_some_and(|ended_at| ended_at < stamp.at);
    (lives && ended_before).then(|| ParkReason::Contradicted(facts.status.to_string()))
}

/// Access that is paid for, without a product: even the provider's answer names none, so a person has to look.
pub(super) fn nothing_to_give(case: &Case<'_>, learned: &Subscription) -> Option<ParkReason> {
    let paid = learned.access(case.policy.grace).until.is_some();
    (paid && learned.current_products().is_empty()).then_some(ParkReason::NoProduct)
}

#[cfg(test)]
mod followed;
#[cfg(test)]
mod tests;
