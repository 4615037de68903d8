//! Events give one result in any order, also if they come twice or under another id.

mod model;
mod order;
mod subscription;

use crate::fulfillment::{
    Decision,
    testing::{End, Shop, id},
};
use crate::{delivery::event::Event, ports::Committed};
use proptest::prelude::*;

/// The differing lines of two values, for people.
fn difference<T: std::fmt::Debug>(one: &T, other: &T) -> String {
    let (one, other) = (format!("{one:#?}"), format!("{other:#?}"));
    let lines = one
        .lines()
        .zip(other.lines())
        .enumerate()
        .filter(|(_, (one, other))| one != other);
    let lines = lines.map(|(n, (one, other))| format!("{n}: {} | {}", one.trim(), other.trim()));
    lines.take(12).collect::<Vec<_>>().join("\n")
}

/// Delivers the waiting events, like the queue, until nothing changes any more. Some may then still wait.
fn settle(shop: &mut Shop, mut waiting: Vec<&Event>) {
    loop {
        let before = (shop.tables.clone(), waiting.len());
        waiting.retain(|event| matches!(shop.deliver(event), End::Waits(_)));
        if before == (shop.tables.clone(), waiting.len()) {
            return;
        }
    }
}

/// Delivers the events in every possible order. It passes each end to `check`, with the order that led to it.
pub(super) fn in_every_order(
    shop: &Shop,
    events: &[Event],
    check: &mut dyn FnMut(&Shop, &[usize]),
) {
    fn go_on(
        shop: &Shop,
        events: &[Event],
        waiting: &[usize],
        order: &mut Vec<usize>,
        check: &mut dyn FnMut(&Shop, &[usize]),
    ) {
        if order.len() == events.len() {
            let mut shop = shop.clone();
            settle(&mut shop, waiting.iter().map(|n| &events[*n]).collect());
            return check(&shop, order);
        }
        for next in 0..events.len() {
            if order.contains(&next) {
                continue;
            }
            let mut shop = shop.clone();
            let mut waiting = waiting.to_vec();
            if let End::Waits(_) = shop.deliver(&events[next]) {
                waiting.push(next);
            }
            order.push(next);
            go_on(&shop, events, &waiting, order, check);
            order.pop();
        }
    }
    go_on(shop, events, &[], &mut Vec::new(), check);
}

/// The arrival of a history of up to that many events: shuffled, some of them twice, some at the same time.
#[derive(Debug, Clone)]
struct Arrival {
    places: Vec<u32>,
    /// The repeated events, each with its place.
    again: Vec<(prop::sample::Index, u32)>,
    /// True if the worker decides on the next event before this one is carried out, on the old rows.
    races: Vec<bool>,
}

fn arrival(most: usize) -> impl Strategy<Value = Arrival> {
    let again = prop::collection::vec((any::<prop::sample::Index>(), any::<u32>()), 0..4);
    let races = prop::collection::vec(prop::bool::weighted(0.3), most + 4);
    (prop::collection::vec(any::<u32>(), most), again, races).prop_map(|(places, again, races)| {
        Arrival {
            places,
            again,
            races,
        }
    })
}

impl Arrival {
    /// In true order, once each.
    fn in_order() -> Self {
        Self {
            places: (0..100).collect(),
            again: Vec::new(),
            races: vec![false; 100],
        }
    }

    /// Delivers the events in this way. A repeated event has another id.
    fn deliver(&self, shop: &mut Shop, events: &[Event]) {
        let mut coming: Vec<(u32, Event)> = self
            .places
            .iter()
            .copied()
            .zip(events.iter().cloned())
            .collect();
        for (n, (which, place)) in self.again.iter().enumerate() {
            let twin = &events[which.index(events.len())];
            coming.push((
                *place,
                Event {
                    event_id: id(&format!("{}-twin-{n}", twin.event_id)),
                    ..twin.clone()
                },
            ));
        }
        coming.sort_by_key(|(place, _)| *place);
        let coming: Vec<Event> = coming.into_iter().map(|(_, event)| event).collect();
        let mut waiting = Vec::new();
        let mut ahead: Option<Decision> = None;
        for (n, event) in coming.iter().enumerate() {
            let decision = ahead.take().unwrap_or_else(|| shop.decide(event));
            if self.races[n] {
                ahead = coming.get(n + 1).map(|next| shop.decide(next));
            }
            let end = match shop.carry_out(decision) {
                (end, Committed::Now) => end,
                (_, Committed::Raced) => shop.deliver(event),
            };
            if let End::Waits(_) = end {
                waiting.push(event);
            }
        }
        settle(shop, waiting);
    }
}
