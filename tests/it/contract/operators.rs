//! The operators' ports on stock and orders.

use super::{
    On, Shelves as _, by_hand, committed, decided, dynamodb, memory, recorded, sale, unique,
};
use domain::{
    ports::{
        CounterPage, StockLevels as _, StockRow,
        admin::{MapTo, OrderSearch as _, PlacedOn, StockAdmin as _},
    },
    sale::mapping::{Grant, MappingKey, MappingRow},
};
use kit::prelude::*;

on_both! {
    a_counter_changes_only_from_the_count_that_was_read,
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

async fn a_counter_changes_only_from_the_count_that_was_read(on: &impl On) {
    let (stock, sku) = (on.shortfalls(), some_sku());
    assert_eq!(
        stock.set_counter(&sku, Some(1), 5).await.unwrap(),
        Changed::Raced
    );
    assert_eq!(
        stock.set_counter(&sku, None, 5).await.unwrap(),
        Changed::Now
    );
    assert_eq!(
        stock.set_counter(&sku, None, 6).await.unwrap(),
        Changed::Raced
    );
    assert_eq!(
        stock.set_counter(&sku, Some(4), 6).await.unwrap(),
        Changed::Raced
    );
    assert_eq!(
        stock.set_counter(&sku, Some(5), -2).await.unwrap(),
        Changed::Now
    );
    assert_eq!(on.stock_levels().on_hand(&sku).await, Some(-2));
}

async fn of_many_who_set_a_counter_one_does(on: &impl On) {
    let (stock, sku) = (on.shortfalls(), some_sku());
    on.stock_levels().put_counter(&sku, 3).await;
    let all = (0..20).map(|n| stock.set_counter(&sku, Some(3), 10 + n));
    let all = join_all(all).await;
    let done = all
        .into_iter()
        .filter(|changed| *changed == Ok(Changed::Now));
    assert_eq!(done.count(), 1);
}

/// All counters, by pages.
async fn all_counters(on: &impl On) -> Vec<(Sku, Option<i64>)> {
    let (mut all, mut after) = (Vec::new(), None::<StockRow>);
    for _ in 0..10_000 {
        let page = on
            .announcements()
            .counter_page(after.as_ref())
            .await
            .unwrap();
        let CounterPage { counters, next } = page;
        all.extend(counters.into_iter().map(|of| (of.sku, of.on_hand)));
        after = next;
        if after.is_none() {
            return all;
        }
    }
    panic!("no end");
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
        let commit = decided(on.commits(), &event, &sale(&skus)).await;
        assert_eq!(on.commit(&commit).await, Committed::Now);
        orders.push(commit.order.unwrap().order_id);
    }
    let moved = on.shortfalls().movements(&sku, 100).await.unwrap();
    assert!(moved.iter().all(|moved| moved.sku == sku));
    let mut found: Vec<OrderId> = moved.into_iter().map(|moved| moved.order_id).collect();
    found.sort();
    orders.sort();
    assert_eq!(found, orders);
    assert_eq!(on.shortfalls().movements(&sku, 2).await.unwrap().len(), 2);
    assert!(
        on.shortfalls()
            .movements(&some_sku(), 2)
            .await
            .unwrap()
            .is_empty()
    );
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
        on.shortfalls().put_mapping(&of, &to).await.unwrap();
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
    // The index may lag a moment behind the table.
    let mut found = Vec::new();
    for _ in 0..50 {
        found = on.orders().orders_under(&reference, 5).await.unwrap();
        if !found.is_empty() {
            break;
        }
        tokio::task::yield_now().await;
    }
    assert_eq!(found, [order.order_id]);
    assert!(
        on.orders()
            .orders_under(&unique("none"), 5)
            .await
            .unwrap()
            .is_empty()
    );
}

/// The orders of a range, through all pages of a day. The order of the pages is kept.
async fn placed(on: &impl On, mut of: PlacedOn) -> Vec<Order> {
    let mut found = Vec::new();
    for _ in 0..10_000 {
        let page = on.orders().placed_orders(&of).await.unwrap();
        found.extend(page.orders);
        of.after = page.next;
        if of.after.is_none() {
            break;
        }
    }
    found
}

/// A committed order that was placed that many seconds before the others.
async fn placed_before(on: &impl On, seconds: i64) -> Order {
    let event = recorded(on).await;
    let mut commit = decided(on.commits(), &event, &sale(&[])).await;
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
    // The index may lag a moment behind the table.
    let mut found = Vec::new();
    for _ in 0..50 {
        found = ours(placed(on, of(60, -1)).await);
        if found.len() == wanted.len() {
            break;
        }
        tokio::task::yield_now().await;
    }
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
            let orders = on.orders();
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
    assert_eq!(
        (now.customer.email.as_deref(), now.version),
        (Some(email), order.version + 1)
    );
    assert_eq!(now.notes, order.notes.with(by_hand("misspelled")));
}
