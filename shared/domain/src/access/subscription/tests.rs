use super::*;
use crate::fulfillment::testing::{DAY, SALE, at, bill, id, item, snapshot, stated};

/// The end of the paid period.
const PAID: i64 = SALE + 30 * DAY;
/// The end of the next period.
const NEXT: i64 = PAID + 30 * DAY;
/// The end of a trial.
const TRIAL: i64 = PAID + 14 * DAY;
/// The time when the renewal fails.
const FAILED: i64 = PAID + 1;
const GRACE: SignedDuration = SignedDuration::from_hours(72);
const STATUSES: [&str; 9] = [
    "incomplete",
    "trialing",
    "active",
    "past_due",
    "unpaid",
    "paused",
    "incomplete_expired",
    "canceled",
    "a word of next year",
];

fn new() -> Subscription {
    Subscription::new("flex".parse().unwrap(), id("fcus_1"), id("fsub_1"))
}

fn facts(status: &str) -> SubscriptionFacts {
    let trial_end = (status == "trialing").then(|| at(TRIAL));
    SubscriptionFacts {
        trial_end,
        ..snapshot(status, NEXT)
    }
}

/// A subscription that had this status when its renewal was due.
fn with(status: &str, is_paid: bool, fails: bool) -> Subscription {
    let mut subscription = new();
    subscription.learn(at(PAID), stated(facts(status)));
    if is_paid {
        pays(&mut subscription, "fin_1", SALE, (SALE, PAID));
    }
    if fails {
        fail(&mut subscription, "fin_2", FAILED, (PAID, NEXT));
    }
    subscription
}

fn pays(subscription: &mut Subscription, invoice: &str, second: i64, period: (i64, i64)) {
    let bill = bill(InvoiceEvent::Paid, 4999, period);
    subscription.learn_invoice(at(second), &id(invoice), InvoiceEvent::Paid, bill);
}

fn fail(subscription: &mut Subscription, invoice: &str, second: i64, period: (i64, i64)) {
    let bill = bill(InvoiceEvent::PaymentFailed, 4999, period);
    subscription.learn_invoice(at(second), &id(invoice), InvoiceEvent::PaymentFailed, bill);
}

/// Formats the end of access as a word, with its reason.
fn access(subscription: &Subscription, grace: SignedDuration) -> String {
    let Access { until, reason } = subscription.access(grace);
    let until = match until.map(Timestamp::as_second) {
        None => "never",
        Some(PAID) => "paid",
        Some(NEXT) => "next",
        Some(TRIAL) => "trial",
        Some(second) if second == PAID + GRACE.as_secs() || second == FAILED + GRACE.as_secs() => {
            "graced"
        }
        Some(_) => "?",
    };
    format!("{until}: {}", reason.as_str())
}

/// Paid and failing, in all combinations: `(is_paid, fails)`.
const CASES: [(bool, bool); 4] = [(false, false), (true, false), (false, true), (true, true)];

#[test]
fn each_status_has_its_access_and_its_reason() {
    let table: [(&str, [&str; 4]); 9] = [
        (
            "incomplete",
            [
                "never: not_paid_yet",
                "paid: paid",
                "never: not_paid_yet",
                "graced: grace",
            ],
        ),
        (
            "trialing",
            [
                "trial: trial",
                "trial: trial",
                "trial: trial",
                "trial: trial",
            ],
        ),
        (
            "active",
            [
                "next: paid",
                "next: paid",
                "never: not_paid_yet",
                "graced: grace",
            ],
        ),
        (
            "past_due",
            [
                "graced: grace",
                "graced: grace",
                "graced: grace",
                "graced: grace",
            ],
        ),
        (
            "unpaid",
            [
                "never: payment_failed",
                "paid: payment_failed",
                "never: payment_failed",
                "paid: payment_failed",
            ],
        ),
        (
            "paused",
            [
                "never: paused",
                "paid: paused",
                "never: paused",
                "paid: paused",
            ],
        ),
        (
            "incomplete_expired",
            [
                "never: not_paid_yet",
                "paid: paid",
                "never: not_paid_yet",
                "paid: paid",
            ],
        ),
        (
            "canceled",
            [
                "never: canceled_but_paid",
                "paid: canceled_but_paid",
                "never: canceled_but_paid",
                "paid: canceled_but_paid",
            ],
        ),
        (
            "a word of next year",
            [
                "never: unknown_status",
                "paid: unknown_status",
                "never: unknown_status",
                "paid: unknown_status",
            ],
        ),
    ];
    for (status, expected) in table {
        let found = CASES.map(|(is_paid, fails)| access(&with(status, is_paid, fails), GRACE));
        assert_eq!(found, expected, "{status}");
    }
}

