//! A subscription as it renews: its recurring items as lines, its customer, its current period.

use super::{
    NotUnderstood, contact, details, known_text, line, subscription, subscription::period,
};
use crate::wire;
use domain::{
    access::{
        renewal::{Recurring, Renewal},
        subscription::Source,
    },
    sale::statement::Customer,
};
use reading::{Field, Identified, Reference, each, stated};
use std::collections::BTreeSet;

const ITEMS: &str = "object.subscription.items";

/// The products of the recurring items that are not expanded.
pub(crate) fn products(subscription: &wire::Subscription) -> BTreeSet<String> {
    let products = recurring(subscription).unwrap_or_default();
    let products = products.into_iter().filter_map(|item| {
        let price = item.price.known().and_then(Reference::object)?;
        match price.product.known()? {
            Reference::Id(_) => price.product.id().known().cloned(),
            Reference::Object(_) => None,
        }
    });
    products.collect()
}

/// Translates a subscription, the products that were read beside it, and its customer.
pub(crate) fn renewal(
    subscription: &wire::Subscription,
    products: &[wire::Product],
    customer: Option<&wire::Customer>,
) -> Result<Renewal, NotUnderstood> {
    let change = subscription::subscription(subscription, Source::Read)?;
    let facts = customer.map(contact::facts).transpose()?;
    Ok(Renewal {
        customer: Customer {
            customer_id: Some(change.customer_id.clone()),
            name: facts.as_ref().and_then(|facts| facts.name.clone()),
            email: facts.and_then(|facts| facts.email),
        },
        details: details::details(&wire::Session::default(), customer),
        change,
        period: period(subscription),
        items: recurring(subscription)?
            .into_iter()
            .map(|item| as_recurring(item, products))
            .collect::<Result<_, _>>()?,
    })
}

/// The items without those that are sold once. An item whose price does not say is recurring.
fn recurring(
    subscription: &wire::Subscription,
) -> Result<Vec<&wire::SubscriptionItem>, reading::NotUnderstood> {
    let items = each(&subscription.items, ITEMS)?.into_iter();
    let is_recurring = |item: &&wire::SubscriptionItem| {
        let price = item.price.known().and_then(Reference::object);
        price.and_then(|price| known_text(&price.kind)) != Some("one_time")
    };
    Ok(items
        .filter_map(Reference::object)
        .filter(is_recurring)
        .collect())
}

/// The item in the form of a checkout's line.
fn as_recurring(
    item: &wire::SubscriptionItem,
    products: &[wire::Product],
) -> Result<Recurring, NotUnderstood> {
    let price = price(item, products)?;
    let quantity = stated(&item.quantity, "object.subscription.items[].quantity")?.unwrap_or(1);
    let unit = price.unit_amount.known().copied();
    let total = unit.unwrap_or_default().saturating_mul(quantity);
    let line = wire::LineItem {
        line_item_id: match &item.subscription_item_id {
            Field::Absent => price.price_id.clone(),
            id => id.clone(),
        },
        quantity: Field::Understood(quantity),
        amount_subtotal: Field::Understood(total),
        amount_total: Field::Understood(total),
        eligibility: eligibility(&price),
        price: Field::Understood(Reference::Object(Box::new(price))),
        ..wire::LineItem::default()
    };
    let updated_at = stated(&item.updated_at, "object.subscription.items[].updated_at")?;
    let created_at = stated(&item.created_at, "object.subscription.items[].created_at")?;
    Ok(Recurring {
        line: line::line_item(&line, &wire::Session::default())?,
        changed_at: updated_at.max(created_at),
    })
}

/// The word of the price, else of the product. No session confirms or denies it: see
/// [`domain::access::renewal::certified`].
fn eligibility(price: &wire::Price) -> Field<String> {
    let product = price.product.known().and_then(Reference::object);
    match (&price.hsa_fsa_eligibility, product) {
        (Field::Absent, Some(product)) => product.hsa_fsa_eligibility.clone(),
        (word, _) => word.clone(),
    }
}

