use super::*;
use crate::values::ids::FulfillmentId;
use jiff::SignedDuration;
use proptest::prelude::*;

const POLICIES: [OnUnknown; 2] = [OnUnknown::Resend, OnUnknown::Hold];
const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn receipt(state: ReceiptState) -> Receipt {
    Receipt {
        state,
        ..Receipt::for_order(&OrderId::new("fcs_1").unwrap(), NOW).unwrap()
    }
}

fn leased(lease_ends_in: SignedDuration) -> ReceiptState {
    ReceiptState::Leased {
        owner: OwnerToken::new("a").unwrap(),
        lease_ends_at: NOW + lease_ends_in,
    }
}

fn sent() -> ReceiptState {
    ReceiptState::Sent {
        message_id: MessageId::new("m").unwrap(),
        sent_at: NOW,
    }
}

fn failed() -> ReceiptState {
    ReceiptState::Failed {
        reason: "no address".to_owned(),
    }
}

fn withdrawn() -> ReceiptState {
    ReceiptState::Withdrawn {
        reason: "paid since".to_owned(),
    }
}

#[test]
fn a_receipt_stands_where_its_row_says_and_waits_until_it_is_sent_or_not_wanted() {
    let all = [
        (
            receipt(ReceiptState::Unsent { reason: None }).state,
            "unsent",
            true,
        ),
        (leased(SignedDuration::ZERO), "leased", true),
        (sent(), "sent", false),
        (failed(), "failed", true),
        (ReceiptState::Held, "held", true),
        (withdrawn(), "withdrawn", false),
    ];
    for (state, word, is_waiting) in all {
        let standing = state.status();
        assert_eq!((standing.as_str(), &*standing.to_string()), (word, word));
        assert_eq!(standing.is_waiting(), is_waiting, "{word}");
    }
}

fn kinds() -> [ReceiptKind; 6] {
    let subscription_id = SubscriptionId::new("fsub_1").unwrap();
    let invoice_id = InvoiceId::new("fin_1").unwrap();
    [
        ReceiptKind::Order,
        ReceiptKind::Refund {
            refund_id: RefundId::new("fre_1").unwrap(),
            amount: 500,
            refunded_at: NOW,
        },
        ReceiptKind::PaymentFailed {
            subscription_id: subscription_id.clone(),
            invoice_id,
            amount: Some(4999),
        },
        ReceiptKind::InvoicePaymentFailed {
            invoice_id: InvoiceId::new("inv_1").unwrap(),
            number: Some("2026-7".to_owned()),
            amount: Some(4999),
        },
        ReceiptKind::Shipment {
            fulfillment_id: FulfillmentId::new("ful_1").unwrap(),
        },
        ReceiptKind::TrialEnds {
            subscription_id,
            ends_at: NOW,
        },
    ]
}

fn of_kind(kind: ReceiptKind) -> Receipt {
    Receipt::new(&OrderId::new("fcs_1").unwrap(), kind, None, NOW).unwrap()
}

fn step(state: ReceiptState, policy: OnUnknown) -> Step {
    next_step(&receipt(state), policy, NOW)
}

#[test]
fn a_new_receipt_is_pending_and_has_its_orders_id() {
    let receipt = Receipt::for_order(&OrderId::new("fcs_1").unwrap(), NOW).unwrap();
    assert_eq!(receipt.receipt_id.as_str(), "fcs_1-order");
    assert_eq!((receipt.version, receipt.attempts), (1, 0));
    assert_eq!(receipt.state, ReceiptState::Unsent { reason: None });
}

#[test]
fn a_receipts_id_names_what_it_tells_of_and_its_kind() {
    assert_eq!(
        kinds().map(|kind| of_kind(kind).receipt_id.to_string()),
        [
            "fcs_1-order",
            "fre_1-refund",
            "fin_1-payment_failed",
            "inv_1-payment_failed",
            "ful_1-shipment",
            "fsub_1-trial_ends-0"
        ]
    );
}

#[test]
fn every_receipt_is_read_back_as_it_was_stored() {
    for kind in kinds() {
        for due_at in [None, Some(NOW)] {
            for state in [
                ReceiptState::Unsent { reason: None },
                leased(SignedDuration::ZERO),
                sent(),
                failed(),
                ReceiptState::Held,
                withdrawn(),
            ] {
                let receipt = Receipt {
                    due_at,
                    state,
                    ..of_kind(kind.clone())
                };
                let row = serde_json::to_value(&receipt).unwrap();
                assert_eq!(row["kind"], kind.name());
                assert_eq!(serde_json::from_value::<Receipt>(row).unwrap(), receipt);
            }
        }
    }
}

