//! The columns of a receipt. Each adds up to the amount paid.
//!
//! Lines are the provider's; a discount, store credit or partial capture may belong to the order alone. The rule:
//!
//! - If the lines cost more than was paid, the amount paid is spread over them in proportion to their totals. Each
//!   share is rounded down, and the missing minor units go to the largest remainders, the earlier line first.
//! - If they cost less, each line keeps its total. The rest, such as shipping, belongs to no item, so nothing certifies
//!   it as eligible: it counts as other.

use crate::sale::{amounts::Amounts, order::Order, statement::Totals};

/// A column: `subtotal − discount + tax + shipping + fees + adjustment = total`, without the tax if prices include it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// The stated parts. The total is the column's: of a line, its share of the amount paid.
    pub parts: Totals,
    /// True if the other parts include the tax.
    pub tax_included: bool,
    /// The part of the total that the other parts do not explain, with its sign.
    pub adjustment: i64,
}

/// The amounts of a receipt. The lines' totals and `unassigned` add up to `paid`, and so do `eligible` and `other`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Columns {
    /// One for each line of the order.
    pub lines: Vec<Column>,
    /// The part of the amount paid that belongs to no line.
    pub unassigned: i64,
    /// Ends in the order's total.
    pub order: Column,
    /// `paid = order total − released − waived − open`.
    pub released: i64,
    pub waived: i64,
    pub open: i64,
    pub paid: i64,
    pub eligible: i64,
    pub other: i64,
}

impl Column {
    fn new(parts: Totals, tax_included: bool, total: i64) -> Self {
        let Totals {
            subtotal,
            discount,
            tax,
            shipping,
            fees,
            ..
        } = parts;
        let tax = if tax_included { 0 } else { tax };
        let explained = [discount.saturating_neg(), tax, shipping, fees]
            .into_iter()
            .fold(subtotal, i64::saturating_add);
        Self {
            parts: Totals { total, ..parts },
            tax_included: tax_included && parts.tax != 0,
            adjustment: total.saturating_sub(explained),
        }
    }
}

impl Columns {
    /// The columns of an order.
    #[must_use]
    pub fn new(order: &Order) -> Self {
        let lines = order.lines.iter();
        let lines: Vec<_> = lines
            .map(|line| (line.amounts, line.is_eligible()))
            .collect();
        Self::of(&lines, order.totals, order.tax_included, &order.amounts())
    }

    /// The columns of these lines, each with its eligibility.
    fn of(lines: &[(Totals, bool)], totals: Totals, tax_included: bool, amounts: &Amounts) -> Self {
        let paid = amounts.received;
        let costs: Vec<i64> = lines.iter().map(|(parts, _)| parts.total.max(0)).collect();
        let shares = shares(&costs, paid);
        let with_share = || lines.iter().zip(&shares);
        let eligible = with_share()
            .filter(|((_, is_eligible), _)| *is_eligible)
            .fold(0_i64, |sum, (_, share)| sum.saturating_add(*share));
        let assigned = shares
            .iter()
            .fold(0_i64, |sum, share| sum.saturating_add(*share));
        Self {
            lines: with_share()
                .map(|((parts, _), share)| Column::new(*parts, tax_included, *share))
                .collect(),
            unassigned: paid.saturating_sub(assigned),
            // More than the total was paid: the adjustment shows it.
            order: Column::new(totals, tax_included, amounts.ordered.max(paid)),
            released: amounts.released,
            waived: amounts.waived,
            open: amounts.open(),
            paid,
            eligible,
            other: paid.saturating_sub(eligible),
        }
    }

    /// True if a line's share differs from its stated total.
    #[must_use]
    pub fn are_spread(&self) -> bool {
        self.lines.iter().any(|line| line.adjustment != 0)
    }
}

/// The shares of `paid`, by the rule above. No total is negative.
#[must_use]
pub fn shares(totals: &[i64], paid: i64) -> Vec<i64> {
    let sum: i128 = totals.iter().map(|total| i128::from(*total)).sum();
    let paid = i128::from(paid);
    if sum <= paid {
        return totals.to_vec();
    }
    let exact = |total: &i64| i128::from(*total) * paid;
    let mut shares: Vec<i128> = totals.iter().map(|total| exact(total) / sum).collect();
    let missing = paid - shares.iter().sum::<i128>();
    let mut by_remainder: Vec<usize> = (0..totals.len()).collect();
    by_remainder.sort_by_key(|n| {
        let remainder = totals.get(*n).map_or(0, |total| exact(total) % sum);
        (-remainder, *n)
    });
    for n in by_remainder
        .into_iter()
        .take(missing.try_into().unwrap_or_default())
    {
        if let Some(share) = shares.get_mut(n) {
            *share += 1;
        }
    }
    let narrow = |share| i64::try_from(share).unwrap_or_default();
    shares.into_iter().map(narrow).collect()
}

#[cfg(test)]
mod tests;
