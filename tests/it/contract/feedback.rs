//! What SES's feedback changes: receipts, orders, marks of addresses.

use super::{On, committed, dynamodb, later, memory, now, owner, unique};
use domain::{
    ports::{
        Changed, DeliveryFailures, Orders as _, ReceiptAdmin, ReceiptUpdates, Receipts as _,
        Suppressions,
    },
    receipt::{
        Receipt, ReceiptState, ReceiptStatus,
        feedback::{AddressHash, Mails, ReceiptUpdate, Report, ReportKind, Suppression, settle},
    },
    sale::{delivery_failure::DeliveryFailure, order::Order},
    values::ids::{MessageId, ReceiptId},
};
use futures_util::future::join_all;
use kit::{fakes::World, play::until, stack::Ports};
use std::time::Duration;

/// The ports of this file, on the same rows as the others.
trait Told: On {
    fn lessons(&self) -> &impl ReceiptUpdates;
    fn troubles(&self) -> &impl DeliveryFailures;
    fn marks(&self) -> &impl Suppressions;
    fn desk(&self) -> &impl ReceiptAdmin;
}

impl Told for World {
    fn desk(&self) -> &impl ReceiptAdmin {
        self
    }
    fn lessons(&self) -> &impl ReceiptUpdates {
        self
    }
    fn troubles(&self) -> &impl DeliveryFailures {
        self
    }
    fn marks(&self) -> &impl Suppressions {
        self
    }
}

impl Told for Ports {
    fn desk(&self) -> &impl ReceiptAdmin {
        &self.receipts
    }
    fn lessons(&self) -> &impl ReceiptUpdates {
        &self.receipts
    }
    fn troubles(&self) -> &impl DeliveryFailures {
        &self.orders
    }
    fn marks(&self) -> &impl Suppressions {
        &self.marks
    }
}

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

async fn learn(on: &impl Told, seen: &Receipt, update: &ReceiptUpdate) -> Changed {
    on.lessons().learn(seen, update).await.unwrap()
}

async fn read(on: &impl Told, id: &ReceiptId) -> Receipt {
    on.receipts().receipt(id).await.unwrap().unwrap()
}

async fn a_lesson_is_learned_by_who_has_seen_the_receipt_last(on: &impl Told) {
    let seen = committed(on).await;
    let update = update(&seen, ReportKind::Delivered);
    let learned = join_all((0..8).map(|_| learn(on, &seen, &update))).await;
    assert_eq!(
        learned
            .iter()
            .filter(|learned| **learned == Changed::Now)
            .count(),
        1
    );
    // A claim in between.
    let seen = committed(on).await;
    assert_eq!(
        on.receipts().claim(&seen, &owner("a"), later()).await,
        Ok(Changed::Now)
    );
    assert_eq!(learn(on, &seen, &update).await, Changed::Raced);
    assert_eq!(
        learn(
            on,
            &Receipt {
                receipt_id: ReceiptId::new(unique("none")).unwrap(),
                ..seen
            },
            &update
        )
        .await,
        Changed::Raced
    );
}

async fn a_lesson_comes_back_as_it_was(on: &impl Told) {
    let mut row = committed(on).await;
    let kinds = [
        ReportKind::Sent,
        ReportKind::Delivered,
        ReportKind::Bounced { for_good: false },
        ReportKind::Bounced { for_good: true },
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
    assert!(matches!(row.state, ReceiptState::Failed { .. }));
}

async fn a_claimant_may_mark_after_a_lesson_that_left_its_claim(on: &impl Told) {
    let seen = committed(on).await;
    assert_eq!(
        on.receipts().claim(&seen, &owner("a"), later()).await,
        Ok(Changed::Now)
    );
    let claimed = read(on, &seen.receipt_id).await;
    let nothing = ReceiptUpdate {
        mails: Mails::new(),
        state: None,
    };
    assert_eq!(learn(on, &claimed, &nothing).await, Changed::Now);
    assert_eq!(read(on, &seen.receipt_id).await.state, claimed.state);
    let sent = ReceiptState::Sent {
        message_id: MessageId::new("ses-1").unwrap(),
        sent_at: now(),
    };
    assert_eq!(
        on.receipts()
            .mark(&seen.receipt_id, &owner("a"), &sent)
            .await,
        Ok(Changed::Now)
    );
}

async fn a_settled_receipt_can_be_neither_claimed_nor_marked(on: &impl Told) {
    let seen = committed(on).await;
    assert_eq!(
        on.receipts().claim(&seen, &owner("a"), later()).await,
        Ok(Changed::Now)
    );
    let claimed = read(on, &seen.receipt_id).await;
    assert_eq!(
        learn(on, &claimed, &update(&claimed, ReportKind::Sent)).await,
        Changed::Now
    );
    assert_eq!(
        on.receipts().claim(&claimed, &owner("b"), later()).await,
        Ok(Changed::Raced)
    );
    assert_eq!(on.receipts().hold(&claimed).await, Ok(Changed::Raced));
    let other = ReceiptState::Sent {
        message_id: MessageId::new("ses-2").unwrap(),
        sent_at: now(),
    };
    assert_eq!(
        on.receipts()
            .mark(&seen.receipt_id, &owner("a"), &other)
            .await,
        Ok(Changed::Raced)
    );
    let sent = ReceiptState::Sent {
        message_id: MessageId::new("ses-1").unwrap(),
        sent_at: now(),
    };
    assert_eq!(read(on, &seen.receipt_id).await.state, sent);
}

async fn an_order_keeps_what_trouble_there_is_for_who_has_seen_it_last(on: &impl Told) {
    let receipt = committed(on).await;
    let order = async || on.orders().order(&receipt.order_id).await.unwrap().unwrap();
    let keep = async |seen: &Order, id: &ReceiptId, delivery_failure| {
        on.troubles()
            .keep_delivery_failure(seen, id, delivery_failure)
            .await
            .unwrap()
    };
    let other = ReceiptId::new(unique("fin")).unwrap();
    let first = order().await;
    assert_eq!(
        keep(&first, &receipt.receipt_id, Some(DeliveryFailure::Bounced)).await,
        Changed::Now
    );
    assert_eq!(
        keep(&first, &other, Some(DeliveryFailure::Refused)).await,
        Changed::Raced
    );
    assert_eq!(
        keep(&order().await, &other, Some(DeliveryFailure::Complained)).await,
        Changed::Now
    );
    let both = [
        (receipt.receipt_id.clone(), DeliveryFailure::Bounced),
        (other.clone(), DeliveryFailure::Complained),
    ]
    .into();
    assert_eq!(
        order().await,
        Order {
            version: 3,
            delivery_failures: both,
            ..first.clone()
        }
    );
    assert_eq!(
        keep(&order().await, &receipt.receipt_id, None).await,
        Changed::Now
    );
    assert_eq!(keep(&order().await, &other, None).await, Changed::Now);
    assert_eq!(
        order().await,
        Order {
            version: 5,
            ..first
        }
    );
}

async fn the_last_of_each_is_kept_of_an_address(on: &impl Told) {
    let address = AddressHash::of(&format!("{}@example.com", unique("pat")));
    assert_eq!(on.marks().suppression(&address).await, Ok(None));
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
        on.marks().suppress(&mark).await.unwrap();
    }
    let both = Suppression {
        bounced_at: Some(later()),
        ..complained(later())
    };
    assert_eq!(
        on.marks().suppression(&address).await,
        Ok(Some(both.clone()))
    );
    for mark in [cleared(now()), cleared(later()), cleared(now())] {
        on.marks().suppress(&mark).await.unwrap();
    }
    assert_eq!(
        on.marks().suppression(&address).await,
        Ok(Some(Suppression {
            cleared_at: Some(later()),
            ..both
        }))
    );
    assert_eq!(
        on.marks()
            .suppression(&AddressHash::of("sam@example.com"))
            .await,
        Ok(None)
    );
}

