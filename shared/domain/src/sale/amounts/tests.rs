use super::*;
use crate::fulfillment::testing::{SALE, at, id, paid, refund_facts};
use proptest::prelude::*;

/// The statements about an order over 69.94, as owned values.
struct Sale {
    ordered: i64,
    received: Option<i64>,
    capture: Capture,
    closed: Option<Closed>,
    payments: Vec<(&'static str, Option<PaymentFacts>)>,
    refunds: Vec<(&'static str, &'static str, i64)>,
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "beside payments that could not be read"
)]
fn payment(status: &str, amount: i64, received: i64) -> Option<PaymentFacts> {
    Some(PaymentFacts {
        received: Some(received),
        amount: Some(amount),
        ..paid(status, 0).value
    })
}

fn sale(received: Option<i64>, payments: &[Option<PaymentFacts>]) -> Sale {
    Sale {
        ordered: 6994,
        received,
        capture: Capture::Automatic,
        closed: None,
        payments: ["fpi_1", "fpi_2"]
            .into_iter()
            .zip(payments.iter().cloned())
            .collect(),
        refunds: Vec::new(),
    }
}

fn manual(received: Option<i64>, payments: &[Option<PaymentFacts>]) -> Sale {
    Sale {
        capture: Capture::Manual,
        ..sale(received, payments)
    }
}

impl Sale {
    fn amounts(&self) -> Amounts {
        let ids: Vec<PaymentIntentId> = self.payments.iter().map(|(name, _)| id(name)).collect();
        let known = ids.iter().cloned().zip(&self.payments);
        let payments = known
            .filter_map(|(id, (_, facts))| Some((id, Fact::new(at(SALE), facts.clone()?))))
            .collect();
        let refunds: BTreeMap<RefundId, Refund> = self
            .refunds
            .iter()
            .zip(1..)
            .map(|((payment, statuses, amount), n)| {
                let mut facts = statuses
                    .split(", then ")
                    .zip(n * 10..)
                    .map(|(status, at_)| {
                        refund_facts(payment, status, *amount).fact(at(SALE + at_))
                    });
                let mut refund = Refund::new(facts.next().unwrap());
                facts.for_each(|facts| refund.merge(facts));
                (id(&format!("fre_{n}")), refund)
            })
            .collect();
        Statements {
            ordered: self.ordered,
            received: self.received,
            is_unpaid: false,
            capture: self.capture,
            closed: self.closed,
            least_charge: 50,
            payment_intents: &ids,
            payments: &payments,
            refunds: refunds.iter().collect(),
            disputes: &BTreeMap::new(),
        }
        .amounts()
    }
}

