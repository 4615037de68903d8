//! Where customers were reached, and when.

use domain::values::ids::CustomerId;
use jiff::Timestamp;
use std::collections::BTreeMap;

/// What was known of each customer's address, from when on: `None` of one who is deleted.
#[derive(Debug, Default)]
pub struct Addresses(BTreeMap<CustomerId, Vec<(Timestamp, Option<String>)>>);

impl Addresses {
    /// From now on a customer is reached there.
    pub fn learn(&mut self, customer: &CustomerId, now: Timestamp, address: Option<String>) {
        self.0
            .entry(customer.clone())
            .or_default()
            .push((now, address));
    }

    /// Every address that was ever known of a customer.
    pub fn ever(&self, customer: &CustomerId) -> impl Iterator<Item = &str> {
        let known = self.0.get(customer).into_iter().flatten();
        known.filter_map(|(_, address)| address.as_deref())
    }

    /// Where a customer was reached then and since: as long as nothing was told, where the order says.
    #[must_use]
    pub fn since<'a>(
        &'a self,
        customer: &str,
        then: Timestamp,
        order: &'a str,
    ) -> Vec<Option<&'a str>> {
        let known = self
            .0
            .iter()
            .find(|(id, _)| id.as_str() == customer)
            .map(|(_, known)| known.as_slice());
        let known = known.unwrap_or_default();
        // What was learned at that very moment may have been read, or not.
        let (before, after) = known.split_at(known.partition_point(|(at, _)| *at < then));
        let stood = before
            .last()
            .map_or(Some(order), |(_, address)| address.as_deref());
        [stood]
            .into_iter()
            .chain(after.iter().map(|(_, address)| address.as_deref()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_customer_is_reached_where_the_order_says_until_told_otherwise() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let customer = CustomerId::new("fcus_1").unwrap();
        let mut addresses = Addresses::default();
        addresses.learn(&customer, at(5), Some("new@example.com".to_owned()));
        addresses.learn(&customer, at(9), None);
        let since = |then| addresses.since("fcus_1", at(then), "order@example.com");
        assert_eq!(
            since(5),
            [Some("order@example.com"), Some("new@example.com"), None]
        );
        assert_eq!(since(6), [Some("new@example.com"), None]);
        assert_eq!(since(10), [None]);
        assert_eq!(
            addresses.since("fcus_2", at(1), "order@example.com"),
            [Some("order@example.com")]
        );
    }
}
