//! The rows of a decision, and its commit.

use super::{Kept, World};
use aws::commits::{MOST_ACTIONS, MOVES_A_PART, first_parts};
use domain::{
    access::{contact::Contact, subscription::Subscription},
    delivery::stored_event::EventState,
    fulfillment::{
        commit::Commit,
        read_set::{ReadSet, Snapshot},
    },
    ports::{
        Changed, Commits, Committed, EntitlementAdmin, Entitlements, OrderAdmin, OrderPage, Orders,
        ResourceAdmin, ResourceLists, ResourcePage, ResourcePlace, SessionPage,
    },
    resource::{
        Resource, ResourceId,
        checkout_session::{CheckoutSession, SessionSale},
    },
    sale::{
        delivery_failure::DeliveryFailure,
        order::Order,
        stock::{Deduction, Restock, StockLevel},
    },
    upkeep::privacy::CustomerRows,
    values::{
        ids::{CheckoutSessionId, CustomerId, OrderId, ReceiptId, SubscriptionId},
        outcome::RetryableError,
    },
};
use jiff::Timestamp;
use serde::Serialize;
use std::{collections::BTreeSet, num::NonZeroUsize};

/// The number of rows that one call reads: few, so that there are several pages.
const ROWS_A_PAGE: usize = 7;

impl Orders for World {
    async fn order(&self, id: &OrderId) -> Result<Option<Order>, RetryableError> {
        self.look_up("orders.order", |kept| kept.orders.get(id).cloned())
            .await
    }

    async fn keep_delivery_failure(
        &self,
        seen: &Order,
        id: &ReceiptId,
        delivery_failure: Option<DeliveryFailure>,
    ) -> Result<Changed, RetryableError> {
        self.repeatable("orders.keep_trouble", |kept| {
            let order = kept.orders.get_mut(&seen.order_id);
            let Some(order) = order.filter(|order| order.version == seen.version) else {
                return Changed::Raced;
            };
            order.version += 1;
            match delivery_failure {
                Some(delivery_failure) => {
                    order.delivery_failures.insert(id.clone(), delivery_failure)
                }
                None => order.delivery_failures.remove(id),
            };
            Changed::Now
        })
        .await
    }
}

impl OrderAdmin for World {
    async fn orders_of(
        &self,
        id: &CustomerId,
        after: Option<&OrderId>,
    ) -> Result<OrderPage, RetryableError> {
        self.look_up("order_desk.orders_of", |kept| {
            let rows = kept.orders.values();
            let rows = rows.filter(|order| after.is_none_or(|after| order.order_id > *after));
            let page: Vec<&Order> = rows.take(ROWS_A_PAGE).collect();
            let last = page.last().filter(|_| page.len() == ROWS_A_PAGE);
            let next = last.map(|order| order.order_id.clone());
            let is_theirs = |order: &&Order| order.customer.customer_id.as_ref() == Some(id);
            OrderPage {
                orders: page.into_iter().filter(is_theirs).cloned().collect(),
                next,
            }
        })
        .await
    }

    async fn erase_order(&self, seen: &Order) -> Result<Changed, RetryableError> {
        self.repeatable("order_desk.erase_order", |kept| {
            let order = kept.orders.get_mut(&seen.order_id);
            let Some(order) = order.filter(|order| order.version == seen.version) else {
                return Changed::Raced;
            };
            *order = Order {
                version: order.version + 1,
                ..order.erased()
            };
            Changed::Now
        })
        .await
    }
}

impl EntitlementAdmin for World {
    async fn rows_of(&self, id: &CustomerId) -> Result<CustomerRows, RetryableError> {
        self.look_up("entitlement_desk.rows_of", |kept| {
            let subscriptions = kept.subscription_rows.iter();
            let entitlements = kept.entitlements.iter();
            CustomerRows {
                subscriptions: subscriptions
                    .filter(|((customer, _), _)| customer == id)
                    .map(|(_, row)| row.clone())
                    .collect(),
                entitlements: entitlements
                    .filter(|((customer, _), _)| customer == id)
                    .map(|(_, row)| row.clone())
                    .collect(),
                contact: kept.contacts.get(id).cloned(),
                ..CustomerRows::default()
            }
        })
        .await
    }

    async fn erase_contact(&self, seen: &Contact) -> Result<Changed, RetryableError> {
        self.repeatable("entitlement_desk.erase_contact", |kept| {
            let known = kept.contacts.get(&seen.customer_id);
            if known.map_or(0, |known| known.version) != seen.version {
                return Changed::Raced;
            }
            kept.contacts
                .insert(seen.customer_id.clone(), seen.erased());
            Changed::Now
        })
        .await
    }
}

impl Entitlements for World {
    async fn subscription(
        &self,
        customer_id: &CustomerId,
        id: &SubscriptionId,
    ) -> Result<Option<Subscription>, RetryableError> {
        let key = (customer_id.clone(), id.clone());
        self.look_up("entitlements.subscription", |kept| {
            kept.subscription_rows.get(&key).cloned()
        })
        .await
    }