#[test]
fn without_a_grace_a_failed_renewal_leaves_what_is_paid_for() {
    for (status, expected) in [
        (
            "incomplete",
            ["never: not_paid_yet", "paid: payment_failed"],
        ),
        ("active", ["never: not_paid_yet", "paid: payment_failed"]),
        (
            "past_due",
            ["never: payment_failed", "paid: payment_failed"],
        ),
    ] {
        let found =
            [false, true].map(|is_paid| access(&with(status, is_paid, true), SignedDuration::ZERO));
        assert_eq!(found, expected, "{status}");
    }
}

#[test]
fn to_be_canceled_takes_nothing_and_says_so_while_it_is_active() {
    for status in STATUSES {
        for (is_paid, fails) in CASES {
            let before = with(status, is_paid, fails);
            let mut after = before.clone();
            after.snapshot.as_mut().unwrap().value.cancel_at_period_end = true;
            let (before, after) = (before.access(GRACE), after.access(GRACE));
            let says_so = status == "active" && before.reason == Reason::Paid;
            let reason = if says_so {
                Reason::CancelsAtPeriodEnd
            } else {
                before.reason
            };
            assert_eq!(
                after,
                Access { reason, ..before },
                "{status}, {is_paid}, {fails}"
            );
        }
    }
}

#[test]
fn an_end_ends_whatever_was_given() {
    for status in STATUSES {
        for (is_paid, fails) in CASES {
            for ends_at in [SALE + DAY, NEXT + DAY] {
                let mut subscription = with(status, is_paid, fails);
                let before = subscription.access(GRACE).until;
                subscription.ended_at = Some(at(ends_at));
                let until = before.map(|until| until.min(at(ends_at)));
                let expected = Access {
                    until,
                    reason: Reason::Ended,
                };
                assert_eq!(
                    subscription.access(GRACE),
                    expected,
                    "{status}, {is_paid}, {fails}"
                );
            }
        }
    }
}

#[test]
fn a_grace_that_ends_with_what_is_paid_for_is_none() {
    let paid_through = at(PAID);
    let mut subscription = with("past_due", true, false);
    subscription.past_due = Some(PastDue {
        period_end: Some(at(NEXT)),
        since: paid_through - GRACE,
    });
    let expected = Access {
        until: Some(paid_through),
        reason: Reason::PaymentFailed,
    };
    assert_eq!(subscription.access(GRACE), expected);
}

#[test]
fn a_trial_of_which_nothing_is_known_is_one_all_the_same() {
    let mut subscription = new();
    subscription.learn(
        at(SALE),
        stated(SubscriptionFacts {
            trial_end: None,
            period_end: None,
            ..facts("trialing")
        }),
    );
    assert_eq!(
        subscription.access(GRACE),
        Access {
            until: None,
            reason: Reason::Trial
        }
    );
}

#[test]
fn access_ends_with_the_second() {
    let access = with("active", true, false).access(GRACE);
    assert!(access.is_given(at(NEXT - 1)) && !access.is_given(at(NEXT)));
    assert!(!new().access(GRACE).is_given(at(SALE)));
}

#[test]
fn a_late_creation_never_takes_away_what_is_paid_for() {
    let mut subscription = new();
    pays(&mut subscription, "fin_1", SALE + 1, (SALE, PAID));
    subscription.learn(
        at(SALE),
        stated(SubscriptionFacts {
            source: Source::Created,
            ..facts("incomplete")
        }),
    );
    assert_eq!(access(&subscription, GRACE), "paid: paid");
    subscription.learn(at(SALE + 1), stated(facts("active")));
    subscription.learn(
        at(SALE),
        stated(SubscriptionFacts {
            source: Source::Created,
            ..facts("incomplete")
        }),
    );
    assert_eq!(access(&subscription, GRACE), "next: paid");
}

