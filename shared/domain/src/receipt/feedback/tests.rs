use super::*;
use crate::values::note::Action;
use crate::{
    receipt::{OnUnknown, Step, next_step},
    values::ids::{MAX_RECEIPT_ID_LENGTH, OrderId, OwnerToken},
};
use jiff::SignedDuration;
use proptest::{prelude::*, sample::Index};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn mail(n: u8) -> MessageId {
    MessageId::new(format!("ses-{n}")).unwrap()
}

fn receipt(state: ReceiptState) -> Receipt {
    Receipt {
        state,
        ..Receipt::for_order(&OrderId::new("fcs_1").unwrap(), at(0)).unwrap()
    }
}

fn unsent() -> ReceiptState {
    ReceiptState::Unsent { reason: None }
}

fn leased() -> ReceiptState {
    ReceiptState::Leased {
        owner: OwnerToken::new("a").unwrap(),
        lease_ends_at: at(40),
    }
}

fn sent(n: u8, second: i64) -> ReceiptState {
    ReceiptState::Sent {
        message_id: mail(n),
        sent_at: at(second),
    }
}

fn failed(reason: &str) -> ReceiptState {
    ReceiptState::Failed {
        reason: reason.to_owned(),
    }
}

fn withdrawn() -> ReceiptState {
    ReceiptState::Withdrawn {
        reason: "paid since".to_owned(),
    }
}

const KINDS: [ReportKind; 8] = [
    ReportKind::Sent,
    ReportKind::Delivered,
    ReportKind::Bounced { permanent: true },
    ReportKind::Bounced { permanent: false },
    ReportKind::MaybeBounced,
    ReportKind::Suppressed,
    ReportKind::Complained,
    ReportKind::Rejected,
];

/// A report about mail `n`, sent at second `10 * n`.
fn report(n: u8, kind: ReportKind) -> Report {
    let sent_at = at(i64::from(n) * 10);
    Report {
        receipt_id: ReceiptId::new("fcs_1-order").unwrap(),
        message_id: mail(n),
        sent_at,
        kind,
        at: sent_at + SignedDuration::from_millis(2_500),
        address: Some(AddressHash::of("pat@example.com")),
    }
}

/// The receipt after these reports.
fn settled(mut receipt: Receipt, reports: &[Report]) -> Receipt {
    for report in reports {
        if let Some(ReceiptUpdate { mails, state }) = settle(&receipt, report) {
            receipt.mails = mails;
            receipt.state = state.unwrap_or(receipt.state);
        }
    }
    receipt
}

#[test]
fn a_mail_that_is_out_settles_whatever_was_thought_of_it() {
    for state in [
        unsent(),
        leased(),
        ReceiptState::Held,
        failed("no address"),
        withdrawn(),
    ] {
        for kind in [
            ReportKind::Sent,
            ReportKind::Delivered,
            ReportKind::Bounced { permanent: true },
            ReportKind::Complained,
        ] {
            let facts = settled(receipt(state.clone()), &[report(1, kind)]);
            assert_eq!(facts.state, sent(1, 10), "{state:?} {kind:?}");
            for policy in [OnUnknown::Resend, OnUnknown::Hold] {
                // Long after the end of the lease.
                assert_eq!(next_step(&facts, policy, at(100_000)), Step::Done);
            }
        }
    }
}

#[test]
fn a_mail_that_was_refused_is_not_waited_for() {
    for state in [
        unsent(),
        leased(),
        ReceiptState::Held,
        sent(1, 11),
        failed("no address"),
        withdrawn(),
    ] {
        let facts = settled(receipt(state.clone()), &[report(1, ReportKind::Rejected)]);
        assert_eq!(facts.state, failed(REFUSED), "{state:?}");
        assert_eq!(facts.delivery_failure(), Some(DeliveryFailure::Refused));
    }
    // Another mail that was sent takes precedence.
    assert_eq!(
        settled(receipt(sent(2, 20)), &[report(1, ReportKind::Rejected)]).state,
        sent(2, 20)
    );
}

