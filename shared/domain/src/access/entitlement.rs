//! Entitlements: the rows that the merchant's application reads, one for each customer and product.

use crate::{
    access::{
        purchase::AccessPolicy,
        subscription::{Access, Reason, Subscription},
    },
    values::ids::{CustomerId, Grantor, ProductId},
};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Grants kept on a row: those that last longest. More sources of one access are unrealistic.
const MOST_GRANTS: usize = 20;

/// A customer's access to a product. The first four attributes after the key are the contract with
/// readers; the others are internal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entitlement {
    pub customer_id: CustomerId,
    pub product_id: ProductId,
    /// Access exists before this moment. The epoch for a customer who never had access.
    #[serde(with = "jiff::fmt::serde::timestamp::second::required")]
    pub access_until: Timestamp,
    /// The reason as a word.
    pub reason: Reason,
    /// The reason as a sentence.
    pub reason_text: String,
    /// The source of the longest grant.
    pub granted_by: Grantor,
    /// Counts changes, from 1.
    pub version: u64,
    /// The grant of each source.
    pub grants: BTreeMap<Grantor, Access>,
}

/// The policies of access by subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GrantPolicy {
    /// How long access goes on after a failed renewal.
    pub grace: SignedDuration,
    /// The merchant's choice whether access stays after a dispute took the money of the newest payment back.
    pub on_lost_dispute: AccessPolicy,
}

/// Merges a subscription's current grant into a customer's entitlement; `known` is the row as read.
#[must_use]
pub fn granted(
    known: Option<&Entitlement>,
    subscription: &Subscription,
    product_id: &ProductId,
    policy: GrantPolicy,
) -> Entitlement {
    let none = |reason| Access {
        until: None,
        reason,
    };
    let access = if !subscription.current_products().contains(product_id) {
        none(Reason::NotInPlan)
    } else if policy.on_lost_dispute == AccessPolicy::Revoke && subscription.has_lost_payment() {
        none(Reason::DisputeLost)
    } else {
        subscription.access(policy.grace)
    };
    let grantor = Grantor::from(&subscription.subscription_id);
    merged(
        known,
        &subscription.customer_id,
        product_id,
        (grantor, access),
    )
}

/// Merges one source's current grant into a customer's entitlement; `known` is the row as read. The
/// grant that lasts longest counts.
#[must_use]
pub fn merged(
    known: Option<&Entitlement>,
    customer_id: &CustomerId,
    product_id: &ProductId,
    (grantor, access): (Grantor, Access),
) -> Entitlement {
    let mut grants = known.map(|row| row.grants.clone()).unwrap_or_default();
    grants.insert(grantor.clone(), access);
    while grants.len() > MOST_GRANTS {
        let least = grants
            .iter()
            .min_by_key(|(id, access)| (access.until, *id))
            .map(|(id, _)| id.clone());
        let Some(least) = least else { break };
        grants.remove(&least);
    }
    let best = grants.iter().max_by_key(|(id, access)| (access.until, *id));
    let (granted_by, best) = best.map_or((grantor, access), |(id, access)| (id.clone(), *access));
    Entitlement {
        customer_id: customer_id.clone(),
        product_id: product_id.clone(),
        access_until: best.until.unwrap_or(Timestamp::UNIX_EPOCH),
        reason: best.reason,
        reason_text: best.reason.to_string(),
        granted_by,
        version: known.map_or(0, |row| row.version),
        grants,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        access::subscription::SubscriptionFacts,
        fulfillment::testing::{DAY, SALE, at, id, item, snapshot},
    };

    const KEEP: GrantPolicy = GrantPolicy {
        grace: SignedDuration::ZERO,
        on_lost_dispute: AccessPolicy::Keep,
    };

    /// An active subscription to the gym with this period end.
    fn subscription(name: &str, until: i64) -> Subscription {
        let mut subscription = Subscription::new("flex".parse().unwrap(), id("fcus_1"), id(name));
        subscription.learn(at(SALE), snapshot("active", until));
        subscription
    }

    fn granted_to_gym(known: Option<&Entitlement>, subscription: &Subscription) -> Entitlement {
        granted(known, subscription, &id("fprod_gym"), KEEP)
    }

    #[test]
    fn a_row_says_until_when_and_why_and_who_says_so() {
        let row = granted_to_gym(None, &subscription("fsub_1", SALE + DAY));
        assert_eq!(
            (row.access_until, row.reason, row.version),
            (at(SALE + DAY), Reason::Paid, 0)
        );
        assert_eq!(row.reason_text, Reason::Paid.to_string());
        assert_eq!(row.granted_by.as_str(), "fsub_1");
    }

    #[test]
    fn whoever_never_had_access_has_had_it_until_the_epoch() {
        let mut incomplete = Subscription::new("flex".parse().unwrap(), id("fcus_1"), id("fsub_1"));
        incomplete.learn(at(SALE), snapshot("incomplete", SALE + DAY));
        let row = granted_to_gym(None, &incomplete);
        assert_eq!(
            (row.access_until, row.reason),
            (Timestamp::UNIX_EPOCH, Reason::NotPaidYet)
        );
    }

    #[test]
    fn the_longest_grant_counts_whichever_came_last() {
        let (short, long) = (
            subscription("fsub_1", SALE + DAY),
            subscription("fsub_2", SALE + 2 * DAY),
        );
        let first = granted_to_gym(None, &long);
        let row = granted_to_gym(Some(&first), &short);
        assert_eq!(
            (row.access_until, row.granted_by.as_str()),
            (at(SALE + 2 * DAY), "fsub_2")
        );
        let other = granted_to_gym(Some(&granted_to_gym(None, &short)), &long);
        assert_eq!(other.grants, row.grants);
        assert_eq!(other.granted_by, row.granted_by);
    }

    #[test]
    fn what_is_not_in_the_plan_is_not_granted() {
        let mut moved = subscription("fsub_1", SALE + DAY);
        let known = granted_to_gym(None, &moved);
        let pool = SubscriptionFacts {
            items: vec![item("fprod_pool")],
            ..snapshot("active", SALE + DAY)
        };
        moved.learn(at(SALE + 1), pool);
        let row = granted_to_gym(Some(&known), &moved);
        assert_eq!(
            (row.access_until, row.reason),
            (Timestamp::UNIX_EPOCH, Reason::NotInPlan)
        );
        let pool = granted(None, &moved, &id("fprod_pool"), KEEP);
        assert_eq!(
            (pool.access_until, pool.reason),
            (at(SALE + DAY), Reason::Paid)
        );
    }

    #[test]
    fn a_row_keeps_the_grants_that_last_longest() {
        let most = i64::try_from(MOST_GRANTS).unwrap();
        let mut row = granted_to_gym(None, &subscription("fsub_0", SALE));
        for n in 1..=most + 3 {
            row = granted_to_gym(
                Some(&row),
                &subscription(&format!("fsub_{n}"), SALE + n * DAY),
            );
        }
        assert_eq!(
            (row.grants.len(), row.access_until),
            (MOST_GRANTS, at(SALE + (most + 3) * DAY))
        );
        assert!(!row.grants.contains_key(&id::<Grantor>("fsub_3")));
    }

    #[test]
    fn the_names_that_readers_rely_on_are_frozen() {
        let row = granted_to_gym(None, &subscription("fsub_1", SALE + DAY));
        let row = serde_json::to_value(row).unwrap();
        assert_eq!(row["access_until"], SALE + DAY);
        assert_eq!(row["reason"], "paid");
        assert!(row["reason_text"].is_string());
        assert_eq!(row["granted_by"], "fsub_1");
    }
}
