//! Older states: of an index, by seconds, and of the provider's API.

use super::Kept;
use domain::{
    delivery::stored_event::{EventState, StoredEvent},
    receipt::Receipt,
    sale::statement::Sale,
    values::ids::{EventId, OrderId, ReceiptId},
};
use jiff::Timestamp;
use std::{borrow::Cow, collections::BTreeMap};

/// The rows that an index shows in an older state; `None` for a row that it does not have yet.
#[derive(Debug, Default)]
pub struct Before {
    pub events: BTreeMap<EventId, Option<EventState>>,
    pub receipts: BTreeMap<ReceiptId, Option<Receipt>>,
}

/// A sale whose present state the provider's API does not show yet.
#[derive(Debug)]
pub struct Late {
    pub until: Timestamp,
    /// The state that it shows instead; `None` if it knows no such sale.
    pub facts: Option<Sale>,
}

impl Kept {
    /// The events that the index has now, with the states that it shows.
    pub(super) fn indexed_events(&self) -> impl Iterator<Item = (&StoredEvent, EventState)> {
        let mut before = self.index_shows.take();
        self.events.values().filter_map(move |event| {
            let shown = before.events.remove(&event.event_id);
            Some((event, shown.unwrap_or(Some(event.state))?))
        })
    }

    /// The receipts as the index has them now.
    pub(super) fn indexed_receipts(&self) -> impl Iterator<Item = Cow<'_, Receipt>> {
        let mut before = self.index_shows.take();
        self.receipts.values().filter_map(move |receipt| {
            match before.receipts.remove(&receipt.receipt_id) {
                Some(shown) => shown.map(Cow::Owned),
                None => Some(Cow::Borrowed(receipt)),
            }
        })
    }

    /// The provider's API shows this state of the sale, but not before `until`.
    pub fn checkout_is(&mut self, sale: &Sale, until: Timestamp) {
        let id = sale.order_id.clone();
        let facts = self.sales.insert(id.clone(), sale.clone());
        if until > self.now() {
            self.late.insert(id, Late { until, facts });
        }
    }

    fn late(&self, id: &OrderId) -> Option<&Late> {
        self.late.get(id).filter(|late| self.now() < late.until)
    }

    /// The sale that the provider's API shows now.
    pub(super) fn answer(&self, id: &OrderId) -> Option<&Sale> {
        self.old_answers
            .set(self.old_answers.get() + u64::from(self.late(id).is_some()));
        self.listed(id)
    }

    /// A sale, as everything of the provider's has it now.
    pub(super) fn listed(&self, id: &OrderId) -> Option<&Sale> {
        self.late(id)
            .map_or_else(|| self.sales.get(id), |late| late.facts.as_ref())
    }

    /// All of them.
    pub(super) fn all_listed(&self) -> impl Iterator<Item = &Sale> {
        self.sales.keys().filter_map(|id| self.listed(id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        fakes::World,
        story::{purchase, sale},
    };

    #[test]
    fn a_checkout_is_told_as_it_was_until_then_and_each_such_answer_counts() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let known = sale(&purchase(1));
        let world = World::at(at(10));
        world.kept().checkout_is(&known, at(20));
        assert_eq!(world.kept().answer(&known.order_id), None);
        assert_eq!(world.kept().all_listed().count(), 0);
        world.pass_until(at(20));
        assert_eq!(world.kept().answer(&known.order_id), Some(&known));
        assert_eq!(world.kept().old_answers.get(), 1);
    }
}
