//! For tests: the tables in memory, under the conditions of the real ones.
//!
//! The rules' tests use them directly; the kit's world wraps them. The feature `testing` has them outside this crate,
//! and only packages of tests ask for it.

use crate::{
    access::{contact::Contact, entitlement::Entitlement, subscription::Subscription},
    announcement::{
        Announcement, Batch, State, ThingType, access::EntitlementState, order::OrderSummary,
        receipt::ReceiptOutcome, resource, stock::AnnouncedLevel,
    },
    fulfillment::{
        commit::Commit,
        read_set::{ReadSet, Snapshot},
    },
    ports::Committed,
    receipt::Receipt,
    resource::{Resource, ResourceId},
    sale::{
        counter_change::CounterChange,
        mapping::{Mapping, MappingKey, MappingRow},
        merchant_reference::MerchantReference,
        order::Order,
        payment::Link,
        stock::{Deduction, Movement, Restock, StockLevel, Uncounted},
    },
    upkeep::fill::Fill,
    values::ids::{
        CustomerId, OrderId, PaymentIntentId, ProductId, ReceiptId, Sku, SubscriptionId,
    },
};
use jiff::Timestamp;
use serde::{Serialize, de::DeserializeOwned};
use std::collections::{BTreeMap, BTreeSet};

/// A row whose version guards it.
pub trait Row: Clone + Serialize + DeserializeOwned {
    type Key: Ord;
    fn key(&self) -> Self::Key;
    fn version(&self) -> u64;
}

macro_rules! keys {
    ($($row:ty, $key:ty: |$it:ident| $of:expr;)+) => {
        $(impl Row for $row {
            type Key = $key;

            fn key(&self) -> $key {
                let $it = self;
                $of
            }

            fn version(&self) -> u64 {
                self.version
            }
        })+
    };
}

keys! {
    Order, OrderId: |row| row.order_id.clone();
    Link, PaymentIntentId: |row| row.payment_intent_id.clone();
    MerchantReference, String: |row| row.reference.clone();
    Subscription, (CustomerId, SubscriptionId): |row| (row.customer_id.clone(), row.subscription_id.clone());
    Entitlement, (CustomerId, ProductId): |row| (row.customer_id.clone(), row.product_id.clone());
    Contact, CustomerId: |row| row.customer_id.clone();
    Receipt, ReceiptId: |row| row.receipt_id.clone();
    AnnouncedLevel, Sku: |row| row.sku.clone();
}

impl Row for Resource {
    type Key = ResourceId;

    fn key(&self) -> ResourceId {
        self.id()
    }

    fn version(&self) -> u64 {
        Self::version(self)
    }
}

/// The rows of one kind.
pub type Rows<R> = BTreeMap<<R as Row>::Key, R>;

/// The tables that a commit writes to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tables {
    pub orders: Rows<Order>,
    pub links: Rows<Link>,
    pub references: Rows<MerchantReference>,
    pub subscription_rows: Rows<Subscription>,
    pub entitlements: Rows<Entitlement>,
    pub contacts: Rows<Contact>,
    pub receipts: Rows<Receipt>,
    pub resources: Rows<Resource>,
    pub mapping: Mapping,
    pub counters: BTreeMap<Sku, i64>,
    pub movements: BTreeMap<(Sku, OrderId), Movement>,
    /// The changes of counters by hand, oldest first for each SKU.
    pub counter_changes: BTreeMap<(Sku, Timestamp), CounterChange>,
    /// The goods that an alarm has reported as uncounted.
    pub reported: BTreeSet<Uncounted>,
    /// The batches of announcements by their ids, and whether they are published.
    pub batches: BTreeMap<String, (Batch, bool)>,
    /// The counters' thresholds of `stock.low`.
    pub low_at: BTreeMap<Sku, i64>,
    pub announced_levels: Rows<AnnouncedLevel>,
}