    async fn customer_of(&self, id: &SubscriptionId) -> Result<Option<CustomerId>, RetryableError> {
        let found = |kept: &Kept| {
            if kept.index_lags.take() {
                return None;
            }
            let mut keys = kept.subscription_rows.keys();
            keys.find(|(_, known)| known == id)
                .map(|(customer_id, _)| customer_id.clone())
        };
        self.look_up("entitlements.customer_of", found).await
    }

    async fn contact(&self, customer_id: &CustomerId) -> Result<Option<Contact>, RetryableError> {
        self.look_up("entitlements.contact", |kept| {
            kept.contacts.get(customer_id).cloned()
        })
        .await
    }
}

impl ResourceLists for World {
    async fn resource(&self, id: &ResourceId) -> Result<Option<Resource>, RetryableError> {
        self.look_up("resources.resource", |kept| {
            kept.tables.resources.get(id).cloned()
        })
        .await
    }

    async fn listed(
        &self,
        list: &str,
        before: Option<Timestamp>,
        after: Option<&ResourcePlace>,
    ) -> Result<ResourcePage, RetryableError> {
        self.look_up("resources.listed", |kept| {
            let rows = kept.tables.resources.values();
            let mut rows: Vec<_> = rows
                .filter_map(|row| Some((row.list().filter(|(of, _)| of == list)?.1, row)))
                .filter(|(at, _)| before.is_none_or(|before| *at < before))
                .collect();
            rows.sort_by_key(|(at, row)| (*at, row.id()));
            let is_later = |(at, row): &(Timestamp, &Resource)| {
                after.is_none_or(|after| (*at, row.id()) > (after.listed_at, after.id.clone()))
            };
            let rest: Vec<_> = rows.into_iter().filter(is_later).collect();
            let page = rest.iter().take(ROWS_A_PAGE);
            let next = rest
                .get(ROWS_A_PAGE - 1)
                .filter(|_| rest.len() > ROWS_A_PAGE);
            ResourcePage {
                resources: page.map(|(_, row)| (*row).clone()).collect(),
                next: next.map(|(listed_at, row)| ResourcePlace {
                    id: row.id(),
                    listed_at: *listed_at,
                }),
            }
        })
        .await
    }
}

impl ResourceAdmin for World {
    async fn sessions_of(
        &self,
        sale: &SessionSale,
        after: Option<&CheckoutSessionId>,
    ) -> Result<SessionPage, RetryableError> {
        self.look_up("resource_desk.sessions_of", |kept| {
            let rows = kept.tables.resources.values();
            let sessions = rows.filter_map(|row| match row {
                Resource::CheckoutSession(session) => Some(&**session),
                _ => None,
            });
            let rest = sessions.filter(|session| after.is_none_or(|after| session.id > *after));
            let page: Vec<_> = rest.take(ROWS_A_PAGE).collect();
            let last = page.last().filter(|_| page.len() == ROWS_A_PAGE);
            let next = last.map(|session| session.id.clone());
            let is_theirs = |session: &&CheckoutSession| session.sale().as_ref() == Some(sale);
            SessionPage {
                sessions: page.into_iter().filter(is_theirs).cloned().collect(),
                next,
            }
        })
        .await
    }

    async fn erase_session(&self, seen: &CheckoutSession) -> Result<Changed, RetryableError> {
        self.repeatable("resource_desk.erase_session", |kept| {
            let id = ResourceId::CheckoutSession(seen.id.clone());
            let known = kept.tables.resources.get_mut(&id);
            let Some(known) = known.filter(|known| known.version() == seen.version) else {
                return Changed::Raced;
            };
            *known = Resource::CheckoutSession(Box::new(seen.erased())).next();
            Changed::Now
        })
        .await
    }
}

impl Commits for World {
    async fn read(&self, read_set: &ReadSet) -> Result<Snapshot, RetryableError> {
        if is_nothing(read_set) {
            return Ok(Snapshot::default());
        }
        let early = self
            .look_up("commits.read", |kept| kept.tables.read(read_set))
            .await?;
        if !self.kept().tears_reads {
            return Ok(early);
        }
        tokio::task::yield_now().await;
        let kept = self.kept();
        let late = kept.tables.read(read_set);
        // By turns, which half is the older one.
        Ok(if kept.calls.len().is_multiple_of(2) {
            torn(early, late)
        } else {
            torn(late, early)
        })
    }

    async fn commit(&self, commit: &Commit) -> Result<Committed, RetryableError> {
        let rows = rows_of(commit);
        if rows > MOST_ACTIONS {
            return Err(RetryableError::Fault(format!(
                "{rows} rows do not fit into one transaction"
            )));
        }
        let most = self
            .kept()
            .moves_a_part
            .map_or(MOVES_A_PART, NonZeroUsize::get);
        for part in parts(commit, most) {
            if self
                .call("commits.commit", |kept| {
                    if !kept.tables.takes_order(commit) {
                        return Ok(Committed::Raced);
                    }
                    apply(kept, &part)
                })
                .await??
                == Committed::Raced
            {
                return Ok(Committed::Raced);
            }
        }
        Ok(Committed::Now)
    }
}