#[test]
fn what_is_sent_stays_sent_and_learns_what_became_of_it() {
    let receipt = settled(receipt(sent(1, 10)), &[report(1, ReportKind::Delivered)]);
    assert_eq!(receipt.state, sent(1, 10));
    assert_eq!(receipt.mails[&mail(1)].delivered_at, Some(at(12)));
    assert_eq!(
        (receipt.delivery_failure(), receipt.had_delivery_failure()),
        (None, false)
    );
    let receipt = settled(
        receipt,
        &[report(1, ReportKind::Bounced { permanent: true })],
    );
    assert_eq!(receipt.state, sent(1, 10));
    assert_eq!(receipt.delivery_failure(), Some(DeliveryFailure::Bounced));
}

#[test]
fn a_report_that_tells_nothing_new_changes_nothing() {
    for kind in KINDS {
        let once = settled(receipt(leased()), &[report(1, kind)]);
        assert_eq!(settle(&once, &report(1, kind)), None, "{kind:?}");
    }
}

#[test]
fn an_answer_while_away_is_no_bounce_of_a_mail_that_arrived() {
    let doubtful = settled(receipt(sent(1, 10)), &[report(1, ReportKind::MaybeBounced)]);
    assert_eq!(doubtful.delivery_failure(), Some(DeliveryFailure::Bounced));
    let away = settled(doubtful, &[report(1, ReportKind::Delivered)]);
    assert_eq!(
        (away.delivery_failure(), away.had_delivery_failure()),
        (None, true)
    );
}

#[test]
fn a_mail_that_came_back_for_a_while_did_not_arrive_whatever_was_told_before() {
    let full = [
        ReportKind::Delivered,
        ReportKind::Bounced { permanent: false },
    ]
    .map(|kind| report(1, kind));
    let full = settled(receipt(sent(1, 10)), &full);
    assert_eq!(
        (full.delivery_failure(), full.had_delivery_failure()),
        (Some(DeliveryFailure::Bounced), true)
    );
}

#[test]
fn the_last_mail_of_which_anything_is_known_says_what_trouble_there_is() {
    let gone = ReportKind::Bounced { permanent: true };
    let mut receipt = settled(receipt(sent(1, 10)), &[report(1, gone)]);
    receipt = receipt.reopened(noted(), at(15));
    receipt.state = sent(2, 20);
    // The outcome of the second mail is still unknown.
    assert_eq!(receipt.delivery_failure(), Some(DeliveryFailure::Bounced));
    let arrived = settled(receipt.clone(), &[report(2, ReportKind::Delivered)]);
    assert_eq!(
        (arrived.delivery_failure(), arrived.had_delivery_failure()),
        (None, true)
    );
    let complained = settled(arrived, &[report(2, ReportKind::Complained)]);
    assert_eq!(
        complained.delivery_failure(),
        Some(DeliveryFailure::Complained)
    );
}

#[test]
fn what_is_told_late_of_an_earlier_mail_stops_no_mail_that_a_person_asked_for() {
    // The mail is sent, or its outcome is unknown; our clock is right, or behind SES's clock.
    for (before, now) in [
        (sent(1, 10), 15),
        (sent(1, 10), 2),
        (ReceiptState::Held, 15),
        (leased(), 15),
    ] {
        let receipt = receipt(before).reopened(noted(), at(now));
        for kind in KINDS {
            let facts = settled(receipt.clone(), &[report(1, kind)]);
            assert_eq!(facts.state, unsent(), "{kind:?}");
            assert_eq!(
                next_step(&facts, OnUnknown::Hold, at(100)),
                Step::Send { again: false }
            );
            // The new mail settles as usual.
            let facts = settled(facts, &[report(2, ReportKind::Sent)]);
            assert_eq!(facts.state, sent(2, 20));
        }
    }
}

fn noted() -> Noted {
    Noted {
        at: at(15),
        by: "pat".to_owned(),
        did: Action::Resent,
        why: "it bounced".to_owned(),
    }
}

#[test]
fn a_mail_that_went_out_before_another_was_asked_for_stays_on_record() {
    let again = receipt(sent(1, 10)).reopened(noted(), at(15));
    assert_eq!(again.mails[&mail(1)].sent_at, Some(at(10)));
    assert_eq!(
        (again.reopened_at, again.notes.last()),
        (Some(at(15)), Some(&noted()))
    );
    assert_eq!((again.version, again.state), (2, unsent()));
}

#[test]
fn a_mail_that_ses_did_not_try_to_deliver_did_not_arrive() {
    let suppressed = settled(
        receipt(leased()),
        &[ReportKind::Sent, ReportKind::Suppressed].map(|kind| report(1, kind)),
    );
    assert_eq!(
        (&suppressed.state, suppressed.delivery_failure()),
        (&sent(1, 10), Some(DeliveryFailure::Bounced))
    );
}