impl Tables {
    /// The existing rows of a read set.
    #[must_use]
    pub fn read(&self, read_set: &ReadSet) -> Snapshot {
        fn one<R: Row>(rows: &Rows<R>, key: Option<&R::Key>) -> Option<R> {
            key.and_then(|key| rows.get(key)).cloned()
        }
        fn some<K: Ord + Clone, R: Clone>(rows: &BTreeMap<K, R>, keys: &[K]) -> BTreeMap<K, R> {
            let found = keys.iter().filter_map(|key| rows.get_key_value(key));
            found.map(|(key, row)| (key.clone(), row.clone())).collect()
        }
        let levels = read_set.stock_levels.iter();
        let levels = levels.flat_map(|(order_id, skus)| {
            let level = move |sku: &Sku| self.stock_level(sku, order_id);
            skus.iter().map(level)
        });
        let charged = read_set.charged.iter();
        let charged = charged.filter_map(|key| self.subscription_rows.get(key).cloned());
        let entitlements = read_set.entitlements.iter();
        let entitlements = entitlements.filter_map(|key| self.entitlements.get(key).cloned());
        let mapping = read_set.mapping.iter();
        let mapping = mapping.filter_map(|key| Some((key.clone(), self.mapping_row(key)?)));
        Snapshot {
            order: one(&self.orders, read_set.order.as_ref()),
            first_order: one(&self.orders, read_set.first_order.as_ref()),
            links: some(&self.links, &read_set.links),
            reference: one(&self.references, read_set.reference.as_ref()),
            subscription: one(&self.subscription_rows, read_set.subscription.as_ref()),
            charged: charged.collect(),
            entitlements: entitlements.collect(),
            contact: one(&self.contacts, read_set.contact.as_ref()),
            mapping: mapping.collect(),
            stock_levels: levels.collect(),
            receipts: some(&self.receipts, &read_set.receipts),
            resources: some(&self.resources, &read_set.resources),
        }
    }

    fn stock_level(&self, sku: &Sku, order_id: &OrderId) -> StockLevel {
        StockLevel {
            sku: sku.clone(),
            on_hand: self.counters.get(sku).copied(),
            untracked: false,
            is_reported: self.reported.contains(&Uncounted::Sku(sku.clone())),
            moved: self
                .movements
                .get(&(sku.clone(), order_id.clone()))
                .cloned(),
        }
    }

    fn mapping_row(&self, key: &MappingKey) -> Option<MappingRow> {
        let is_reported = self.reported.contains(&Uncounted::Unmapped(key.clone()));
        let row = self.mapping.get(key).cloned();
        let row = row.or_else(|| is_reported.then(MappingRow::default))?;
        Some(MappingRow { is_reported, ..row })
    }

    /// Writes a fill if its conditions hold, and returns true if it did.
    pub fn fill(&mut self, fill: &Fill) -> bool {
        let seen = &fill.seen;
        let level = self.stock_level(&seen.sku, &seen.order_id);
        let holds = level.on_hand >= Some(fill.units)
            && level.moved.as_ref() == Some(seen)
            && follow(&self.orders, [&fill.order]);
        if holds {
            put(&mut self.orders, [&fill.order]);
            self.announce(fill.announced.as_ref());
            self.count(&seen.sku, -fill.units);
            let key = (seen.sku.clone(), seen.order_id.clone());
            let movement = Movement {
                deducted: seen.deducted + fill.units,
                is_open: !fill.closes,
                ..seen.clone()
            };
            self.movements.insert(key, movement);
        }
        holds
    }

    /// True if the order of a commit is the next version of its row. Each part of a big commit needs that.
    #[must_use]
    pub fn takes_order(&self, commit: &Commit) -> bool {
        follow(&self.orders, &commit.order)
    }

