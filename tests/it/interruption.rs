//! Failed or stopped at any call, and run again, a story ends as it would have ended undisturbed.
//!
//! One exception, which no program can avoid, since SES takes no idempotency key: where it cannot be known whether
//! a mail went out, the policy decides, and under one policy the customer may get two, under the other none.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "what surprises the helpers must stop the test"
)]

use domain::{
    job::{FulfillmentJob, ReceiptJob},
    receipt::OnUnknown,
};
use kit::{
    drive::Bundle,
    fakes::{Fault, Kept, Message, World},
    story::{Delivery, End, ON_HAND, checkout, open_shop, purchase, sku},
};
use proptest::prelude::*;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use tokio::runtime::Runtime;

const FAULTS: [Fault; 4] = [Fault::FailBefore, Fault::FailAfter, Fault::StopBefore, Fault::StopAfter];
const POLICIES: [OnUnknown; 2] = [OnUnknown::Resend, OnUnknown::Hold];

/// The calls of [`Story::OneDelivery`], undisturbed.
const CALLS: [&str; 14] = [
    "events.record",
    "fulfillment_queue.send",
    "events.event",
    "orders.order",
    "checkouts.checkout",
    "ledger.shelves",
    "ledger.commit",
    "receipt_queue.send",
    "events.settle",
    "receipts.receipt",
    "orders.order",
    "receipts.claim",
    "mailer.send",
    "receipts.mark",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Story {
    /// A checkout, one delivery.
    OneDelivery,
    /// The same for a cart of 120 things, some of which are not on the shelf.
    LongCart,
    /// A checkout; the delivery a second time; the news under a fresh event id. Each is worked off before the next.
    OneAfterTheOther,
    /// The same three, and only then does the work begin.
    AllFirst,
}

impl Story {
    /// Tells it. `working` says whether work goes on between two tries of the sender.
    async fn tell(self, bundle: &Bundle, working: bool) {
        let mut paid = purchase(1);
        if self == Self::LongCart {
            for n in 0..118 {
                let mut line = paid.line_items[0].clone();
                line["line_item_id"] = json!(format!("fli_{n}"));
                line["price"]["product"]["client_reference_id"] = json!(format!("THING-{n}"));
                paid.line_items.as_array_mut().expect("lines").push(line);
                bundle.world.kept().counters.insert(sku(&format!("THING-{n}")), n % 4);
            }
        }
        bundle.provider_has(&checkout(&paid));
        let (first, twin) = (Delivery::of(&paid, "fevt_1"), Delivery::of(&paid, "fevt_2"));
        match self {
            Self::OneDelivery | Self::LongCart => bundle.deliver(&first, working).await,
            Self::OneAfterTheOther => {
                for delivery in [&first, &first, &twin] {
                    bundle.deliver(delivery, working).await;
                    bundle.drain().await;
                }
            }
            Self::AllFirst => {
                for delivery in [&first, &first, &twin] {
                    bundle.deliver(delivery, working).await;
                }
            }
        }
        bundle.drain().await;
    }

    /// The end of it, and the calls that it took, when these faults strike.
    fn end(self, stage: &Stage, working: bool, faults: &Faults) -> (End, Vec<Struck>) {
        stage.bundle.begin_again();
        stage.bundle.world.kept().faults.clone_from(faults);
        stage.runtime.block_on(self.tell(&stage.bundle, working));
        let kept = stage.bundle.world.kept();
        (End::of(&kept), struck(&kept, faults))
    }
}

type Faults = BTreeMap<usize, Fault>;

/// A bundle and a runtime, for many stories one after the other.
struct Stage {
    bundle: Bundle,
    policy: OnUnknown,
    runtime: Runtime,
}

impl Stage {
    fn with(policy: OnUnknown) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        Self { bundle: open_shop(policy), policy, runtime }
    }
}

/// A fault that struck.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Struck {
    /// At which call.
    at: usize,
    call: &'static str,
    fault: Fault,
    /// Whether the call was the first after the mail was handed over.
    after_sending: bool,
}