#[test]
fn an_order_is_paid_if_what_is_due_is_received() {
    use OrderFunds::{Authorized, Canceled, Expired, Failed, Part, Processing, Received};
    let held = || payment("requires_capture", 6994, 0);
    let all = || payment("succeeded", 6994, 6994);
    let table = [
        // due, received, released, waived
        (
            "paid",
            sale(Some(6994), &[all()]),
            (6994, 6994, 0, 0),
            Received,
        ),
        (
            "the API lags behind the payment",
            sale(Some(0), &[all()]),
            (6994, 6994, 0, 0),
            Received,
        ),
        (
            "nothing is stated",
            sale(None, &[None]),
            (6994, 6994, 0, 0),
            Received,
        ),
        (
            "nothing is stated of a hold",
            manual(None, &[None]),
            (6994, 0, 0, 0),
            Authorized,
        ),
        (
            "nothing was received, as stated",
            sale(Some(0), &[None]),
            (6994, 0, 0, 0),
            Processing,
        ),
        (
            "a hold",
            manual(Some(0), &[held()]),
            (6994, 0, 0, 0),
            Authorized,
        ),
        (
            "delayed",
            sale(Some(0), &[payment("processing", 6994, 0)]),
            (6994, 0, 0, 0),
            Processing,
        ),
        (
            "a new word",
            sale(Some(0), &[payment("?", 6994, 0)]),
            (6994, 0, 0, 0),
            Processing,
        ),
        (
            "declined",
            sale(Some(0), &[payment("requires_payment_method", 6994, 0)]),
            (6994, 0, 0, 0),
            Failed,
        ),
        (
            "given up",
            sale(Some(0), &[payment("canceled", 6994, 0)]),
            (6994, 0, 0, 0),
            Failed,
        ),
        (
            "a voided authorization",
            manual(Some(0), &[payment("canceled", 6994, 0)]),
            (0, 0, 6994, 0),
            Expired,
        ),
        (
            "the sale expired",
            Sale {
                closed: Some(Closed::Expired),
                ..manual(Some(0), &[held()])
            },
            (6994, 0, 0, 0),
            Expired,
        ),
        (
            "the sale was canceled with money in it",
            Sale {
                closed: Some(Closed::Canceled),
                ..sale(Some(0), &[payment("succeeded", 40, 40)])
            },
            (6994, 40, 0, 0),
            Part,
        ),
        (
            "the sale was canceled",
            Sale {
                closed: Some(Closed::Canceled),
                ..sale(None, &[])
            },
            (6994, 0, 0, 0),
            Canceled,
        ),
        // Partial captures: a final one reduces what is due, an unfinished one does not.
        (
            "a final partial capture",
            manual(Some(4000), &[payment("succeeded", 6994, 4000)]),
            (4000, 4000, 2994, 0),
            Received,
        ),
        (
            "captured in part, the rest voided",
            manual(Some(4000), &[payment("canceled", 6994, 4000)]),
            (4000, 4000, 2994, 0),
            Received,
        ),
        (
            "the first of several captures",
            manual(Some(5169), &[payment("requires_capture", 6994, 5169)]),
            (6994, 5169, 0, 0),
            Part,
        ),
        (
            "a part, and no word of its payment",
            manual(Some(4000), &[None]),
            (6994, 4000, 0, 0),
            Part,
        ),
        // Split carts.
        (
            "both cards",
            sale(
                Some(6994),
                &[
                    payment("succeeded", 5169, 5169),
                    payment("succeeded", 1825, 1825),
                ],
            ),
            (6994, 6994, 0, 0),
            Received,
        ),
        (
            "one card is unfinished",
            sale(
                Some(5169),
                &[
                    payment("succeeded", 5169, 5169),
                    payment("requires_payment_method", 1825, 0),
                ],
            ),
            (6994, 5169, 0, 0),
            Part,
        ),
        (
            "one card could not be read",
            sale(Some(0), &[payment("succeeded", 5169, 5169), None]),
            (6994, 5169, 0, 0),
            Part,
        ),
        (
            "one card was released",
            sale(
                Some(5169),
                &[
                    payment("succeeded", 5169, 5169),
                    payment("canceled", 1825, 0),
                ],
            ),
            (5169, 5169, 1825, 0),
            Received,
        ),
        (
            "an earlier try was given up",
            sale(Some(6994), &[payment("canceled", 6994, 0), all()]),
            (6994, 6994, 0, 0),
            Received,
        ),
        // Amounts that no payment explains.
        (
            "less than was asked for",
            sale(Some(4000), &[payment("succeeded", 4000, 4000)]),
            (6994, 4000, 0, 0),
            Part,
        ),
        (
            "a rest below the least charge",
            sale(Some(6964), &[payment("succeeded", 6964, 6964)]),
            (6964, 6964, 0, 30),
            Received,
        ),
        (
            "below the least charge",
            Sale {
                ordered: 30,
                ..sale(Some(0), &[])
            },
            (0, 0, 0, 30),
            Received,
        ),
        (
            "the same, unstated",
            Sale {
                ordered: 30,
                ..sale(None, &[])
            },
            (0, 0, 0, 30),
            Received,
        ),
        (
            "the least charge",
            Sale {
                ordered: 50,
                ..sale(Some(0), &[])
            },
            (50, 0, 0, 0),
            Processing,
        ),
        (
            "free",
            Sale {
                ordered: 0,
                ..sale(Some(0), &[])
            },
            (0, 0, 0, 0),
            Received,
        ),
        (
            "free and unstated",
            Sale {
                ordered: 0,
                ..manual(None, &[])
            },
            (0, 0, 0, 0),
            Received,
        ),
    ];
    for (name, sale, expected, funds) in table {
        let amounts = sale.amounts();
        let (due, received) = (amounts.due, amounts.received);
        let found = (due, received, amounts.released, amounts.waived);
        assert_eq!((found, amounts.funds), (expected, funds), "{name}");
    }
}

