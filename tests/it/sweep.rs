//! Sweep over the world in memory: what is due is queued, and nothing else.

use domain::{
    ids::{MessageId, OrderId, OwnerToken, ReceiptId, SubscriptionId},
    job::ReceiptJob,
    outcome::Setback,
    ports::{Clock as _, MOST_DUE},
    receipt::{Kind, Receipt, State},
};
use jiff::{SignedDuration, Timestamp};
use kit::fakes::{Fault, World};
use sweep::{Sweep, Swept};

/// An afternoon in New York, and the next day already by universal time.
fn now() -> Timestamp {
    "2026-03-03T00:30:00Z".parse().unwrap()
}

fn sweep(world: &World) -> Sweep<World, World, World> {
    Sweep { receipts: world.clone(), queue: world.clone(), clock: world.clone() }
}

/// The notice of a trial, to be sent so many hours from now on.
fn notice(n: usize, hours: i64) -> Receipt {
    let kind = Kind::TrialEnds {
        subscription_id: SubscriptionId::new(format!("fsub_{n:04}")).unwrap(),
        ends_at: now() + SignedDuration::from_hours(hours + 72),
    };
    let due_at = now() + SignedDuration::from_hours(hours);
    let order_id = OrderId::new(format!("fcs_{n:04}")).unwrap();
    Receipt::new(&order_id, kind, Some(due_at), now() - SignedDuration::from_hours(24 * 14)).unwrap()
}

fn world_with(notices: impl IntoIterator<Item = Receipt>) -> World {
    let world = World::at(now());
    let rows = notices.into_iter().map(|notice| (notice.receipt_id.clone(), notice));
    world.kept().receipts.extend(rows);
    world
}

/// The receipts that were queued, in the order of the queue, which is empty after.
fn queued(world: &World) -> Vec<ReceiptId> {
    let messages = std::mem::take(&mut world.kept().receipt_queue);
    let id = |message: kit::fakes::Message<ReceiptJob>| {
        let ReceiptJob::V1 { receipt_id } = message.job;
        receipt_id
    };
    messages.into_iter().map(id).collect()
}

fn send(world: &World, id: &ReceiptId) {
    let message_id = MessageId::new("ses-1").unwrap();
    let sent = State::Sent { message_id, sent_at: world.now() };
    world.kept().receipts.get_mut(id).unwrap().state = sent;
}

#[tokio::test]
async fn what_is_due_today_or_was_in_the_three_days_before_is_queued_the_oldest_first() {
    let of = |n: usize| notice(n, 0).receipt_id;
    // Hours from half past midnight: late today, tomorrow, yesterday, three and four days ago.
    let notices = [(1, 23), (2, 24), (3, -1), (4, -72), (5, -73)];
    let world = world_with(notices.map(|(n, hours)| notice(n, hours)));
    assert_eq!(sweep(&world).run().await, Ok(Swept { queued: 3, more: false }));
    assert_eq!(queued(&world), [of(4), of(3), of(1)]);
}

#[tokio::test]
async fn what_somebody_sends_or_nobody_will_is_left_alone() {
    let owner = OwnerToken::new("somebody").unwrap();
    let reason = "the subscription has ended".to_owned();
    let states = [
        State::Claimed { owner, claim_ends_at: now() },
        State::Sent { message_id: MessageId::new("ses-1").unwrap(), sent_at: now() },
        State::Failed { reason: reason.clone() },
        State::Held,
        State::Withdrawn { reason },
    ];
    let world =
        world_with(states.into_iter().enumerate().map(|(n, state)| Receipt { state, ..notice(n, 0) }));
    assert_eq!(sweep(&world).run().await, Ok(Swept { queued: 0, more: false }));
    assert_eq!(queued(&world), []);
}

#[tokio::test]
async fn a_run_that_leaves_some_of_a_day_says_so_and_the_next_one_goes_on() {
    let world = world_with((0..MOST_DUE + 3).map(|n| notice(n, -24)).chain([notice(9_999, 0)]));
    assert_eq!(sweep(&world).run().await, Ok(Swept { queued: MOST_DUE + 1, more: true }));
    for id in queued(&world) {
        send(&world, &id);
    }
    assert_eq!(sweep(&world).run().await, Ok(Swept { queued: 3, more: false }));
}

#[tokio::test]
async fn wherever_a_run_fails_it_says_so_and_the_next_one_has_all_of_it() {
    let notices = || (0..25).map(|n| notice(n, -24 * i64::try_from(n % 3).unwrap()));
    let calls = {
        let world = world_with(notices());
        sweep(&world).run().await.unwrap();
        world.kept().calls.len()
    };
    assert!(calls > 25, "{calls}");
    for n in 0..calls {
        let world = world_with(notices());
        world.kept().faults.insert(n, Fault::FailAfter);
        let Err(Setback::Away { .. }) = sweep(&world).run().await else {
            panic!("call {n}: nobody hears of it")
        };
        queued(&world);
        assert_eq!(sweep(&world).run().await, Ok(Swept { queued: 25, more: false }), "call {n}");
        assert_eq!(queued(&world).len(), 25, "call {n}");
    }
}