fn struck(kept: &Kept, faults: &Faults) -> Vec<Struck> {
    let struck = faults.iter().filter(|(at, _)| !kept.faults.contains_key(at));
    let describe = |(&at, &fault): (&usize, &Fault)| Struck {
        at,
        call: kept.calls[at],
        fault,
        after_sending: at > 0 && kept.calls[at - 1] == "mailer.send",
    };
    struck.map(describe).collect()
}

impl Struck {
    fn had_effect(self) -> bool {
        matches!(self.fault, Fault::FailAfter | Fault::StopAfter)
    }

    /// A mail is out and nothing says so.
    fn lost_a_sent_mail(self) -> bool {
        (self.call == "mailer.send" && self.had_effect())
            || (self.call == "receipts.mark" && self.after_sending && !self.had_effect())
    }

    /// A claim stands as if a mail might be out, and none is.
    fn lost_an_unsent_mail(self) -> bool {
        (self.call == "mailer.send" && !self.had_effect())
            || (self.call == "receipts.claim" && self.had_effect())
    }
}

/// The end that these faults may lead to: the undisturbed one, but for mails whose fate they made unknown.
fn expected(undisturbed: &End, policy: OnUnknown, struck: &[Struck]) -> End {
    let mut end = undisturbed.clone();
    let lost_sent = struck.iter().filter(|fault| fault.lost_a_sent_mail()).count();
    let lost_unsent = struck.iter().any(|fault| fault.lost_an_unsent_mail());
    let receipt_id = undisturbed.mails[0].clone();
    match policy {
        // One mail more for each that nobody knows of.
        OnUnknown::Resend => end.mails.extend(vec![receipt_id; lost_sent]),
        OnUnknown::Hold if lost_sent > 0 || lost_unsent => {
            end.receipts.insert(receipt_id, "held");
            if lost_sent == 0 {
                end.mails.clear();
            }
        }
        OnUnknown::Hold => {}
    }
    end
}

/// The faults under which this single-fault story ends otherwise than undisturbed.
fn exceptions(story: Story, policy: OnUnknown) -> Vec<(usize, &'static str, Fault)> {
    let stage = Stage::with(policy);
    let (undisturbed, _) = story.end(&stage, true, &Faults::new());
    let calls = stage.bundle.world.kept().calls.len();
    let mut exceptions = Vec::new();
    for at in 0..calls {
        for fault in FAULTS {
            let (end, struck) = story.end(&stage, true, &Faults::from([(at, fault)]));
            if end != undisturbed {
                exceptions.push((at, struck[0].call, fault));
            }
        }
    }
    exceptions
}

/// Tells a story with every single fault, and with every pair of faults if `pairs`.
fn hold_to_its_end(story: Story, policy: OnUnknown, pairs: bool) {
    let stage = Stage::with(policy);
    for working in [true, false] {
        let (undisturbed, _) = story.end(&stage, working, &Faults::new());
        assert_eq!(undisturbed.mails.len(), 1, "{story:?}");
        assert_eq!((undisturbed.queued, undisturbed.dead_letters.len()), (0, 0), "{story:?}");
        let calls = stage.bundle.world.kept().calls.len();
        for at in 0..calls {
            for fault in FAULTS {
                let one = Faults::from([(at, fault)]);
                hold(&stage, story, working, &undisturbed, &one);
                if pairs {
                    let second =
                        |more: usize| FAULTS.map(|second| Faults::from([(at, fault), (at + more, second)]));
                    // Until the second fault comes too late to strike.
                    let _ = (1..).find(|more| {
                        second(*more).iter().any(|two| hold(&stage, story, working, &undisturbed, two) < 2)
                    });
                }
            }
        }
    }
}

/// How many of the faults struck.
fn hold(stage: &Stage, story: Story, working: bool, undisturbed: &End, faults: &Faults) -> usize {
    let (end, struck) = story.end(stage, working, faults);
    let expected = expected(undisturbed, stage.policy, &struck);
    assert_eq!(end, expected, "{story:?} (working: {working}, {:?}) with {struck:#?}", stage.policy);
    struck.len()
}