#[test]
fn nothing_is_known_of_a_subscription_at_first() {
    assert_eq!(access(&new(), GRACE), "never: not_paid_yet");
    assert!(new().is_vague());
    assert!(new().current_products().is_empty());
}

#[test]
fn only_the_first_failure_sets_the_clock() {
    let graced = |subscription: &Subscription| subscription.access(GRACE).until;
    let mut subscription = with("active", true, true);
    let first = graced(&subscription);
    fail(&mut subscription, "fin_2", FAILED + 2 * DAY, (PAID, NEXT));
    assert_eq!(graced(&subscription), first);
    // Later changes of the subscription do not move it either.
    subscription.learn(at(FAILED), stated(facts("past_due")));
    subscription.learn(
        at(FAILED + 2 * DAY),
        stated(SubscriptionFacts {
            cancel_at_period_end: true,
            ..facts("past_due")
        }),
    );
    assert_eq!(graced(&subscription), first);
    // A late report of an earlier failure moves the start back.
    fail(&mut subscription, "fin_2", FAILED - 1, (PAID, NEXT));
    assert_eq!(graced(&subscription), Some(at(FAILED - 1) + GRACE));
}

#[test]
fn past_due_sets_the_clock_once_where_no_invoice_tells_of_the_failure() {
    let mut subscription = with("past_due", true, false);
    subscription.learn(
        at(PAID + 2 * DAY),
        stated(SubscriptionFacts {
            cancel_at_period_end: true,
            ..facts("past_due")
        }),
    );
    assert_eq!(subscription.access(GRACE).until, Some(at(PAID) + GRACE));
    // The next period has a separate start, in either order.
    let next = SubscriptionFacts {
        period_end: Some(at(NEXT + 30 * DAY)),
        ..facts("past_due")
    };
    let mut subscription = new();
    pays(&mut subscription, "fin_2", PAID, (PAID, NEXT));
    subscription.learn(at(NEXT), stated(next));
    subscription.learn(at(PAID - 1), stated(facts("past_due")));
    assert_eq!(subscription.access(GRACE).until, Some(at(NEXT) + GRACE));
}

#[test]
fn a_renewal_that_is_paid_after_all_is_paid() {
    let mut subscription = with("past_due", true, true);
    pays(&mut subscription, "fin_2", FAILED + DAY, (PAID, NEXT));
    assert_eq!(access(&subscription, GRACE), "next: paid");
}

#[test]
fn an_active_subscription_has_recovered_though_no_payment_is_told_of() {
    let mut subscription = with("active", true, true);
    subscription.learn(at(FAILED + DAY), stated(facts("active")));
    assert_eq!(access(&subscription, GRACE), "next: paid");
}

#[test]
fn what_pays_for_a_longer_time_pays_for_a_failed_invoice_as_well() {
    let mut subscription = with("incomplete", true, true);
    pays(&mut subscription, "fin_3", FAILED + DAY, (PAID, NEXT));
    assert_eq!(access(&subscription, GRACE), "next: paid");
}

#[test]
fn an_unpaid_invoice_for_a_time_that_is_paid_for_is_no_failure() {
    let mut subscription = new();
    subscription.learn(at(SALE), stated(facts("active")));
    fail(&mut subscription, "fin_1", SALE + 1, (SALE, PAID));
    pays(&mut subscription, "fin_2", SALE + 2, (SALE, NEXT));
    assert_eq!(access(&subscription, GRACE), "next: paid");
}

#[test]
fn what_is_past_due_and_has_been_paid_since_fails_no_more() {
    let mut subscription = new();
    subscription.learn(at(PAID), stated(facts("past_due")));
    pays(&mut subscription, "fin_1", PAID + 10, (SALE, PAID));
    assert_eq!(access(&subscription, GRACE), "paid: paid");
}