async fn what_is_sent_again_keeps_what_is_known_of_its_mails(on: &impl Told) {
    let seen = committed(on).await;
    let id = &seen.receipt_id;
    assert_eq!(
        on.receipts().claim(&seen, &owner("a"), later()).await,
        Ok(Changed::Now)
    );
    let sent = ReceiptState::Sent {
        message_id: MessageId::new("ses-1").unwrap(),
        sent_at: now(),
    };
    assert_eq!(
        on.receipts().mark(id, &owner("a"), &sent).await,
        Ok(Changed::Now)
    );
    let row = read(on, id).await;
    assert_eq!(
        learn(on, &row, &update(&row, ReportKind::Delivered)).await,
        Changed::Now
    );
    let row = read(on, id).await;
    assert_eq!(
        on.desk().reopen(&row, "it did not come", later()).await,
        Ok(Changed::Now)
    );
    let again = read(on, id).await;
    assert_eq!(again, row.reopened("it did not come", later()));
    assert!(
        again.mails[&MessageId::new("ses-1").unwrap()]
            .delivered_at
            .is_some()
    );
    // Whatever is told of the first mail, the row waits for the second one.
    assert_eq!(
        learn(
            on,
            &again,
            &update(&again, ReportKind::Bounced { for_good: true })
        )
        .await,
        Changed::Now
    );
    let again = read(on, id).await;
    assert_eq!(
        (again.reopened_at, again.state),
        (Some(later()), ReceiptState::Unsent { reason: None })
    );
}

/// Until the index has the receipt there and nowhere else.
async fn stands(on: &impl Told, id: &ReceiptId, at: Option<ReceiptStatus>) {
    let is_so = async || {
        let mut found = Vec::new();
        for standing in [
            ReceiptStatus::Unsent,
            ReceiptStatus::Leased,
            ReceiptStatus::Failed,
            ReceiptStatus::Held,
        ] {
            if on.desk().waiting(standing, 1_000_000).await?.contains(id) {
                found.push(standing);
            }
        }
        Ok((found == Vec::from_iter(at)).then_some(()))
    };
    until(
        &format!("the index has it at {at:?}"),
        Duration::from_secs(10),
        is_so,
    )
    .await
    .unwrap();
}

async fn what_a_lesson_settles_is_where_it_stands_in_the_index_too(on: &impl Told) {
    let seen = committed(on).await;
    let id = &seen.receipt_id;
    assert_eq!(on.receipts().hold(&seen).await, Ok(Changed::Now));
    stands(on, id, Some(ReceiptStatus::Held)).await;
    let held = read(on, id).await;
    assert_eq!(
        learn(on, &held, &update(&held, ReportKind::Sent)).await,
        Changed::Now
    );
    stands(on, id, None).await;
    let sent = read(on, id).await;
    assert_eq!(
        learn(on, &sent, &update(&sent, ReportKind::Rejected)).await,
        Changed::Now
    );
    assert_eq!(read(on, id).await.state.standing(), ReceiptStatus::Failed);
    stands(on, id, Some(ReceiptStatus::Failed)).await;
    // What leaves it where it stands leaves it in the index as well.
    let failed = read(on, id).await;
    assert_eq!(
        learn(on, &failed, &update(&failed, ReportKind::Delivered)).await,
        Changed::Now
    );
    stands(on, id, Some(ReceiptStatus::Failed)).await;
}