#[test]
fn the_undisturbed_story_makes_these_calls() {
    let stage = Stage::with(OnUnknown::Resend);
    let _ = Story::OneDelivery.end(&stage, true, &Faults::new());
    assert_eq!(stage.bundle.world.kept().calls, CALLS);
}

#[test]
fn only_a_mail_that_is_out_and_unmarked_is_sent_twice() {
    assert_eq!(
        exceptions(Story::OneDelivery, OnUnknown::Resend),
        [
            (12, "mailer.send", Fault::FailAfter),
            (12, "mailer.send", Fault::StopAfter),
            (13, "receipts.mark", Fault::FailBefore),
            (13, "receipts.mark", Fault::StopBefore),
        ]
    );
}

#[test]
fn only_a_mail_whose_fate_is_unknown_is_held() {
    assert_eq!(
        exceptions(Story::OneDelivery, OnUnknown::Hold),
        [
            // Not sent, but nobody is left to say so.
            (11, "receipts.claim", Fault::StopAfter),
            (12, "mailer.send", Fault::FailBefore),
            (12, "mailer.send", Fault::FailAfter),
            (12, "mailer.send", Fault::StopBefore),
            (12, "mailer.send", Fault::StopAfter),
            (13, "receipts.mark", Fault::FailBefore),
            (13, "receipts.mark", Fault::StopBefore),
        ]
    );
}

#[test]
fn any_one_interruption_changes_no_end() {
    for policy in POLICIES {
        for story in [Story::OneDelivery, Story::LongCart, Story::OneAfterTheOther, Story::AllFirst] {
            hold_to_its_end(story, policy, false);
        }
    }
}

#[test]
fn any_two_interruptions_change_no_end() {
    for policy in POLICIES {
        hold_to_its_end(Story::OneDelivery, policy, true);
    }
}

#[test]
fn any_two_interruptions_of_a_repeated_story_change_no_end() {
    hold_to_its_end(Story::OneAfterTheOther, OnUnknown::Resend, true);
}

#[test]
fn any_two_interruptions_of_a_crowded_story_change_no_end() {
    hold_to_its_end(Story::AllFirst, OnUnknown::Resend, true);
}

/// What happens next in a random story.
#[derive(Debug, Clone, Copy)]
enum Next {
    /// The sender delivers the news of this checkout, as this event.
    Deliver { checkout: u64, event: u64 },
    /// The queues are worked off.
    Work,
}

fn next() -> impl Strategy<Value = Next> {
    prop_oneof![
        3 => (0..3_u64, 0..2_u64).prop_map(|(checkout, event)| Next::Deliver { checkout, event }),
        1 => Just(Next::Work),
    ]
}

fn faults() -> impl Strategy<Value = Faults> {
    prop::collection::btree_map(0..120_usize, prop::sample::select(FAULTS.to_vec()), 0..6)
}

fn delivery(checkout: u64, event: u64) -> Delivery {
    Delivery::of(&purchase(checkout), &format!("fevt_{checkout}_{event}"))
}

/// Works everything off, many at a time unless the process may yet stop.
async fn work(bundle: &Bundle) {
    let may_stop = bundle
        .world
        .kept()
        .faults
        .values()
        .any(|fault| matches!(fault, Fault::StopBefore | Fault::StopAfter));
    if may_stop { bundle.drain().await } else { bundle.drain_at_once().await }
}

