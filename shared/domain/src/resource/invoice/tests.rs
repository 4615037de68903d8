use super::*;
use crate::{
    fulfillment::testing::id,
    resource::testing::{invoice, noon},
};

/// An issued invoice of 50 dollars that is due on 10 March.
fn issued() -> InvoiceFacts {
    InvoiceFacts {
        status: Some(InvoiceStatus::Open),
        currency: Some(Currency::USD),
        outstanding: Some(5_000),
        due_at: Some(noon(3, 10)),
        ..InvoiceFacts::default()
    }
}

fn status(word: &str) -> InvoiceFacts {
    InvoiceFacts {
        status: Some(word.into()),
        ..InvoiceFacts::default()
    }
}

/// An attempt of that day of March.
fn attempt(name: &str, day: i8, status: &str, failed: bool) -> InvoiceFacts {
    let attempt = Stated {
        at: Some(noon(3, day)),
        ..Stated::from(Attempt {
            status: status.to_owned(),
            failed,
        })
    };
    InvoiceFacts {
        attempts: BTreeMap::from([(id(name), attempt)]),
        ..InvoiceFacts::default()
    }
}

fn blocked(blocked: bool) -> InvoiceFacts {
    InvoiceFacts {
        blocked: Some(blocked),
        ..InvoiceFacts::default()
    }
}

#[test]
fn only_an_issued_invoice_with_an_outstanding_amount_is_receivable() {
    for (word, is_receivable) in [
        ("draft", false),
        ("open", true),
        ("partially_paid", true),
        ("paid", false),
        ("void", false),
        ("uncollectible", false),
        ("credited", false),
    ] {
        let row = invoice("inv_1", &[issued(), status(word)]);
        assert_eq!(row.is_receivable(), is_receivable, "{word}");
        assert_eq!(row.listed_at(), is_receivable.then_some(noon(3, 10)));
    }
    // A mail that was sent changes nothing, and alone it proves nothing.
    assert!(invoice("inv_1", &[issued(), status("sent")]).is_receivable());
    assert!(!invoice("inv_1", &[status("sent")]).is_receivable());
    let nothing = InvoiceFacts {
        outstanding: Some(0),
        ..issued()
    };
    assert!(!invoice("inv_1", &[nothing]).is_receivable());
}

#[test]
fn an_issued_invoice_without_a_date_or_an_amount_is_still_listed() {
    let row = invoice("inv_1", &[status("open")]);
    assert_eq!((row.is_receivable(), row.is_unclear()), (false, true));
    assert_eq!(row.listed_at(), Some(noon(3, 1)));
    assert!(!invoice("inv_1", &[issued()]).is_unclear());
    assert_eq!(invoice("inv_1", &[status("draft")]).listed_at(), None);
}

#[test]
fn a_customer_is_reminded_from_the_first_failure_or_the_due_date_until_the_end() {
    use Dunning::{Due, None, Suspended};
    let due = |day| Due {
        since: noon(3, day),
    };
    let failed = attempt("invpa_1", 5, "failed", true);
    for (facts, today, dunning) in [
        (vec![], 9, None),
        (vec![], 10, due(10)),
        (vec![failed.clone()], 9, due(5)),
        (vec![failed.clone()], 11, due(5)),
        (
            vec![failed.clone(), attempt("invpa_2", 3, "failed", true)],
            9,
            due(3),
        ),
        (vec![attempt("invpa_1", 5, "canceled", false)], 9, None),
        (vec![attempt("invpa_1", 5, "expired", false)], 9, None),
        // A later success of another attempt leaves an amount outstanding.
        (
            vec![failed.clone(), attempt("invpa_2", 6, "succeeded", false)],
            9,
            due(5),
        ),
        (vec![blocked(true)], 9, None),
        (
            vec![failed.clone(), blocked(true)],
            9,
            Suspended { since: noon(3, 5) },
        ),
        (
            vec![failed.clone(), blocked(true), blocked(false)],
            9,
            due(5),
        ),
        (vec![failed.clone(), status("partially_paid")], 9, due(5)),
        (vec![failed.clone(), status("draft")], 11, None),
        (vec![failed.clone(), status("paid")], 11, None),
        (vec![failed.clone(), status("void")], 11, None),
        (vec![failed.clone(), status("credited")], 11, None),
        (vec![failed, status("uncollectible")], 11, None),
    ] {
        let facts = [vec![issued()], facts].concat();
        let row = invoice("inv_1", &facts);
        assert_eq!(row.dunning(noon(3, today)), dunning, "{facts:?}");
    }
}

#[test]
fn the_greater_version_of_an_invoice_wins_over_a_later_time() {
    let mut row = invoice("inv_1", &[issued(), status("paid")]);
    let late = Stated {
        version: 1,
        at: Some(noon(3, 30)),
        ..Stated::from(issued())
    };
    row.learn(&late, noon(3, 30));
    assert_eq!(row.status.get(), Some(&InvoiceStatus::Paid));
}

#[test]
fn no_fact_changes_the_notice_of_an_invoice() {
    let mut row = invoice("inv_1", &[issued()]);
    row.notice_id = Some(id("inv_1:dunning"));
    row.learn(&Stated::from(status("paid")), noon(3, 30));
    assert_eq!(row.notice_id, Some(id("inv_1:dunning")));
}