#[test]
fn an_address_is_remembered_for_a_hard_bounce_a_suppression_and_a_complaint_alone() {
    let suppressions: Vec<_> = KINDS
        .map(|kind| report(1, kind).suppression())
        .into_iter()
        .flatten()
        .collect();
    let [bounced, suppressed, complained] = &suppressions[..] else {
        panic!("{suppressions:?}")
    };
    assert_eq!(suppressed, bounced);
    assert_eq!(
        (bounced.bounced_at, bounced.complained_at),
        (Some(at(12)), None)
    );
    assert_eq!(
        (complained.bounced_at, complained.complained_at),
        (None, Some(at(12)))
    );
    assert_eq!(
        bounced.reason(),
        Some("an earlier mail to this address bounced permanently")
    );
    let both = bounced.clone().and(complained);
    assert_eq!(both, complained.clone().and(bounced));
    assert_eq!(
        both.reason(),
        Some("the recipient complained of an earlier mail")
    );
    assert_eq!(
        Report {
            address: None,
            ..report(1, ReportKind::Complained)
        }
        .suppression(),
        None
    );
}

#[test]
fn an_address_that_was_cleared_is_written_to_until_something_happens_after() {
    let address = AddressHash::of("pat@example.com");
    let cleared = Suppression {
        cleared_at: Some(at(100)),
        ..Suppression::of(address)
    };
    assert_eq!(cleared.reason(), None);
    for (kind, reason) in [
        (
            ReportKind::Bounced { permanent: true },
            "an earlier mail to this address bounced permanently",
        ),
        (
            ReportKind::Complained,
            "the recipient complained of an earlier mail",
        ),
    ] {
        let reported = |second| {
            Report {
                at: at(second),
                ..report(1, kind)
            }
            .suppression()
            .unwrap()
        };
        // The old report, late and twice, in any order with the clearing.
        let old = cleared.clone().and(&reported(50)).and(&reported(50));
        assert_eq!(old.reason(), None);
        assert_eq!(reported(50).and(&cleared), old);
        let new = old.and(&reported(101)).and(&reported(50));
        assert_eq!(new.reason(), Some(reason));
    }
}

#[test]
fn an_address_is_the_same_however_it_is_written_and_cannot_be_read_back() {
    let hash = AddressHash::of("Pat@Example.com ");
    assert_eq!(hash, AddressHash::of("pat@example.com"));
    assert_ne!(hash, AddressHash::of("pat@example.org"));
    // `printf %s pat@example.com | sha256sum`, as in OPERATIONS.md.
    assert_eq!(
        hash.as_str(),
        "fe9733fcc96501276776fc927df08a395835461a2c5b12c65ebab3454877e227"
    );
}

#[test]
fn a_row_of_before_is_read_and_one_without_news_is_as_before() {
    let row = serde_json::to_value(receipt(leased())).unwrap();
    assert_eq!(row.get("mails"), None);
    assert_eq!(row.get("reopened_at"), None);
    assert_eq!(
        serde_json::from_value::<Receipt>(row).unwrap(),
        receipt(leased())
    );
    let again = receipt(leased()).reopened(noted(), at(5));
    let row = serde_json::to_value(&again).unwrap();
    assert_eq!(row["reopened_at"], 5);
    assert_eq!(serde_json::from_value::<Receipt>(row).unwrap(), again);
    let facts = settled(receipt(leased()), &KINDS.map(|kind| report(1, kind)));
    let row = serde_json::to_value(&facts).unwrap();
    assert_eq!(serde_json::from_value::<Receipt>(row).unwrap(), facts);
}

fn any_state() -> impl Strategy<Value = ReceiptState> {
    prop::sample::select(vec![
        unsent(),
        leased(),
        sent(1, 10),
        sent(2, 21),
        ReceiptState::Held,
        failed("no address"),
        withdrawn(),
    ])
}

/// True for a valid tag value, by
/// <https://docs.aws.amazon.com/ses/latest/APIReference/API_MessageTag.html>.
fn is_tag_value(text: &str) -> bool {
    (1..=256).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
}

#[test]
fn the_longest_receipt_id_fills_a_tag() {
    let longest = ReceiptId::new("~".repeat(MAX_RECEIPT_ID_LENGTH)).unwrap();
    assert_eq!(tag_value(&longest).len(), 256);
    assert_eq!(tagged_receipt(&tag_value(&longest)), Some(longest));
}