/// An operator redrives what the queues gave up on.
fn redrive(world: &World) {
    let mut kept = world.kept();
    let now = jiff::Timestamp::UNIX_EPOCH;
    let pending: Vec<_> = kept
        .events
        .values()
        .filter(|event| event.state.is_pending())
        .map(|event| event.event_id.clone())
        .collect();
    for event_id in pending {
        let job = FulfillmentJob::V1 { event_id };
        kept.fulfillment_queue.push_back(Message { job, receives: 0, visible_at: now });
    }
    let owed: Vec<_> =
        kept.receipts.values().filter(|row| row.is_owed()).map(|row| row.receipt_id.clone()).collect();
    for receipt_id in owed {
        let job = ReceiptJob::V1 { receipt_id };
        kept.receipt_queue.push_back(Message { job, receives: 0, visible_at: now });
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Three checkouts, five braces for six sold, each told as up to two events, in any order and any number of
    /// times, with up to five interruptions anywhere.
    #[test]
    fn however_it_is_told_and_interrupted_each_checkout_counts_once(
        story in prop::collection::vec(next(), 1..12),
        faults in faults(),
        policy in prop::sample::select(POLICIES.to_vec()),
    ) {
        const BRACES: i64 = 5;
        let stage = Stage::with(policy);
        let (bundle, world) = (&stage.bundle, &stage.bundle.world);
        world.kept().counters.insert(sku("BRACE-M"), BRACES);
        world.kept().faults.clone_from(&faults);
        for n in 0..3 {
            bundle.provider_has(&checkout(&purchase(n)));
        }
        let again = stage.runtime.block_on(async {
            for next in &story {
                match *next {
                    Next::Deliver { checkout, event } => bundle.deliver(&delivery(checkout, event), false).await,
                    Next::Work => work(bundle).await,
                }
            }
            work(bundle).await;
            world.kept().faults.clear();
            redrive(world);
            work(bundle).await;
            // I6: running anything again changes nothing.
            let end = End::of(&world.kept());
            for next in &story {
                if let Next::Deliver { checkout, event } = *next {
                    bundle.deliver(&delivery(checkout, event), false).await;
                }
            }
            redrive(world);
            work(bundle).await;
            (end, End::of(&world.kept()))
        });
        prop_assert_eq!(&again.0, &again.1);

        let kept = world.kept();
        let told: BTreeSet<String> = story.iter().filter_map(|next| match next {
            Next::Deliver { checkout, .. } => Some(purchase(*checkout).order_id().to_owned()),
            Next::Work => None,
        }).collect();
        // I1: every checkout that was told of has its order, and no other; and I2: one receipt each.
        prop_assert_eq!(kept.orders.keys().map(|id| id.as_str().to_owned()).collect::<BTreeSet<_>>(), told);
        prop_assert_eq!(kept.receipts.len(), kept.orders.len());
        prop_assert!(kept.events.values().all(|event| !event.state.is_pending()));
        // I2: what is gone from a shelf is what the movements took, one for each order.
        for (name, stocked) in [("BRACE-M", BRACES), ("TOTE", ON_HAND)] {
            let moved: Vec<_> = kept.movements.values().filter(|moved| moved.sku == sku(name)).collect();
            prop_assert_eq!(moved.len(), kept.orders.len());
            prop_assert_eq!(kept.counters[&sku(name)], stocked - moved.iter().map(|moved| moved.taken).sum::<i64>());
            // I5: never below zero, and what was missing is on record.
            prop_assert!(kept.counters[&sku(name)] >= 0);
            for moved in moved {
                let order = &kept.orders[&moved.order_id];
                let missing: i64 =
                    order.shortfalls.iter().filter(|short| short.sku == moved.sku).map(|short| short.missing).sum();
                prop_assert_eq!(moved.short(), missing);
            }
        }
        // I2: a mail each, but for those whose fate the interruptions made unknown.
        let struck: Vec<_> = faults.iter().filter(|(at, _)| **at < kept.calls.len()).collect();
        for receipt in kept.receipts.values() {
            prop_assert!(!receipt.is_owed());
            let mails = kept.mails.iter().filter(|mail| mail.receipt_id == receipt.receipt_id).count();
            match policy {
                OnUnknown::Resend => prop_assert!((1..=1 + struck.len()).contains(&mails)),
                OnUnknown::Hold => prop_assert!(mails <= 1),
            }
        }
    }
}