#[test]
fn an_older_invoice_shortens_nothing() {
    let mut subscription = new();
    subscription.learn(at(SALE), stated(facts("incomplete")));
    pays(&mut subscription, "fin_2", PAID, (PAID, NEXT));
    pays(&mut subscription, "fin_1", SALE, (SALE, PAID));
    assert_eq!(access(&subscription, GRACE), "next: paid");
}

#[test]
fn a_failed_try_takes_nothing_from_a_paid_invoice() {
    let mut subscription = new();
    fail(&mut subscription, "fin_1", SALE + 5, (SALE, PAID));
    pays(&mut subscription, "fin_1", SALE, (SALE, PAID));
    fail(&mut subscription, "fin_1", SALE + 9, (SALE, PAID));
    let invoice = &subscription.invoices[&id::<InvoiceId>("fin_1")];
    assert_eq!(invoice.bill.value.amount_paid, Some(4999));
    assert_eq!(
        (invoice.paid_at, invoice.failed_at),
        (Some(at(SALE)), Some(at(SALE + 5)))
    );
}

#[test]
fn an_invoice_is_paid_when_that_is_first_told() {
    for times in [[SALE, SALE + 5], [SALE + 5, SALE]] {
        let mut subscription = new();
        for second in times {
            pays(&mut subscription, "fin_1", second, (SALE, PAID));
        }
        assert_eq!(
            subscription.invoices[&id::<InvoiceId>("fin_1")].paid_at,
            Some(at(SALE))
        );
    }
}

#[test]
fn a_trial_ends_by_its_own_date() {
    let trial = SubscriptionFacts {
        period_end: Some(at(NEXT)),
        ..facts("trialing")
    };
    let mut subscription = new();
    subscription.learn(at(SALE), stated(trial));
    assert_eq!(access(&subscription, GRACE), "trial: trial");
    // A payment beyond the trial counts, even before a report that the trial is over.
    pays(&mut subscription, "fin_2", TRIAL, (TRIAL, NEXT));
    assert_eq!(access(&subscription, GRACE), "next: paid");
}

#[test]
fn a_trial_without_an_end_lasts_as_long_as_its_period() {
    let mut subscription = new();
    subscription.learn(
        at(SALE),
        stated(SubscriptionFacts {
            trial_end: None,
            ..facts("trialing")
        }),
    );
    assert_eq!(access(&subscription, GRACE), "next: trial");
}

#[test]
fn a_payment_that_fails_at_the_end_of_a_trial_starts_the_grace() {
    let mut subscription = new();
    subscription.learn(at(SALE), stated(facts("trialing")));
    fail(&mut subscription, "fin_2", TRIAL, (TRIAL, NEXT));
    let graced = Access {
        until: Some(at(TRIAL) + GRACE),
        reason: Reason::Grace,
    };
    assert_eq!(subscription.access(GRACE), graced);
    assert_eq!(
        access(&subscription, SignedDuration::ZERO),
        "trial: payment_failed"
    );
}

#[test]
fn a_trial_that_has_not_begun_gives_nothing() {
    let mut subscription = new();
    subscription.learn(
        at(SALE),
        stated(SubscriptionFacts {
            trial_end: Some(at(TRIAL)),
            ..facts("incomplete")
        }),
    );
    assert_eq!(access(&subscription, GRACE), "never: not_paid_yet");
    fail(&mut subscription, "fin_1", SALE, (SALE, TRIAL));
    assert_eq!(access(&subscription, GRACE), "never: not_paid_yet");
}

#[test]
fn a_status_that_we_do_not_know_neither_gives_nor_takes() {
    for known in ["trialing", "active", "past_due", "paused", "incomplete"] {
        for (is_paid, fails) in CASES {
            let before = with(known, is_paid, fails);
            let mut after = before.clone();
            after.learn(at(FAILED + DAY), stated(facts("a word of next year")));
            assert_eq!(after.access(GRACE), before.access(GRACE), "{known}");
            // Also in the other order.
            let mut after = with("a word of next year", is_paid, fails);
            after.learn(at(PAID), stated(facts(known)));
            assert_eq!(after.access(GRACE), before.access(GRACE), "{known}");
        }
    }
}

