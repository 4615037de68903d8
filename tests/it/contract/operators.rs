//! The operators' ports on stock and orders.

use super::{
    On, Shelves as _, all_pages, by_hand, committed, decided, dynamodb, in_time, memory, recorded,
    sale, unique,
};
use domain::{
    ports::{
        Shortfalls as _, StockLevels as _, StockRow,
        admin::{MapTo, OrderPlace, OrderSearch as _, PlacedOn, StockAdmin},
    },
    sale::{
        counter_change::{ChangeKind, CounterChange},
        mapping::{Grant, MappingKey, MappingRow},
    },
};
use kit::prelude::*;

on_both! {
    a_counter_changes_only_from_the_count_that_was_read,
    a_change_of_a_counter_is_kept_beside_it_and_hides_from_its_other_readers,
    of_many_who_set_a_counter_one_does,
    counters_are_listed_page_by_page,
    the_movements_of_one_sku_are_read,
    a_mapping_row_is_read_as_an_operator_wrote_it,
    orders_are_found_under_their_reference,
    orders_are_listed_by_day_the_newest_first,
    an_address_is_corrected_for_the_version_that_was_seen,
}

fn some_sku() -> Sku {
    Sku::new(unique("SKU")).unwrap()
}

fn changed(sku: &Sku, before: Option<i64>, after: i64, at: Timestamp) -> CounterChange {
    CounterChange {
        sku: sku.clone(),
        kind: ChangeKind::Count,
        before,
        after,
        counted_at: Some(Timestamp::from_second(1_760_200_000).unwrap()),
        at,
        by: "ana".to_owned(),
        why: "yearly count".to_owned(),
    }
}

async fn change(stock: &impl StockAdmin, sku: &Sku, before: Option<i64>, after: i64) -> Changed {
    let change = changed(sku, before, after, Timestamp::now());
    stock.change_counter(&change).await.unwrap()
}

async fn a_change_of_a_counter_is_kept_beside_it_and_hides_from_its_other_readers(on: &impl On) {
    let (stock, sku) = (on.store(), some_sku());
    let start = Timestamp::now().as_second() * 1_000_000;
    let at = |micros: i64| Timestamp::from_microsecond(start + micros).unwrap();
    let moment = at(1);
    for (before, after, at, expected) in [
        (None, 5, moment, Changed::Now),
        (Some(4), 9, at(2), Changed::Raced),
        // The same microsecond has a row.
        (Some(5), 9, moment, Changed::Raced),
        (Some(5), 9, at(10), Changed::Now),
    ] {
        let change = changed(&sku, before, after, at);
        assert_eq!(stock.change_counter(&change).await.unwrap(), expected);
    }
    let arrived = CounterChange {
        kind: ChangeKind::Receive,
        counted_at: None,
        ..changed(&sku, Some(9), 7, at(1_500_000))
    };
    assert_eq!(stock.change_counter(&arrived).await.unwrap(), Changed::Now);
    let second = |change: CounterChange| CounterChange {
        at: Timestamp::from_second(change.at.as_second()).unwrap(),
        ..change
    };
    let expected = [
        arrived,
        changed(&sku, Some(5), 9, moment),
        changed(&sku, None, 5, moment),
    ];
    let expected = expected.map(second);
    let kept = stock.counter_changes(&sku, 100).await.unwrap();
    assert_eq!(kept, expected, "the newest first");
    assert_eq!(stock.counter_changes(&sku, 2).await.unwrap(), expected[..2]);
    assert_eq!(stock.counter_changes(&some_sku(), 2).await.unwrap(), []);

    // Those who read counters and movements see one counter, and no movement.
    assert_eq!(stock.movements(&sku, 100).await.unwrap(), []);
    let counters = stock.counters(std::slice::from_ref(&sku)).await.unwrap();
    assert_eq!(counters.into_values().collect::<Vec<_>>(), [7]);
    let (counter, announced) = on.store().level(&sku).await.unwrap();
    assert_eq!(counter.unwrap().on_hand, Some(7));
    // A deployed function may have announced a level meanwhile.
    assert!(announced.is_none_or(|level| [5, 9, 7].contains(&level.on_hand)));
    let all = all_counters(on).await;
    let found: Vec<_> = all.iter().filter(|(known, _)| *known == sku).collect();
    assert_eq!(found, [&(sku, Some(7))]);
}

