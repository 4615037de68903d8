//! The effects of SES's feedback on receipts, orders and suppressed addresses.

use super::{On, admin::stands, by_hand, committed, count, dynamodb, later, memory, now, unique};
use domain::{
    ports::{Orders as _, Receipts as _},
    receipt::feedback::{Mails, ReceiptUpdate, Report, ReportKind, settle},
    sale::delivery_failure::DeliveryFailure,
};
use kit::prelude::*;

on_both! {
    a_lesson_is_learned_by_who_has_seen_the_receipt_last,
    a_lesson_comes_back_as_it_was,
    a_claimant_may_mark_after_a_lesson_that_left_its_claim,
    a_settled_receipt_can_be_neither_claimed_nor_marked,
    an_order_keeps_what_trouble_there_is_for_who_has_seen_it_last,
    the_last_of_each_is_kept_of_an_address,
    what_is_sent_again_keeps_what_is_known_of_its_mails,
    what_a_lesson_settles_is_where_it_stands_in_the_index_too,
}

fn report(receipt: &Receipt, message: &str, kind: ReportKind) -> Report {
    Report {
        receipt_id: receipt.receipt_id.clone(),
        message_id: MessageId::new(message).unwrap(),
        sent_at: now(),
        kind,
        at: later(),
        address: None,
    }
}

fn update(receipt: &Receipt, kind: ReportKind) -> ReceiptUpdate {
    settle(receipt, &report(receipt, "ses-1", kind)).unwrap()
}

async fn learn(on: &impl On, seen: &Receipt, update: &ReceiptUpdate) -> Changed {
    let learned = on.store().update_mails(seen, update, None);
    learned.await.unwrap()
}

/// A report of the first mail is learned on the row as it is.
async fn learns(on: &impl On, id: &ReceiptId, kind: ReportKind) {
    let row = read(on, id).await;
    assert_eq!(learn(on, &row, &update(&row, kind)).await, Changed::Now);
}

async fn read(on: &impl On, id: &ReceiptId) -> Receipt {
    on.receipt(id).await.unwrap()
}

async fn a_lesson_is_learned_by_who_has_seen_the_receipt_last(on: &impl On) {
    let seen = committed(on).await;
    let update = update(&seen, ReportKind::Delivered);
    let learned = join_all((0..8).map(|_| learn(on, &seen, &update))).await;
    assert_eq!(count(&learned, &Changed::Now), 1);
    // A lease in between.
    let seen = committed(on).await;
    assert_eq!(on.lease(&seen, "a").await, Changed::Now);
    assert_eq!(learn(on, &seen, &update).await, Changed::Raced);
    let nobody = Receipt {
        receipt_id: ReceiptId::new(unique("none")).unwrap(),
        ..seen
    };
    assert_eq!(learn(on, &nobody, &update).await, Changed::Raced);
}

async fn a_lesson_comes_back_as_it_was(on: &impl On) {
    let mut row = committed(on).await;
    let kinds = [
        ReportKind::Sent,
        ReportKind::Delivered,
        ReportKind::Bounced { permanent: false },
        ReportKind::Bounced { permanent: true },
        ReportKind::MaybeBounced,
        ReportKind::Suppressed,
        ReportKind::Complained,
        ReportKind::Rejected,
    ];
    for kind in kinds {
        let Some(update) = settle(&row, &report(&row, "ses-1", kind)) else {
            continue;
        };
        assert_eq!(learn(on, &row, &update).await, Changed::Now);
        let ReceiptUpdate { mails, state } = update;
        row = Receipt {
            version: row.version + 1,
            mails,
            state: state.unwrap_or(row.state),
            ..row
        };
        assert_eq!(read(on, &row.receipt_id).await, row, "{kind:?}");
    }
    assert_matches!(row.state, ReceiptState::Failed { .. });
}

async fn a_claimant_may_mark_after_a_lesson_that_left_its_claim(on: &impl On) {
    let seen = committed(on).await;
    assert_eq!(on.lease(&seen, "a").await, Changed::Now);
    let claimed = read(on, &seen.receipt_id).await;
    let nothing = ReceiptUpdate {
        mails: Mails::new(),
        state: None,
    };
    assert_eq!(learn(on, &claimed, &nothing).await, Changed::Now);
    assert_eq!(read(on, &seen.receipt_id).await.state, claimed.state);
    let sent = sent_as("ses-1", now());
    assert_eq!(on.mark(&seen.receipt_id, "a", &sent).await, Changed::Now);
}

async fn a_settled_receipt_can_be_neither_claimed_nor_marked(on: &impl On) {
    let seen = committed(on).await;
    assert_eq!(on.lease(&seen, "a").await, Changed::Now);
    let claimed = read(on, &seen.receipt_id).await;
    learns(on, &seen.receipt_id, ReportKind::Sent).await;
    assert_eq!(on.lease(&claimed, "b").await, Changed::Raced);
    assert_eq!(on.hold(&claimed).await, Changed::Raced);
    let other = sent_as("ses-2", now());
    assert_eq!(on.mark(&seen.receipt_id, "a", &other).await, Changed::Raced);
    let sent = sent_as("ses-1", now());
    assert_eq!(read(on, &seen.receipt_id).await.state, sent);
}