#[test]
fn it_ends_for_good() {
    let mut subscription = with("active", true, false);
    subscription.learn(
        at(SALE + DAY),
        stated(SubscriptionFacts {
            source: Source::Deleted,
            ..facts("canceled")
        }),
    );
    let ended = Access {
        until: Some(at(SALE + DAY)),
        reason: Reason::Ended,
    };
    assert_eq!(subscription.access(GRACE), ended);
    subscription.learn(at(SALE + 2 * DAY), stated(facts("active")));
    subscription.learn(
        at(SALE + 3 * DAY),
        stated(SubscriptionFacts {
            source: Source::Deleted,
            ..facts("canceled")
        }),
    );
    pays(&mut subscription, "fin_9", SALE + 4 * DAY, (PAID, NEXT));
    assert_eq!(subscription.access(GRACE), ended);
}

#[test]
fn within_one_second_the_creation_is_older_than_a_change_and_a_change_than_the_end() {
    let sources = [Source::Created, Source::Updated, Source::Deleted];
    for (older, newer) in [(0, 1), (1, 2), (0, 2)] {
        for first in [older, newer] {
            let mut subscription = new();
            let second = older + newer - first;
            for source in [first, second].map(|n| sources[n]) {
                subscription.learn(
                    at(SALE),
                    stated(SubscriptionFacts {
                        source,
                        ..facts("active")
                    }),
                );
            }
            assert_eq!(subscription.snapshot.unwrap().value.source, sources[newer]);
        }
    }
}

#[test]
fn within_one_second_the_status_that_comes_later_in_a_life_is_newer() {
    for pair in STATUSES[..8].windows(2) {
        for statuses in [[pair[0], pair[1]], [pair[1], pair[0]]] {
            let mut subscription = new();
            for status in statuses {
                subscription.learn(at(SALE), stated(facts(status)));
            }
            assert_eq!(
                subscription.snapshot.unwrap().value.status.as_str(),
                pair[1]
            );
        }
    }
}

#[test]
fn every_reason_has_a_word_and_a_sentence_of_its_own() {
    let words: BTreeSet<&str> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
    let sentences: BTreeSet<String> = Reason::ALL.iter().map(Reason::to_string).collect();
    assert_eq!(
        (words.len(), sentences.len()),
        (Reason::ALL.len(), Reason::ALL.len())
    );
    assert!(
        sentences
            .iter()
            .all(|sentence| sentence.starts_with("The ") && sentence.ends_with('.'))
    );
    for reason in Reason::ALL {
        assert_eq!(serde_json::to_value(reason).unwrap(), reason.as_str());
    }
}

#[test]
fn the_provider_is_asked_where_what_is_known_gives_no_date() {
    let vague = |snapshot: SubscriptionFacts| {
        let mut subscription = new();
        subscription.learn(at(SALE), stated(snapshot));
        subscription.is_vague()
    };
    assert!(!vague(facts("active")) && !vague(facts("trialing")) && !vague(facts("incomplete")));
    assert!(vague(SubscriptionFacts {
        period_end: None,
        ..facts("active")
    }));
    assert!(vague(SubscriptionFacts {
        period_end: None,
        trial_end: None,
        ..facts("trialing")
    }));
    assert!(!vague(SubscriptionFacts {
        trial_end: None,
        ..facts("trialing")
    }));
}

#[test]
fn the_provider_is_asked_after_each_payment_where_invoices_bill_the_past() {
    let mut subscription = with("active", true, false);
    assert!(!subscription.is_vague());
    pays(&mut subscription, "fin_2", PAID, (SALE, PAID));
    assert!(subscription.is_vague());
    subscription.learn(
        at(PAID + 1),
        stated(SubscriptionFacts {
            source: Source::Read,
            ..facts("active")
        }),
    );
    assert!(!subscription.is_vague());
    // A read within the second of a payment includes the payment.
    let mut at_once = subscription.clone();
    pays(&mut at_once, "fin_3", PAID + 1, (SALE, PAID + 1));
    assert!(!at_once.is_vague());
    // A read does not cover later payments.
    pays(&mut subscription, "fin_3", NEXT, (PAID, NEXT));
    assert!(subscription.is_vague());
}