async fn a_counter_changes_only_from_the_count_that_was_read(on: &impl On) {
    let (stock, sku) = (on.store(), some_sku());
    assert_eq!(change(stock, &sku, Some(1), 5).await, Changed::Raced);
    assert_eq!(change(stock, &sku, None, 5).await, Changed::Now);
    assert_eq!(change(stock, &sku, None, 6).await, Changed::Raced);
    assert_eq!(change(stock, &sku, Some(4), 6).await, Changed::Raced);
    assert_eq!(change(stock, &sku, Some(5), -2).await, Changed::Now);
    assert_eq!(on.stock_levels().on_hand(&sku).await, Some(-2));
}

async fn of_many_who_set_a_counter_one_does(on: &impl On) {
    let (stock, sku) = (on.store(), some_sku());
    on.stock_levels().put_counter(&sku, 3).await;
    let all = (0..20).map(|n| change(stock, &sku, Some(3), 10 + n));
    let all = join_all(all).await;
    let done = all.into_iter().filter(|changed| *changed == Changed::Now);
    assert_eq!(done.count(), 1);
    assert_eq!(stock.counter_changes(&sku, 100).await.unwrap().len(), 1);
}

/// All counters, by pages.
async fn all_counters(on: &impl On) -> Vec<(Sku, Option<i64>)> {
    let all = all_pages(async |after: Option<StockRow>| {
        let page = on.store().counter_page(after.as_ref()).await.unwrap();
        (page.counters, page.next)
    });
    let all = all.await.into_iter();
    all.map(|of| (of.sku, of.on_hand)).collect()
}

async fn counters_are_listed_page_by_page(on: &impl On) {
    let skus: Vec<Sku> = (0..8).map(|_| some_sku()).collect();
    for (sku, on_hand) in skus.iter().zip(0..) {
        on.stock_levels().put_counter(sku, on_hand).await;
    }
    let all = all_counters(on).await;
    for (sku, on_hand) in skus.iter().zip(0..) {
        let found: Vec<_> = all.iter().filter(|(known, _)| known == sku).collect();
        assert_eq!(found, [&(sku.clone(), Some(on_hand))]);
    }
}

async fn the_movements_of_one_sku_are_read(on: &impl On) {
    let (sku, other) = (some_sku(), some_sku());
    for sku in [&sku, &other] {
        on.stock_levels().put_counter(sku, 10).await;
    }
    let mut orders = Vec::new();
    for _ in 0..3 {
        let event = recorded(on).await;
        let skus = [sku.clone(), other.clone()];
        let commit = decided(on, &event, &sale(&skus)).await;
        assert_eq!(on.commit(&commit).await, Committed::Now);
        orders.push(commit.order.unwrap().order_id);
    }
    let moved = on.store().movements(&sku, 100).await.unwrap();
    assert!(moved.iter().all(|moved| moved.sku == sku));
    let mut found: Vec<OrderId> = moved.into_iter().map(|moved| moved.order_id).collect();
    found.sort();
    orders.sort();
    assert_eq!(found, orders);
    assert_eq!(on.store().movements(&sku, 2).await.unwrap().len(), 2);
    let none = on.store().movements(&some_sku(), 2).await;
    assert_eq!(none, Ok(Vec::new()));
}

async fn a_mapping_row_is_read_as_an_operator_wrote_it(on: &impl On) {
    let sku = some_sku();
    let grant = Grant {
        name: ProductId::new("gym").unwrap(),
        days: Some(30),
    };
    for to in [
        MapTo {
            sku: Some(sku.clone()),
            grants: Some(grant.clone()),
            ..MapTo::default()
        },
        MapTo {
            untracked: true,
            ..MapTo::default()
        },
    ] {
        let of = MappingKey::Product(ProductId::new(unique("fprod")).unwrap());
        on.store().put_mapping(&of, &to).await.unwrap();
        let read_set = ReadSet {
            mapping: vec![of.clone()],
            ..ReadSet::default()
        };
        let row = MappingRow {
            maps_to: to.sku,
            untracked: to.untracked,
            grants: to.grants,
            ..MappingRow::default()
        };
        assert_eq!(on.read(&read_set).await.mapping.get(&of), Some(&row));
    }
}