    /// Writes all rows of a commit, or none of them if a condition fails.
    pub fn commit(&mut self, commit: &Commit) -> Committed {
        if !self.takes(commit) {
            return Committed::Raced;
        }
        put(&mut self.orders, &commit.order);
        put(&mut self.links, &commit.links);
        put(&mut self.references, &commit.reference);
        put(&mut self.subscription_rows, &commit.subscription);
        put(&mut self.subscription_rows, &commit.charged);
        put(&mut self.entitlements, &commit.entitlements);
        put(&mut self.contacts, &commit.contact);
        put(&mut self.receipts, &commit.receipts);
        put(&mut self.resources, &commit.resources);
        self.reported.extend(commit.uncounted.iter().cloned());
        self.announce(commit.announced.as_ref());
        for take in &commit.deductions {
            let movement = &take.movement;
            let key = (movement.sku.clone(), movement.order_id.clone());
            self.movements.insert(key, read_back(movement));
            self.count(&movement.sku, -take.taken());
        }
        for back in &commit.restocks {
            let key = (back.sku.clone(), back.order_id.clone());
            if let Some(movement) = self.movements.get_mut(&key) {
                movement.restocked = back.seen + back.pieces;
                movement.restocked_at = Some(back.at);
                movement.restocked_earlier = back.seen;
                *movement = read_back(movement);
            }
            self.count(&back.sku, back.pieces);
        }
        Committed::Now
    }

    /// Stores a batch of announcements.
    pub fn announce(&mut self, batch: Option<&Batch>) {
        let batch = batch.map(|batch| (batch.batch_id.clone(), (read_back(batch), false)));
        self.batches.extend(batch);
    }

    /// Writes an announced level with its batch, if it follows the one before, and returns true if it did.
    pub fn announce_level(&mut self, level: &AnnouncedLevel, batch: &Batch) -> bool {
        let follows = follow(&self.announced_levels, [level]);
        if follows {
            put(&mut self.announced_levels, [level]);
            self.announce(Some(batch));
        }
        follows
    }

    /// The faults of the announcements; none if all of this is so. Those of a thing, applied in their order, make its row.
    /// Each has a new version and another state than the one before. Everything that is announced is a row.
    #[must_use]
    pub fn unannounced(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut told: BTreeMap<(ThingType, String), (u64, State)> = BTreeMap::new();
        let mut all: Vec<&Announcement> = self
            .batches
            .values()
            .flat_map(|(batch, _)| &batch.announcements)
            .collect();
        // Events have no versions, and their announcements no order.
        all.retain(|one| one.thing.thing_type != ThingType::Event);
        all.sort_by_key(|one| (&one.thing, one.kind));
        for one in all {
            let thing = (one.thing.thing_type, one.thing.id.clone());
            let now = (one.thing.version, one.state.clone());
            match told.insert(thing, now.clone()) {
                Some((version, state)) if version == now.0 && state != now.1 => {
                    wrong.push(format!("{} has two states", one.id));
                }
                Some((version, state)) if version < now.0 && state == now.1 => {
                    wrong.push(format!("{} announces nothing new", one.id));
                }
                _ => {}
            }
        }
        let mut rows = self.states();
        for ((thing_type, id), (_, state)) in told {
            match rows.remove(&(thing_type, id.clone())) {
                None if thing_type == ThingType::Stock => {}
                Some(row) if row == state => {}
                row => wrong.push(format!(
                    "{id} differs: {}",
                    difference(&state, row.as_ref())
                )),
            }
        }
        wrong.extend(
            rows.into_keys()
                .map(|(_, id)| format!("{id} was never announced")),
        );
        wrong
    }

    /// The state of each thing that is announced.
    fn states(&self) -> BTreeMap<(ThingType, String), State> {
        let mut states = BTreeMap::new();
        for row in self.orders.values() {
            let state = State::Order(OrderSummary::of(row).into());
            states.insert((ThingType::Order, row.order_id.to_string()), state);
        }
        for row in self.entitlements.values() {
            let id = format!("{}/{}", row.customer_id, row.product_id);
            let state = State::Entitlement(EntitlementState::of(row));
            states.insert((ThingType::Entitlement, id), state);
        }
        for row in self.receipts.values() {
            let state = ReceiptOutcome::of(row).map(State::Receipt);
            let key = (ThingType::Receipt, row.receipt_id.to_string());
            states.extend(state.map(|state| (key, state)));
        }
        for row in self.resources.values() {
            states.extend(resource::state(row));
        }
        states
    }