/// How many actions a commit is beside its movements and mirrored things: a row each, and the event.
fn rows_of(commit: &Commit) -> usize {
    commit.order.iter().count()
        + commit.links.len()
        + commit.reference.iter().count()
        + commit.subscription.iter().count()
        + commit.charged.len()
        + commit.entitlements.len()
        + commit.contact.iter().count()
        + commit.unless_erased.iter().count()
        + commit.receipts.len()
        + commit.uncounted.len()
        + commit.announced.iter().count()
        + 1
}

/// The transactions of a commit, as the adapter makes them. Movements that do not fit into the last one go first, while
/// the event is still stored.
fn parts(commit: &Commit, most: usize) -> Vec<Commit> {
    let mut last = commit.clone();
    let room = MOST_ACTIONS - rows_of(commit);
    let early = last.resources.split_off(last.resources.len().min(room));
    let deductions = commit.deductions.iter().map(|take| (Some(take), None));
    let moves: Vec<_> = deductions
        .chain(commit.restocks.iter().map(|back| (None, Some(back))))
        .collect();
    let others = rows_of(commit) + last.resources.len();
    let (first, last_moves) = first_parts(&moves, others, most);
    let part = |moves: &[(Option<&Deduction>, Option<&Restock>)], rest: Commit| Commit {
        deductions: moves.iter().filter_map(|(take, _)| take.cloned()).collect(),
        restocks: moves.iter().filter_map(|(_, back)| back.cloned()).collect(),
        ..rest
    };
    let only_moves = || Commit {
        ends: false,
        ..Commit::of(commit.event_id.clone())
    };
    let early = early.chunks(MOST_ACTIONS - 2).map(|resources| Commit {
        resources: resources.to_vec(),
        ..only_moves()
    });
    early
        .chain(first.into_iter().map(|moves| part(moves, only_moves())))
        .chain([part(last_moves, last)])
        .collect()
}

/// True if no row is to be read, so that no call is made.
fn is_nothing(read_set: &ReadSet) -> bool {
    let stock_levels = read_set.stock_levels.clone();
    let others = ReadSet {
        stock_levels: stock_levels.filter(|(_, skus)| !skus.is_empty()),
        ..read_set.clone()
    };
    others == ReadSet::default()
}

/// Half of the rows at one moment, and half at another; a counter and its movement are two.
fn torn(one: Snapshot, other: Snapshot) -> Snapshot {
    let stock_levels = one.stock_levels.into_iter().zip(other.stock_levels);
    Snapshot {
        links: one.links,
        subscription: one.subscription,
        contact: one.contact,
        stock_levels: stock_levels
            .map(|(one, other)| StockLevel {
                on_hand: other.on_hand,
                ..one
            })
            .collect(),
        ..other
    }
}

/// The most that an item may hold
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html#limits-items>).
const MOST_BYTES: usize = 400 * 1024;

/// True if `DynamoDB` accepts the transaction, whatever is stored: it names no item twice, and none is too big.
fn is_taken(commit: &Commit) -> bool {
    fn once<K: Ord>(mut keys: impl Iterator<Item = K>) -> bool {
        let mut seen = BTreeSet::new();
        keys.all(|key| seen.insert(key))
    }
    // JSON is a little longer than an item.
    fn fit<'a, T: Serialize + 'a>(rows: impl IntoIterator<Item = &'a T>) -> bool {
        rows.into_iter()
            .all(|row| serde_json::to_string(row).is_ok_and(|row| row.len() <= MOST_BYTES))
    }
    let counters = commit
        .deductions
        .iter()
        .map(|take| &take.movement.sku)
        .chain(commit.restocks.iter().map(|back| &back.sku));
    once(counters)
        && once(commit.links.iter().map(|row| &row.payment_intent_id))
        && once(
            commit
                .entitlements
                .iter()
                .map(|row| (&row.customer_id, &row.product_id)),
        )
        && once(commit.receipts.iter().map(|row| &row.receipt_id))
        && once(commit.resources.iter().map(Resource::id))
        && fit(&commit.order)
        && fit(&commit.links)
        && fit(&commit.reference)
        && fit(&commit.subscription)
        && fit(&commit.entitlements)
        && fit(&commit.contact)
        && fit(&commit.receipts)
        && fit(&commit.resources)
        && fit(&commit.announced)
}

/// All of a transaction, or nothing of it.
fn apply(kept: &mut Kept, commit: &Commit) -> Result<Committed, RetryableError> {
    if !is_taken(commit) {
        return Err(RetryableError::SetUp {
            service: "DynamoDB",
            cause: "ValidationException".to_owned(),
        });
    }
    let event = kept.events.get(&commit.event_id);
    let is_stored = event.is_some_and(|event| event.state == EventState::Stored);
    if !is_stored || kept.tables.commit(commit) == Committed::Raced {
        return Ok(Committed::Raced);
    }
    let event = kept.events.get_mut(&commit.event_id);
    if let Some(event) = event.filter(|_| commit.ends) {
        event.state = EventState::Committed;
        (event.reason, event.class) = (None, None);
        event.outbox = commit.outbox();
    }
    Ok(Committed::Now)
}
