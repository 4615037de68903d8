//! What a customer may use: the rows that the merchant's own application reads, one for each customer and product.

use crate::{
    ids::{CustomerId, ProductId, SubscriptionId},
    subscription::{Access, Reason, Subscription},
};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How many subscriptions a row keeps: those that last longest. Nobody has more that give access to one product.
const MOST_GRANTS: usize = 20;

/// A customer's access to a product. The first four attributes after the key are the contract with readers; the
/// others are ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entitlement {
    /// Whose access.
    pub customer_id: CustomerId,
    /// To what.
    pub product_id: ProductId,
    /// There is access before this moment. For a customer who never had any: the epoch.
    #[serde(with = "jiff::fmt::serde::timestamp::second::required")]
    pub access_until: Timestamp,
    /// Why, in a word.
    pub reason: Reason,
    /// Why, in a sentence.
    pub reason_text: String,
    /// Which subscription says so.
    pub granted_by: SubscriptionId,
    /// Counts the changes, from 1.
    pub version: u64,
    /// What each subscription gives.
    pub grants: BTreeMap<SubscriptionId, Access>,
}

/// A customer's access to a product after what a subscription gives now; `known` is the row as read.
#[must_use]
pub fn granted(
    known: Option<&Entitlement>,
    subscription: &Subscription,
    product_id: &ProductId,
    grace: SignedDuration,
) -> Entitlement {
    let mut grants = known.map(|row| row.grants.clone()).unwrap_or_default();
    let access = if subscription.current_products().contains(product_id) {
        subscription.access(grace)
    } else {
        Access { until: None, reason: Reason::NotInPlan }
    };
    grants.insert(subscription.subscription_id.clone(), access);
    while grants.len() > MOST_GRANTS {
        let least = grants.iter().min_by_key(|(id, access)| (access.until, *id)).map(|(id, _)| id.clone());
        let Some(least) = least else { break };
        grants.remove(&least);
    }
    let best = grants.iter().max_by_key(|(id, access)| (access.until, *id));
    let (granted_by, best) =
        best.map_or((subscription.subscription_id.clone(), access), |(id, access)| (id.clone(), *access));
    Entitlement {
        customer_id: subscription.customer_id.clone(),
        product_id: product_id.clone(),
        access_until: best.until.unwrap_or(Timestamp::UNIX_EPOCH),
        reason: best.reason,
        reason_text: best.reason.to_string(),
        granted_by,
        version: known.map_or(0, |row| row.version),
        grants,
    }
}
