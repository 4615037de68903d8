//! A subscription.

use super::{needed_word, stated};
use crate::wire;
use domain::{
    access::subscription::{
        Item, Source, SubscriptionChange, SubscriptionFacts, SubscriptionStatus,
    },
    values::{
        facts::Stated,
        ids::{CustomerId, PaymentMethodId, PriceId, ProductId, SubscriptionId},
        mode::Mode,
    },
};
use reading::{Identified, NotUnderstood, named, own_id};

/// Translates a subscription as the API has it.
pub(crate) fn subscription(
    subscription: &wire::Subscription,
    mode: Mode,
) -> Result<SubscriptionChange, NotUnderstood> {
    let id = subscription.subscription_id.id();
    let customer = subscription.customer_id.id();
    let facts = facts(subscription)?;
    Ok(SubscriptionChange {
        subscription_id: own_id(id, SubscriptionId::new, "subscription_id")?,
        customer_id: own_id(customer, CustomerId::new, "customer_id")?,
        mode: Some(mode),
        snapshot: Stated {
            at: stated(&subscription.updated_at, "updated_at")?,
            version: 0,
            rank: facts.status.place(),
            value: facts,
        },
    })
}

fn facts(subscription: &wire::Subscription) -> Result<SubscriptionFacts, NotUnderstood> {
    let status = SubscriptionStatus::from(needed_word(&subscription.status, "status")?);
    let period_end = stated(&subscription.current_period_end, "current_period_end")?;
    let paused_at = stated(&subscription.paused_at, "paused_at")?;
    let updated_at = stated(&subscription.updated_at, "updated_at")?;
    let ends = stated(&subscription.cancel_at_period_end, "cancel_at_period_end")?;
    Ok(SubscriptionFacts {
        // The status `canceled` is the end itself, not its announcement.
        source: match status {
            SubscriptionStatus::Canceled => Source::Deleted,
            _ => Source::Read,
        },
        cancel_at_period_end: ends.unwrap_or_default(),
        period_end,
        trial_end: stated(&subscription.trial_end, "trial_end")?,
        items: items(subscription)?,
        latest_invoice: None,
        created_at: stated(&subscription.created_at, "created_at")?,
        // An active subscription has no unpaid period.
        paid_through: period_end.filter(|_| status == SubscriptionStatus::Active),
        suspended_at: paused_at
            .or(updated_at)
            .filter(|_| status == SubscriptionStatus::Paused),
        ended_at: stated(&subscription.canceled_at, "canceled_at")?
            .filter(|_| status == SubscriptionStatus::Canceled),
        payment_method_id: named(
            [subscription.payment_method_id.id()],
            PaymentMethodId::new,
            "payment_method_id",
        )?,
        status,
    })
}

/// The plan is what gives access. It stands for the product and for the price.
fn items(subscription: &wire::Subscription) -> Result<Vec<Item>, NotUnderstood> {
    let ids = || {
        [
            subscription.subscription_plan_id.id(),
            subscription.plan_id.id(),
        ]
    };
    let product_id = named(ids(), ProductId::new, "subscription_plan_id")?;
    let price_id = named(ids(), PriceId::new, "subscription_plan_id")?;
    let item = product_id.map(|product_id| Item {
        product_id: Some(product_id),
        price_id,
        quantity: 1,
    });
    Ok(item.into_iter().collect())
}