proptest! {
    #[test]
    fn a_tag_holds_every_receipt_id(id in "[!-~]{1,189}") {
        let id = ReceiptId::new(id).unwrap();
        let value = tag_value(&id);
        prop_assert!(is_tag_value(&value), "{value}");
        prop_assert_eq!(tagged_receipt(&value), Some(id));
    }

    #[test]
    fn a_receipt_id_has_one_tag_value(value in "[A-Za-z0-9_-]{1,8}") {
        if let Some(id) = tagged_receipt(&value) {
            prop_assert_eq!(tag_value(&id), value);
        }
    }

    #[test]
    fn reports_in_any_order_and_twice_come_to_one_end(
        state in any_state(),
        reopened_at in prop::option::of(0_i64..40),
        reported in prop::collection::vec((1_u8..4, prop::sample::select(KINDS.to_vec())), 0..10),
        again in prop::collection::vec(any::<Index>(), 0..4),
        shuffled in any::<prop::sample::Selector>(),
    ) {
        let mut start = receipt(state);
        if let Some(reopened_at) = reopened_at {
            start = start.reopened(noted(), at(reopened_at));
        }
        let reports: Vec<_> = reported.into_iter().map(|(n, kind)| report(n, kind)).collect();
        let expected = settled(start.clone(), &reports);
        let mut others = reports.clone();
        if !reports.is_empty() {
            others.extend(again.iter().map(|index| reports[index.index(reports.len())].clone()));
        }
        // A shuffle: repeatedly remove a random element.
        let mut order = Vec::new();
        while !others.is_empty() {
            let places: Vec<usize> = (0..others.len()).collect();
            order.push(others.swap_remove(*shuffled.select(&places)));
        }
        let end = settled(start, &order);
        prop_assert_eq!(end.delivery_failure(), expected.delivery_failure());
        prop_assert_eq!(end, expected);
    }

    #[test]
    fn nothing_is_sent_again_that_is_known_to_be_out(
        state in any_state(),
        reported in prop::collection::vec((1_u8..4, prop::sample::select(KINDS.to_vec())), 0..10),
    ) {
        let reports: Vec<_> = reported.into_iter().map(|(n, kind)| report(n, kind)).collect();
        let end = settled(receipt(state), &reports);
        let is_out = end.mails.values().any(|history| history.out_since().is_some());
        if is_out {
            prop_assert!(matches!(end.state, ReceiptState::Sent { .. }), "{:?}", end.state);
            prop_assert_eq!(next_step(&end, OnUnknown::Resend, at(100_000)), Step::Done);
        }
    }
}

#[test]
fn what_became_of_a_mail_has_a_word_and_is_trouble_or_not() {
    let all = [
        (ReportKind::Sent, "sent", false),
        (ReportKind::Delivered, "delivered", false),
        (
            ReportKind::Bounced { permanent: true },
            "bounced_permanently",
            true,
        ),
        (ReportKind::Bounced { permanent: false }, "bounced", true),
        (ReportKind::MaybeBounced, "maybe_bounced", true),
        (ReportKind::Suppressed, "suppressed", true),
        (ReportKind::Complained, "complained", true),
        (ReportKind::Rejected, "rejected", true),
    ];
    for (kind, word, is_failure) in all {
        assert_eq!((kind.name(), kind.is_failure()), (word, is_failure));
    }
}

#[test]
fn an_address_that_was_cleared_within_the_second_of_its_trouble_is_cleared() {
    let address = AddressHash::of("Pat@Example.com ");
    assert_eq!(
        (address.to_string().len(), address.as_str()),
        (64, &*AddressHash::of("pat@example.com").to_string())
    );
    for suppression in [
        Suppression {
            bounced_at: Some(at(5)),
            ..Suppression::of(address.clone())
        },
        Suppression {
            complained_at: Some(at(5)),
            ..Suppression::of(address.clone())
        },
    ] {
        let reason = |cleared_at| {
            Suppression {
                cleared_at: Some(at(cleared_at)),
                ..suppression.clone()
            }
            .reason()
        };
        assert_eq!(
            (reason(4).is_some(), reason(5), reason(6)),
            (true, None, None),
            "{suppression:?}"
        );
    }
    assert_eq!(Suppression::of(address).reason(), None);
}