    fn count(&mut self, sku: &Sku, pieces: i64) {
        if let Some(on_hand) = self.counters.get_mut(sku) {
            *on_hand += pieces;
        }
    }

    /// True if every condition of a commit holds.
    fn takes(&self, commit: &Commit) -> bool {
        let is_new = |row: &Receipt| !self.receipts.contains_key(&row.receipt_id);
        self.takes_order(commit)
            && follow(&self.links, &commit.links)
            && follow(&self.references, &commit.reference)
            && follow(&self.subscription_rows, &commit.subscription)
            && follow(&self.subscription_rows, &commit.charged)
            && follow(&self.entitlements, &commit.entitlements)
            && follow(&self.contacts, &commit.contact)
            && !commit.unless_erased.iter().any(|id| self.is_erased(id))
            && follow(&self.resources, &commit.resources)
            && commit.receipts.iter().all(is_new)
            && commit.uncounted.iter().all(|what| self.reports(what))
            && commit.deductions.iter().all(|take| self.deducts(take))
            && commit.restocks.iter().all(|back| self.restocks(back))
    }

    fn is_erased(&self, id: &CustomerId) -> bool {
        self.contacts.get(id).is_some_and(|contact| contact.erased)
    }

    fn reports(&self, uncounted: &Uncounted) -> bool {
        let has_counter = match uncounted {
            Uncounted::Sku(sku) => self.counters.contains_key(sku),
            Uncounted::Unmapped(_) => false,
        };
        !has_counter && !self.reported.contains(uncounted)
    }

    fn deducts(&self, take: &Deduction) -> bool {
        let level = self.stock_level(&take.movement.sku, &take.movement.order_id);
        let is_enough = match take.movement.short() {
            0 => level.on_hand >= Some(take.taken()),
            _ => level.on_hand == Some(take.on_hand),
        };
        is_enough && level.moved == take.seen
    }

    fn restocks(&self, back: &Restock) -> bool {
        let level = self.stock_level(&back.sku, &back.order_id);
        let fits = |movement: Movement| {
            movement.restocked == back.seen
                && back.seen.saturating_add(back.pieces) <= movement.deducted
        };
        level.on_hand.is_some() && level.moved.is_some_and(fits)
    }
}

/// The parts of two states that differ.
fn difference(announced: &State, row: Option<&State>) -> String {
    let (one, other) = (format!("{announced:#?}"), format!("{row:#?}"));
    let known: BTreeSet<&str> = other.lines().map(str::trim).collect();
    let lines = one
        .lines()
        .map(str::trim)
        .filter(|line| !known.contains(line));
    lines.collect::<Vec<_>>().join(" ")
}

/// True if each row has the version after the known one. No row has version 0, so version 1 comes after no row.
fn follow<'a, R: Row + 'a>(known: &Rows<R>, rows: impl IntoIterator<Item = &'a R>) -> bool {
    rows.into_iter().all(|row| {
        let before = known.get(&row.key()).map_or(0, Row::version);
        before + 1 == row.version()
    })
}

fn put<'a, R: Row + 'a>(known: &mut Rows<R>, rows: impl IntoIterator<Item = &'a R>) {
    let rows = rows.into_iter().map(|row| (row.key(), read_back(row)));
    known.extend(rows);
}

/// A row as it is read back: its times, for example, are cut to whole seconds.
///
/// # Panics
///
/// If the row cannot be stored.
#[must_use]
#[expect(
    clippy::expect_used,
    reason = "for tests: a row that cannot be stored must stop the test"
)]
pub fn read_back<T: Serialize + DeserializeOwned>(row: &T) -> T {
    let stored = serde_json::to_value(row).expect("a row that can be written");
    serde_json::from_value(stored).expect("a row that can be read")
}