/// A committed order.
async fn an_order(on: &impl On) -> Order {
    let receipt = committed(on).await;
    on.order(&receipt.order_id).await.unwrap()
}

async fn orders_are_found_under_their_reference(on: &impl On) {
    let order = an_order(on).await;
    let reference = order.client_reference_id.clone().unwrap();
    let found = async |reference: &str| on.store().orders_under(reference, 5).await.unwrap();
    in_time("the index has the reference", async || {
        found(&reference).await == [order.order_id.clone()]
    })
    .await;
    assert_eq!(found(&unique("none")).await, []);
}

/// The orders of a range, through all pages of a day. The order of the pages is kept.
async fn placed(on: &impl On, mut of: PlacedOn) -> Vec<Order> {
    all_pages(async |after: Option<OrderPlace>| {
        of.after = after;
        let page = on.store().placed_orders(&of).await.unwrap();
        (page.orders, page.next)
    })
    .await
}

/// A committed order that was placed that many seconds before the others.
async fn placed_before(on: &impl On, seconds: i64) -> Order {
    let event = recorded(on).await;
    let mut commit = decided(on, &event, &sale(&[])).await;
    let order = commit.order.as_mut().unwrap();
    order.placed_at -= SignedDuration::from_secs(seconds);
    let id = order.order_id.clone();
    assert_eq!(on.commit(&commit).await, Committed::Now);
    on.order(&id).await.unwrap()
}

async fn orders_are_listed_by_day_the_newest_first(on: &impl On) {
    let mut wanted = Vec::new();
    for seconds in [3, 0, 7, 3, 5] {
        wanted.push(placed_before(on, seconds).await);
    }
    let (at, day) = (wanted[1].placed_at, wanted[1].placed_day());
    let of = |since, before| PlacedOn {
        day,
        since: at - SignedDuration::from_secs(since),
        before: at - SignedDuration::from_secs(before),
        after: None,
    };
    let ours = |found: Vec<Order>| -> Vec<Order> {
        let is_ours = |order: &Order| wanted.contains(order);
        found.into_iter().filter(is_ours).collect()
    };
    in_time("the index has the orders", async || {
        ours(placed(on, of(60, -1)).await).len() == wanted.len()
    })
    .await;
    let found = ours(placed(on, of(60, -1)).await);
    let seconds = |orders: &[Order]| -> Vec<i64> {
        let ago = |order: &Order| at.as_second() - order.placed_at.as_second();
        orders.iter().map(ago).collect()
    };
    assert_eq!(seconds(&found), [0, 3, 3, 5, 7]);
    assert_ne!(found[1].order_id, found[2].order_id);
    let part = ours(placed(on, of(5, 0)).await);
    assert_eq!(seconds(&part), [3, 3, 5]);
    let of_no_second = placed(on, of(3, 3)).await;
    assert_eq!(of_no_second, []);
    let next_day = PlacedOn {
        day: day.tomorrow().unwrap(),
        ..of(60, -1)
    };
    assert_eq!(ours(placed(on, next_day).await), []);
}

async fn an_address_is_corrected_for_the_version_that_was_seen(on: &impl On) {
    let order = an_order(on).await;
    let email = "new@example.org";
    let corrected = |seen: &Order| {
        let seen = seen.clone();
        let note = by_hand("misspelled");
        async move {
            let orders = on.store();
            orders.correct_address(&seen, email, &note).await.unwrap()
        }
    };
    let stale = Order {
        version: order.version + 1,
        ..order.clone()
    };
    assert_eq!(corrected(&stale).await, Changed::Raced);
    assert_eq!(corrected(&order).await, Changed::Now);
    assert_eq!(corrected(&order).await, Changed::Raced);
    let now = on.order(&order.order_id).await.unwrap();
    assert_eq!(now.customer.email.as_deref(), Some(email));
    assert_eq!(now.version, order.version + 1);
    assert_eq!(now.notes, order.notes.with(by_hand("misspelled")));
}