#[test]
fn a_payment_that_succeeded_without_an_amount_is_received() {
    let silent = PaymentFacts {
        received: None,
        amount: None,
        ..payment("succeeded", 0, 0).unwrap()
    };
    let amounts = manual(Some(0), &[Some(silent)]).amounts();
    assert_eq!(
        (amounts.received, amounts.funds),
        (6994, OrderFunds::Received)
    );
}

#[test]
fn a_refund_that_only_releases_an_authorization_is_none() {
    let refunded = |sale: Sale, refunds: &[(&'static str, &'static str, i64)]| {
        Sale {
            refunds: refunds.to_vec(),
            ..sale
        }
        .amounts()
        .refunded
    };
    let void = || manual(Some(0), &[payment("canceled", 6994, 0)]);
    let part = || manual(Some(4000), &[payment("succeeded", 6994, 4000)]);
    let all = || sale(Some(6994), &[payment("succeeded", 6994, 6994)]);
    let of_first = |amount| ("fpi_1", "succeeded", amount);
    assert_eq!(refunded(void(), &[of_first(6994)]), 0);
    assert_eq!(refunded(void(), &[of_first(5000), of_first(1994)]), 0);
    // The rest that was never captured, then a real refund.
    assert_eq!(refunded(part(), &[of_first(2994)]), 0);
    assert_eq!(refunded(part(), &[of_first(2994), of_first(1500)]), 1500);
    assert_eq!(refunded(part(), &[of_first(1500)]), 1500);
    // The whole order at once: no more goes back than was taken.
    assert_eq!(refunded(part(), &[of_first(6994)]), 4000);
    assert_eq!(refunded(part(), &[of_first(3000), of_first(3994)]), 4000);
    assert_eq!(refunded(all(), &[of_first(2994)]), 2994);
    // A refund that failed after all takes no part of the authorization.
    let failed = ("fpi_1", "succeeded, then failed", 3000);
    assert_eq!(refunded(part(), &[failed, of_first(3994)]), 3994);
    assert_eq!(refunded(part(), &[of_first(3994), failed]), 3994);
    assert_eq!(refunded(all(), &[("fpi_1", "pending", 2994)]), 0);
    assert_eq!(refunded(part(), &[("fpi_1", "failed", 1500)]), 0);
}

fn any_payment() -> impl Strategy<Value = Option<PaymentFacts>> {
    let status = prop::sample::select(vec![
        "requires_payment_method",
        "processing",
        "requires_capture",
        "canceled",
        "succeeded",
        "?",
    ]);
    let amount = prop::option::of(0_i64..8000);
    prop::option::of(
        (
            status,
            amount.clone(),
            amount,
            prop::option::of(0_i64..3000),
        )
            .prop_map(|(status, amount, received, capturable)| PaymentFacts {
                received,
                amount,
                capturable,
                ..paid(status, 0).value
            }),
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]
    /// Whatever is stated: the amounts add up, paid means received, and no refund exceeds what was taken.
    #[test]
    fn the_amounts_add_up_whatever_is_stated(
        ordered in 0_i64..8000,
        received in prop::option::of(0_i64..9000),
        is_manual in any::<bool>(),
        payments in prop::collection::vec(any_payment(), 0..3),
        refunds in prop::collection::vec((prop::sample::select(vec!["fpi_1", "fpi_2"]), 0_i64..8000), 0..3),
    ) {
        let refunds = refunds.into_iter().map(|(payment, amount)| (payment, "succeeded", amount)).collect();
        let sale = if is_manual { manual(received, &payments) } else { sale(received, &payments) };
        let amounts = Sale { ordered, refunds, ..sale }.amounts();
        prop_assert_eq!(amounts.due + amounts.released + amounts.waived, ordered, "{:?}", amounts);
        prop_assert!(amounts.due >= 0 && amounts.released >= 0 && amounts.waived >= 0 && amounts.received >= 0);
        prop_assert!(amounts.waived < 50 && amounts.refunded >= 0);
        match amounts.funds {
            OrderFunds::Received => prop_assert!(amounts.received >= amounts.due),
            OrderFunds::Part => prop_assert!(amounts.received > 0 && amounts.open() > 0, "{:?}", amounts),
            _ => prop_assert_eq!(amounts.received, 0, "{:?}", amounts),
        }
    }
}
