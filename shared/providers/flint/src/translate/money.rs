//! The amounts of one thing.

use crate::wire::Money;
use domain::values::money::Currency;
use reading::{Field, Kind, NotUnderstood, needed_text};

/// Reads the amounts of one thing, which are all in one currency.
#[derive(Debug, Clone, Copy)]
pub(super) struct Amounts {
    pub(super) currency: Currency,
}

impl Amounts {
    /// The first amount, and the reader of the others.
    pub(super) fn of(
        money: &Field<Money>,
        place: &'static str,
    ) -> Result<(Self, i64), NotUnderstood> {
        let money = money.required(place)?;
        let currency = Currency::new(needed_text(&money.currency, place)?);
        let currency = currency.map_err(|_| NotUnderstood::Malformed(place, Kind::Text))?;
        let amount = money.amount.required(place)?.0;
        Ok((Self { currency }, amount))
    }

    /// An amount, if stated. One in another currency is not understood: no rule converts it.
    pub(super) fn stated(
        self,
        money: &Field<Money>,
        place: &'static str,
    ) -> Result<Option<i64>, NotUnderstood> {
        if *money == Field::Absent {
            return Ok(None);
        }
        let (other, amount) = Self::of(money, place)?;
        if other.currency == self.currency {
            Ok(Some(amount))
        } else {
            Err(NotUnderstood::Malformed(place, Kind::Object))
        }
    }

    /// An amount, or zero.
    pub(super) fn or_none(
        self,
        money: &Field<Money>,
        place: &'static str,
    ) -> Result<i64, NotUnderstood> {
        self.stated(money, place).map(Option::unwrap_or_default)
    }
}