/// The price with its product in full, as far as it was read.
fn price(
    item: &wire::SubscriptionItem,
    products: &[wire::Product],
) -> Result<wire::Price, NotUnderstood> {
    let mut price = match item.price.optional("object.subscription.items[].price")? {
        Some(Reference::Object(price)) => (**price).clone(),
        Some(Reference::Id(id)) => wire::Price {
            price_id: Field::Understood(id.clone()),
            ..wire::Price::default()
        },
        None => wire::Price::default(),
    };
    let id = price.product.id();
    let read = products
        .iter()
        .find(|product| id != Field::Absent && product.product_id.id() == id);
    if let Some(product) = read {
        price.product = Field::Understood(Reference::Object(Box::new(product.clone())));
    }
    Ok(price)
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::sale::{
        order::Period,
        statement::{Certification, LineItem, Totals},
    };
    use serde_json::{Value, json};

    fn read(subscription: Value, products: Value) -> Renewal {
        let subscription: wire::Subscription = serde_json::from_value(subscription).unwrap();
        let products: Vec<wire::Product> = serde_json::from_value(products).unwrap();
        let named: BTreeSet<String> = ["fprod_1".to_owned()].into();
        assert_eq!(super::products(&subscription), named);
        renewal(&subscription, &products, None).unwrap()
    }

    fn sample() -> Value {
        json!({
            "subscription_id": "fsub_1", "customer": "fcus_1", "status": "active",
            "current_period_start": "2025-11-10T09:56:01Z",
            "current_period_end": "2025-12-10T09:56:01Z",
            "items": [
                {"subscription_item_id": "fsi_1", "quantity": 2, "created_at": "2025-10-10T09:56:01Z",
                 "updated_at": "2025-10-11T09:56:01Z",
                 "price": {"price_id": "fprice_1", "unit_amount": 4999, "type": "recurring", "product": "fprod_1"}},
                {"subscription_item_id": "fsi_2", "quantity": 1,
                 "price": {"price_id": "fprice_2", "unit_amount": 2499, "type": "one_time", "product": "fprod_2"}},
                {"subscription_item_id": "fsi_3", "price": "fprice_3"},
            ],
        })
    }

    #[test]
    fn recurring_items_are_lines_with_what_their_products_say_now() {
        let product = json!({
            "product_id": "fprod_1", "name": "Training", "client_reference_id": "TRAIN",
            "hsa_fsa_eligibility": "letter_of_medical_necessity",
        });
        let renewal = read(sample(), json!([product]));
        let [training, bare] = renewal.items.as_slice() else {
            panic!("two recurring items");
        };
        let line = &training.line;
        assert_eq!(
            (line.description.as_str(), line.quantity, line.unit_amount),
            ("Training", 2, Some(4999))
        );
        let totals = Totals {
            subtotal: 9998,
            total: 9998,
            ..Totals::default()
        };
        assert_eq!(line.amounts, totals);
        let certification = |line: &LineItem| line.eligibility.as_ref().unwrap().certification;
        assert_eq!(certification(line), Certification::Conditional);
        assert_eq!(line.sku.as_ref().unwrap().as_str(), "TRAIN");
        assert_eq!(
            training.changed_at,
            Some("2025-10-11T09:56:01Z".parse().unwrap())
        );
        // A price without details has an unknown amount, and nothing is certified.
        assert_eq!((bare.line.unit_amount, bare.line.quantity), (None, 1));
        assert_eq!(bare.line.eligibility, None);
        assert_eq!(
            renewal.period,
            Some(Period {
                start: "2025-11-10T09:56:01Z".parse().unwrap(),
                end: "2025-12-10T09:56:01Z".parse().unwrap(),
            })
        );
    }

    #[test]
    fn the_word_of_the_price_counts_before_the_products() {
        let mut of_price = sample();
        of_price["items"][0]["price"]["hsa_fsa_eligibility"] = json!("not_eligible");
        let listed =
            json!([{"product_id": "fprod_1", "hsa_fsa_eligibility": "auto_substantiation"}]);
        for (subscription, expected) in [
            (sample(), Certification::Certified),
            (of_price, Certification::NotEligible),
        ] {
            let renewal = read(subscription, listed.clone());
            let eligibility = renewal.items[0].line.eligibility.clone().unwrap();
            assert_eq!(eligibility.certification, expected);
        }
    }

    #[test]
    fn an_item_whose_last_change_is_not_understood_fails_the_renewal() {
        let mut odd = sample();
        odd["items"][0]["updated_at"] = json!("yesterday");
        let odd: wire::Subscription = serde_json::from_value(odd).unwrap();
        let place = "object.subscription.items[].updated_at";
        assert_eq!(
            renewal(&odd, &[], None),
            Err(reading::NotUnderstood::Malformed(place, reading::Kind::Text).into())
        );
    }

    #[test]
    fn a_product_that_is_not_known_is_a_line_that_certifies_nothing() {
        let renewal = read(sample(), json!([]));
        let line = &renewal.items[0].line;
        assert_eq!(
            (line.description.as_str(), &line.eligibility),
            ("Item", &None)
        );
        assert_eq!(line.amounts.total, 9998);
    }
}