async fn an_order_keeps_what_trouble_there_is_for_who_has_seen_it_last(on: &impl On) {
    let receipt = committed(on).await;
    let order = async || on.order(&receipt.order_id).await.unwrap();
    let keep = async |seen: &Order, id: &ReceiptId, delivery_failure| {
        let kept = on.store().keep_delivery_failure(seen, id, delivery_failure);
        kept.await.unwrap()
    };
    let id = &receipt.receipt_id;
    let other = ReceiptId::new(unique("fin")).unwrap();
    let first = order().await;
    let [bounced, refused, complained] = [
        DeliveryFailure::Bounced,
        DeliveryFailure::Refused,
        DeliveryFailure::Complained,
    ];
    assert_eq!(keep(&first, id, Some(bounced)).await, Changed::Now);
    assert_eq!(keep(&first, &other, Some(refused)).await, Changed::Raced);
    let second = order().await;
    assert_eq!(keep(&second, &other, Some(complained)).await, Changed::Now);
    let both = Order {
        version: 3,
        delivery_failures: [(id.clone(), bounced), (other.clone(), complained)].into(),
        ..first.clone()
    };
    assert_eq!(order().await, both);
    for id in [id, &other] {
        assert_eq!(keep(&order().await, id, None).await, Changed::Now);
    }
    let none = Order {
        version: 5,
        ..first
    };
    assert_eq!(order().await, none);
}

async fn the_last_of_each_is_kept_of_an_address(on: &impl On) {
    let address = AddressHash::of(&format!("{}@example.com", unique("pat")));
    assert_eq!(on.suppression(&address).await, None);
    let none = || Suppression::of(address.clone());
    let bounced = |at| Suppression {
        bounced_at: Some(at),
        ..none()
    };
    let complained = |at| Suppression {
        complained_at: Some(at),
        ..none()
    };
    let cleared = |at| Suppression {
        cleared_at: Some(at),
        ..none()
    };
    for mark in [
        bounced(now()),
        complained(later()),
        bounced(later()),
        complained(now()),
        bounced(now()),
    ] {
        on.suppress(&mark).await;
    }
    let both = Suppression {
        bounced_at: Some(later()),
        ..complained(later())
    };
    assert_eq!(on.suppression(&address).await, Some(both.clone()));
    for mark in [cleared(now()), cleared(later()), cleared(now())] {
        on.suppress(&mark).await;
    }
    let all = Suppression {
        cleared_at: Some(later()),
        ..both
    };
    assert_eq!(on.suppression(&address).await, Some(all));
    let other = AddressHash::of("sam@example.com");
    assert_eq!(on.suppression(&other).await, None);
}

async fn what_is_sent_again_keeps_what_is_known_of_its_mails(on: &impl On) {
    let seen = committed(on).await;
    let id = &seen.receipt_id;
    assert_eq!(on.lease(&seen, "a").await, Changed::Now);
    let sent = sent_as("ses-1", now());
    assert_eq!(on.mark(id, "a", &sent).await, Changed::Now);
    learns(on, id, ReportKind::Delivered).await;
    let row = read(on, id).await;
    let reopened = on.reopen_receipt(&row, "it did not come").await;
    assert_eq!(reopened, Changed::Now);
    let again = read(on, id).await;
    assert_eq!(again, row.reopened(by_hand("it did not come"), later()));
    let first = &again.mails[&MessageId::new("ses-1").unwrap()];
    assert!(first.delivered_at.is_some());
    // Reports of the first mail leave the row to the second one.
    learns(on, id, ReportKind::Bounced { permanent: true }).await;
    let again = read(on, id).await;
    assert_eq!(again.reopened_at, Some(later()));
    assert_eq!(again.state, ReceiptState::Unsent { reason: None });
}

async fn what_a_lesson_settles_is_where_it_stands_in_the_index_too(on: &impl On) {
    let seen = committed(on).await;
    let id = &seen.receipt_id;
    assert_eq!(on.hold(&seen).await, Changed::Now);
    stands(on, id, ReceiptStatus::Held).await;
    learns(on, id, ReportKind::Sent).await;
    stands(on, id, ReceiptStatus::Sent).await;
    learns(on, id, ReportKind::Rejected).await;
    assert_eq!(read(on, id).await.state.status(), ReceiptStatus::Failed);
    stands(on, id, ReceiptStatus::Failed).await;
    // A report without effect on its state leaves the index alone.
    learns(on, id, ReportKind::Delivered).await;
    stands(on, id, ReceiptStatus::Failed).await;
}