#[test]
fn a_payment_or_a_sign_of_life_contradicts_an_end() {
    let ended = || {
        let mut subscription = with("active", true, false);
        subscription.learn(
            at(FAILED),
            stated(SubscriptionFacts {
                source: Source::Deleted,
                ..facts("canceled")
            }),
        );
        subscription
    };
    assert!(!ended().is_contradicted() && !with("active", true, true).is_contradicted());
    let mut with_the_end = ended();
    pays(&mut with_the_end, "fin_9", FAILED, (PAID, NEXT));
    assert!(!with_the_end.is_contradicted(), "the last payment of all");
    let mut paid = ended();
    pays(&mut paid, "fin_2", FAILED, (PAID, NEXT));
    assert!(
        !paid.is_contradicted(),
        "what was paid until the end is no contradiction"
    );
    pays(&mut paid, "fin_3", FAILED + 1, (PAID, NEXT));
    assert!(paid.is_contradicted());
    for (status, contradicts) in [
        ("active", true),
        ("trialing", true),
        ("past_due", false),
        ("canceled", false),
    ] {
        let mut subscription = ended();
        subscription.learn(at(FAILED + 1), stated(facts(status)));
        assert_eq!(subscription.is_contradicted(), contradicts, "{status}");
    }
}

/// The first and the second invoice with their facts.
fn two_invoices() -> [(InvoiceId, Bill); 2] {
    let bill = |period| bill(InvoiceEvent::Paid, 4999, period);
    [
        (id("fin_1"), bill((SALE, PAID))),
        (id("fin_2"), bill((PAID, NEXT))),
    ]
}

/// A subscription with two paid invoices.
fn billed(mut subscription: Subscription, invoices: &[(InvoiceId, Bill); 2]) -> Subscription {
    for ((id, bill), second) in invoices.iter().zip([SALE, PAID]) {
        subscription.learn_invoice(at(second), id, InvoiceEvent::Paid, bill.clone());
    }
    subscription
}

fn beginning(invoice: Option<&str>, payments: &[&str]) -> Beginning {
    Beginning {
        order_id: id("fcs_1"),
        invoice_id: invoice.map(id),
        placed_at: at(SALE),
        payment_intents: payments.iter().map(|name| id(name)).collect(),
    }
}

fn begun(invoice: Option<&str>, payments: &[&str]) -> Subscription {
    let mut subscription = new();
    subscription.learn_beginning(beginning(invoice, payments));
    subscription
}

fn standings(subscription: &Subscription) -> [Standing; 2] {
    ["fin_1", "fin_2"].map(|invoice| subscription.standing(&id(invoice)))
}

const IN_ORDER: [Standing; 2] = [Standing::First, Standing::Renewal];
const SWAPPED: [Standing; 2] = [Standing::Renewal, Standing::First];

#[test]
fn the_first_invoice_is_the_one_that_the_checkout_names() {
    let mut subscription = billed(begun(Some("fin_2"), &[]), &two_invoices());
    subscription.born_with = Some(id("fin_1"));
    assert_eq!(standings(&subscription), SWAPPED);
}

#[test]
fn the_first_invoice_is_else_the_one_that_the_subscription_was_created_with() {
    let mut subscription = billed(begun(None, &[]), &two_invoices());
    let born = SubscriptionFacts {
        source: Source::Created,
        latest_invoice: Some(id("fin_2")),
        ..facts("incomplete")
    };
    subscription.learn(at(SALE), born);
    assert_eq!(standings(&subscription), SWAPPED);
    // A later change names the newest invoice, which does not matter here.
    subscription.learn(
        at(NEXT),
        stated(SubscriptionFacts {
            latest_invoice: Some(id("fin_3")),
            ..facts("active")
        }),
    );
    assert_eq!(standings(&subscription), SWAPPED);
}

#[test]
fn the_first_invoice_is_else_the_one_that_the_orders_payment_paid() {
    let mut invoices = two_invoices();
    invoices[1].1.payment_intent_id = Some(id("fpi_2"));
    invoices[0].1.period_start = None;
    let subscription = billed(begun(None, &["fpi_1", "fpi_2"]), &invoices);
    assert_eq!(standings(&subscription), SWAPPED);
}