#[test]
fn a_mail_for_a_later_day_waits_for_it() {
    for (due_in, expected) in [
        (1, Step::NotDue),
        (0, Step::Send { again: false }),
        (-1, Step::Send { again: false }),
    ] {
        let due_at = Some(NOW + SignedDuration::from_secs(due_in));
        for policy in POLICIES {
            let receipt = Receipt {
                due_at,
                ..receipt(ReceiptState::Unsent { reason: None })
            };
            assert_eq!(next_step(&receipt, policy, NOW), expected);
        }
    }
}

#[test]
fn an_announcement_is_too_late_from_its_moment_on() {
    let before = NOW - SignedDuration::from_secs(1);
    assert_eq!(kinds().map(|kind| kind.is_too_late(before)), [false; 6]);
    assert_eq!(
        kinds().map(|kind| kind.is_too_late(NOW)),
        [false, false, false, false, false, true]
    );
}

#[test]
fn an_order_whose_id_leaves_no_room_has_no_receipt() {
    let longest = OrderId::new("f".repeat(crate::values::ids::MAX_ID_LENGTH)).unwrap();
    assert_eq!(
        Receipt::for_order(&longest, NOW),
        Err(BadId::TooLong(crate::values::ids::MAX_RECEIPT_ID_LENGTH))
    );
}

#[test]
fn a_pending_receipt_is_sent_whatever_the_policy() {
    for policy in POLICIES {
        for reason in [None, Some("SES is away".to_owned())] {
            assert_eq!(
                step(ReceiptState::Unsent { reason }, policy),
                Step::Send { again: false }
            );
        }
    }
}

#[test]
fn a_claim_is_waited_for_to_its_end() {
    for policy in POLICIES {
        let wait = |left| step(leased(left), policy);
        assert_eq!(
            wait(SignedDuration::from_secs(38)),
            Step::Wait(Duration::from_secs(38))
        );
        assert_eq!(
            wait(SignedDuration::from_nanos(1)),
            Step::Wait(Duration::from_nanos(1))
        );
    }
}

#[test]
fn from_a_claims_end_on_the_policy_decides() {
    for left in [0, -1, -86_400] {
        let left = SignedDuration::from_secs(left);
        assert_eq!(
            step(leased(left), OnUnknown::Resend),
            Step::Send { again: true }
        );
        assert_eq!(step(leased(left), OnUnknown::Hold), Step::Hold);
    }
}

#[test]
fn what_has_ended_stays_ended() {
    for policy in POLICIES {
        assert_eq!(step(ReceiptState::Held, policy), Step::Hold);
        for state in [sent(), failed(), withdrawn()] {
            assert_eq!(step(state, policy), Step::Done);
        }
    }
}

#[test]
fn a_mail_is_owed_until_its_receipt_has_ended() {
    let unsent = |state| receipt(state).is_unfinished();
    assert!(unsent(ReceiptState::Unsent { reason: None }) && unsent(leased(SignedDuration::ZERO)));
    assert!(
        !unsent(sent()) && !unsent(failed()) && !unsent(ReceiptState::Held) && !unsent(withdrawn())
    );
}

#[test]
fn every_step_reads_as_a_line() {
    let steps = [
        Step::Send { again: false },
        Step::Send { again: true },
        Step::Wait(Duration::from_secs(38)),
        Step::Hold,
        Step::NotDue,
        Step::Done,
    ];
    assert_eq!(
        steps.map(|step| step.to_string()),
        [
            "send",
            "send again: the last mail may have been sent",
            "wait 38 s until the lease of another attempt ends",
            "hold: the last mail may have been sent",
            "not due yet",
            "nothing to do",
        ]
    );
}

proptest! {
    /// `hold` never sends a mail that may have been sent already, and no attempt sends during a
    /// lease of another.
    #[test]
    fn a_claim_is_never_overrun(ends in -100_000_i64..100_000, now in -100_000_i64..100_000) {
        let at = |second| Timestamp::from_second(second).unwrap();
        let state = ReceiptState::Leased { owner: OwnerToken::new("a").unwrap(), lease_ends_at: at(ends) };
        for policy in POLICIES {
            let step = next_step(&receipt(state.clone()), policy, at(now));
            match (now < ends, policy) {
                (true, _) => {
                    prop_assert_eq!(step, Step::Wait(Duration::from_secs(now.abs_diff(ends))));
                }
                (false, OnUnknown::Resend) => prop_assert_eq!(step, Step::Send { again: true }),
                (false, OnUnknown::Hold) => prop_assert_eq!(step, Step::Hold),
            }
        }
    }
}
