//! The addresses of customers over time.

use kit::prelude::*;

/// The known address of each customer, with its time: `None` of one who is deleted.
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

    /// The addresses of a customer at that time and since. Without an event about the customer, the order's address.
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
        // A change at that very moment may have been read, or not.
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