#[test]
fn the_first_invoice_is_else_the_one_whose_time_begins_with_the_order() {
    let subscription = billed(begun(None, &["fpi_1"]), &two_invoices());
    assert_eq!(standings(&subscription), IN_ORDER);
}

#[test]
fn an_invoice_for_a_time_that_has_passed_is_never_the_first() {
    let past = [(SALE, SALE), (SALE, PAID)].map(|period| bill(InvoiceEvent::Paid, 4999, period));
    let [first, second] = past;
    let invoices = [(id("fin_1"), first), (id("fin_2"), second)];
    assert_eq!(standings(&billed(begun(None, &[]), &invoices)), IN_ORDER);
    let alone = [Standing::Undecided, Standing::Renewal];
    assert_eq!(standings(&billed(new(), &invoices)), alone);
}

#[test]
fn without_its_order_an_invoice_long_after_the_creation_is_a_renewal_and_any_other_waits() {
    let undecided = [Standing::Undecided; 2];
    assert_eq!(standings(&billed(new(), &two_invoices())), undecided);
    let mut subscription = billed(new(), &two_invoices());
    subscription.created_at = Some(at(SALE - 60));
    assert_eq!(
        standings(&subscription),
        [Standing::Undecided, Standing::Renewal]
    );
    subscription.learn_beginning(beginning(None, &[]));
    assert_eq!(standings(&subscription), IN_ORDER);
    // The invoice's own creation is better evidence than the start of its period.
    let mut invoices = two_invoices();
    invoices[0].1.created_at = Some(at(PAID));
    let mut subscription = billed(new(), &invoices);
    subscription.created_at = Some(at(SALE - 60));
    assert_eq!(standings(&subscription), [Standing::Renewal; 2]);
}

#[test]
fn a_row_keeps_the_invoices_of_the_latest_periods_and_forgets_no_payment() {
    let most = i64::try_from(MOST_INVOICES).unwrap();
    let mut subscription = new();
    // The latest invoice arrives first; the older ones find no room.
    for n in (0..most + 6).rev() {
        pays(
            &mut subscription,
            &format!("fin_{n}"),
            SALE + n * DAY,
            (SALE + n * DAY, SALE + (n + 1) * DAY),
        );
    }
    assert_eq!(subscription.invoices.len(), MOST_INVOICES);
    assert!(
        !subscription
            .invoices
            .contains_key(&id::<InvoiceId>("fin_5"))
    );
    assert_eq!(subscription.paid_through, Some(at(SALE + (most + 6) * DAY)));
}

#[test]
fn a_change_of_plan_is_remembered_with_what_was_before() {
    let mut subscription = with("active", true, false);
    subscription.learn(
        at(PAID + 1),
        stated(SubscriptionFacts {
            items: vec![item("fprod_pool")],
            ..facts("active")
        }),
    );
    subscription.learn(at(PAID), stated(facts("active")));
    let products = |names: &[&str]| {
        names
            .iter()
            .map(|name| id(name))
            .collect::<BTreeSet<ProductId>>()
    };
    assert_eq!(subscription.current_products(), products(&["fprod_pool"]));
    assert_eq!(
        subscription.products,
        products(&["fprod_gym", "fprod_pool"])
    );
}

#[test]
fn news_that_do_not_say_what_it_is_for_change_nothing_of_that() {
    let mut subscription = with("active", true, false);
    subscription.learn(
        at(PAID + 1),
        stated(SubscriptionFacts {
            items: Vec::new(),
            ..facts("active")
        }),
    );
    assert_eq!(
        subscription.current_products(),
        BTreeSet::from([id("fprod_gym")])
    );
    assert!(!subscription.is_vague());
    let mut nothing = new();
    nothing.learn(
        at(PAID),
        stated(SubscriptionFacts {
            items: Vec::new(),
            ..facts("active")
        }),
    );
    assert!(nothing.is_vague(), "the provider is asked what it is for");
}
