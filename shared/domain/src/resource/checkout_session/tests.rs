use super::*;
use crate::{fulfillment::testing::id, resource::testing::*};

fn facts(status: &str, reason: Option<&str>) -> CheckoutSessionFacts {
    CheckoutSessionFacts {
        status: Some(status.into()),
        reason: reason.map(EndReason::from),
        order_id: Some(id("ord_1")),
        ..CheckoutSessionFacts::default()
    }
}

fn replaced(facts: CheckoutSessionFacts) -> CheckoutSessionFacts {
    CheckoutSessionFacts {
        successor: Some(id("cs_2")),
        ..facts
    }
}

#[test]
fn a_session_ends_as_its_status_reason_and_successor_say() {
    use SessionEnd::*;
    let next = || Superseded(Some(id("cs_2")));
    for (facts, end) in [
        (facts("open", None), Open),
        (facts("paid", Some("payment_succeeded")), Paid),
        (replaced(facts("paid", Some("superseded"))), Paid),
        (
            facts("partially_paid", Some("payment_partially_succeeded")),
            PartlyPaid,
        ),
        (facts("expired", Some("expired")), Abandoned),
        (facts("expired", None), Abandoned),
        (replaced(facts("expired", Some("expired"))), next()),
        (facts("closed", Some("api")), ClosedByMerchant),
        (facts("closed", None), ClosedByMerchant),
        (facts("invalidated", Some("superseded")), Superseded(None)),
        (
            replaced(facts("invalidated", Some("order_mutated"))),
            next(),
        ),
        (facts("invalidated", Some("order_mutated")), Repriced),
        (
            facts("invalidated", Some("invoice_balance_changed")),
            Repriced,
        ),
        (
            replaced(facts("invalidated", Some("invoice_paid_elsewhere"))),
            PaidElsewhere,
        ),
        (facts("invalidated", Some("invoice_voided")), Voided),
        (facts("invalidated", Some("invoice_uncollectible")), Voided),
        (facts("invalidated", None), Unclear),
        (facts("invalidated", Some("new")), Unclear),
        (facts("expired", Some("new")), Unclear),
        (facts("new", None), Unclear),
        (CheckoutSessionFacts::default(), Unclear),
    ] {
        let row = session("cs_1", std::slice::from_ref(&facts));
        assert_eq!(row.end(), end, "{facts:?}");
        assert_eq!(row.is_recoverable(), end == Abandoned, "{facts:?}");
        assert_eq!(row.listed_at(), (end == Abandoned).then_some(noon(3, 1)));
    }
}

#[test]
fn an_end_stays_and_a_payment_wins_over_every_other_end() {
    let (open, paid) = (facts("open", None), facts("paid", None));
    let expired = facts("expired", Some("expired"));
    for (facts, end) in [
        ([expired.clone(), open.clone()], SessionEnd::Abandoned),
        ([paid.clone(), expired.clone()], SessionEnd::Paid),
        ([expired.clone(), paid], SessionEnd::Paid),
        (
            [expired.clone(), facts("partially_paid", None)],
            SessionEnd::Abandoned,
        ),
        (
            [replaced(open), expired],
            SessionEnd::Superseded(Some(id("cs_2"))),
        ),
    ] {
        assert_eq!(session("cs_1", &facts).end(), end, "{facts:?}");
    }
}

#[test]
fn a_session_without_contact_and_order_is_not_recovered() {
    let unknown = CheckoutSessionFacts {
        order_id: None,
        ..facts("expired", None)
    };
    assert!(!session("cs_1", std::slice::from_ref(&unknown)).is_recoverable());
    let contact = CheckoutSessionFacts {
        contact: Some(ContactEmail("ada@example.com".to_owned())),
        ..unknown
    };
    assert!(session("cs_1", &[contact]).is_recoverable());
}

#[test]
fn the_contact_is_hidden_and_forgotten_in_time_or_by_erasure() {
    let facts = CheckoutSessionFacts {
        contact: Some(ContactEmail("ada@example.com".to_owned())),
        contact_until: Some(noon(3, 20)),
        ..facts("expired", None)
    };
    assert!(!format!("{facts:?}").contains("ada"));
    let row = session("cs_1", std::slice::from_ref(&facts));
    assert!(!format!("{row:?}").contains("ada"));
    assert_eq!(row.contact_at(noon(3, 19)), facts.contact.as_ref());
    assert_eq!(row.contact_at(noon(3, 20)), None);

    let mut erased = row.erased();
    assert!(!serde_json::to_string(&erased).unwrap().contains("ada"));
    let stamp = Stamp {
        version: 9,
        at: noon(3, 30),
        rank: 0,
    };
    erased.learn(&facts, stamp);
    assert!(erased.contact.is_unknown());
}
