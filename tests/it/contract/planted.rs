//! Bugs that cargo-mutants cannot make: worlds in memory that break one promise of the ports.
//!
//! Each check must pass on the true world and fail on the wrong one. Otherwise it checks nothing, neither here nor on
//! `DynamoDB`, where the same suites hold the adapters to the same promises.

use crate::interruption;
use domain::values::ids::MessageId;
use kit::{
    fakes::{Call, Fate, Turn},
    prelude::*,
};
use std::thread;

/// A promise that a world breaks.
#[derive(Clone, Copy)]
struct Plant {
    bug: &'static str,
    /// The call before which the bug has its effect.
    at: &'static str,
    effect: fn(&mut Kept),
    /// The check that must notice.
    check: fn(&World),
}

impl std::fmt::Debug for Plant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.bug)
    }
}

impl Fate for Plant {
    fn turn(&mut self, call: Call, kept: &mut Kept) -> Turn {
        if call.name == self.at {
            (self.effect)(kept);
        }
        Turn::Goes
    }
}

/// A suite of the contract as a check.
macro_rules! suite {
    ($suite:path) => {
        |world: &World| {
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            runtime
                .enable_time()
                .build()
                .unwrap()
                .block_on($suite(world));
        }
    };
}

const PLANTS: [Plant; 10] = [
    Plant {
        bug: "an event is stored over the one that is there",
        at: "events.record",
        effect: |kept| kept.events.clear(),
        check: suite!(super::of_many_at_once_exactly_one_is_the_first),
    },
    Plant {
        bug: "a deduction is written over the one that is there",
        at: "commits.commit",
        effect: |kept| kept.movements.clear(),
        check: suite!(super::a_movement_is_never_made_twice),
    },
    Plant {
        bug: "goods are deducted that are not on the shelf",
        at: "commits.commit",
        effect: |kept| kept.counters.values_mut().for_each(|count| *count = 1),
        check: suite!(super::the_last_pieces_go_to_whoever_is_first_and_never_below_zero),
    },
    Plant {
        bug: "a row is written over one that has changed since it was read",
        at: "commits.commit",
        effect: |kept| kept.contacts.clear(),
        check: suite!(super::every_kind_of_row_is_guarded_by_its_version),
    },
    Plant {
        bug: "a receipt is owed anew over the one that is there",
        at: "commits.commit",
        effect: |kept| kept.receipts.clear(),
        check: suite!(super::a_receipt_that_is_there_already_refuses_all),
    },
    Plant {
        bug: "a part of a long cart is written for an event that has ended",
        at: "commits.commit",
        effect: |kept| {
            for event in kept.events.values_mut() {
                event.state = EventState::Stored;
            }
        },
        check: suite!(
            super::a_cart_too_big_for_one_transaction_moves_nothing_for_an_event_that_has_ended
        ),
    },
    Plant {
        bug: "a lease passes to whoever marks without one",
        at: "receipts.mark",
        effect: |kept| {
            for receipt in kept.receipts.values_mut() {
                if let ReceiptState::Leased { owner, .. } = &mut receipt.state {
                    *owner = super::owner("b");
                }
            }
        },
        check: suite!(super::only_the_claimant_may_mark),
    },
    Plant {
        bug: "a row that one sweep has taken is free for the next",
        at: "backlog.take_event",
        effect: |kept| kept.swept.events.clear(),
        check: suite!(super::of_many_that_sweep_a_row_at_once_one_takes_it),
    },
    Plant {
        bug: "a mail is marked before it is sent",
        at: "mailer.send",
        effect: |kept| {
            for receipt in kept.receipts.values_mut() {
                let message_id = MessageId::new("early").unwrap();
                let sent_at = receipt.created_at;
                receipt.state = ReceiptState::Sent {
                    message_id,
                    sent_at,
                };
            }
        },
        check: interruption::hold_for_one_delivery,
    },
    Plant {
        bug: "a receipt's message is acknowledged and never worked on",
        at: "events.settle",
        effect: |kept| kept.receipt_queue.clear(),
        check: interruption::hold_for_one_delivery,
    },
];

/// Runs a check on a world with this bug, if any.
fn passes(check: fn(&World), fate: Option<Plant>) -> bool {
    let checked = thread::spawn(move || {
        let world = super::memory();
        world.decide_by(fate.map(|plant| Box::new(plant) as Box<dyn Fate>));
        check(&world);
    });
    checked.join().is_ok()
}

#[test]
fn every_check_fails_on_the_wrong_world_and_passes_on_the_true_one() {
    for plant in PLANTS {
        assert!(passes(plant.check, None), "without a bug: {plant:?}");
        assert!(!passes(plant.check, Some(plant)), "not noticed: {plant:?}");
    }
}
