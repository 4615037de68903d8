use super::*;
use crate::sale::amounts::OrderFunds;
use proptest::prelude::*;

#[test]
fn shares_follow_the_totals_and_the_largest_remainder() {
    for (totals, paid, expected) in [
        (&[10_000][..], 4000, &[4000][..]),
        (&[5169, 1825], 4000, &[2956, 1044]),
        (&[100, 100, 100], 100, &[34, 33, 33]),
        (&[1, 1], 1, &[1, 0]),
        (&[2499], 2498, &[2498]),
        (&[0, 0], 0, &[0, 0]),
        (&[500, 0], 0, &[0, 0]),
        // What belongs to no line is in no share.
        (&[5000], 5499, &[5000]),
        (&[], 500, &[]),
        (
            &[i64::MAX, i64::MAX],
            i64::MAX,
            &[i64::MAX / 2 + 1, i64::MAX / 2],
        ),
    ] {
        assert_eq!(shares(totals, paid), expected, "{totals:?} {paid}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]
    #[test]
    fn no_share_exceeds_its_total_and_the_shares_add_up(
        totals in prop::collection::vec(0_i64..100_000, 0..8),
        paid in 0_i64..300_000,
    ) {
        let shares = shares(&totals, paid);
        let sum: i64 = totals.iter().sum();
        prop_assert_eq!(shares.iter().sum::<i64>(), sum.min(paid));
        for (share, total) in shares.iter().zip(&totals) {
            prop_assert!((0..=*total).contains(share));
        }
    }
}

fn any_totals() -> impl Strategy<Value = Totals> {
    let cents = || -500_i64..20_000;
    // What a part states may be wrong: the column still adds up.
    (
        cents(),
        0_i64..9000,
        cents(),
        cents(),
        cents(),
        cents(),
        any::<bool>(),
    )
        .prop_map(|(subtotal, discount, tax, shipping, fees, odd, is_exact)| {
            let exact = subtotal - discount + tax + shipping + fees;
            Totals {
                subtotal,
                discount,
                tax,
                shipping,
                fees,
                total: if is_exact { exact } else { odd },
            }
        })
}

fn sum(column: &Column) -> i64 {
    let Totals {
        subtotal,
        discount,
        tax,
        shipping,
        fees,
        ..
    } = column.parts;
    let tax = if column.tax_included { 0 } else { tax };
    subtotal - discount + tax + shipping + fees + column.adjustment
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]
    /// Over any cart: each line's column, the order's column, and the columns of items and of records add up.
    #[test]
    fn every_column_adds_up(
        lines in prop::collection::vec((any_totals(), any::<bool>()), 0..6),
        totals in any_totals(),
        tax_included in any::<bool>(),
        given_up in (0_i64..5000, 0_i64..50, 0_i64..5000, 0_i64..100),
    ) {
        let (released, waived, open, extra) = given_up;
        let ordered = totals.total.max(released + waived + open);
        let due = ordered - released - waived;
        // Nothing is given up of an order that is paid more than in full.
        let extra = if released + waived + open == 0 { extra } else { 0 };
        let amounts = Amounts {
            ordered,
            due,
            received: due - open + extra,
            released,
            waived,
            refunded: 0,
            disputed: 0,
            funds: OrderFunds::Received,
        };
        let columns = Columns::of(&lines, totals, tax_included, &amounts);
        for column in columns.lines.iter().chain([&columns.order]) {
            prop_assert_eq!(sum(column), column.parts.total);
        }
        let items: i64 = columns.lines.iter().map(|line| line.parts.total).sum();
        prop_assert_eq!(items + columns.unassigned, columns.paid);
        prop_assert_eq!(columns.eligible + columns.other, columns.paid);
        prop_assert!(columns.eligible >= 0 && columns.other >= 0 && columns.unassigned >= 0);
        let ends = columns.order.parts.total - columns.released - columns.waived - columns.open;
        prop_assert_eq!(ends, columns.paid);
        if lines.iter().all(|(_, is_eligible)| !is_eligible) {
            prop_assert_eq!(columns.eligible, 0);
        }
    }
}
