//! The provider's answer for a renewal: what a subscription sells, as the samples have it.
#![expect(clippy::expect_used, reason = "a test kit")]

use super::Kept;
use domain::{
    access::{
        renewal::{Recurring, Renewal},
        subscription::Item,
    },
    sale::{
        details::{Details, Metadata},
        statement::{Certification, Customer, Eligibility, LineItem, Sale, Totals},
    },
    values::ids::{LineItemId, SubscriptionId},
};

/// The price of every item, as in the samples of subscriptions and invoices.
const PRICE: i64 = 4999;

impl Kept {
    /// A subscription as it renews, if the provider knows it. Its customer is the one of its sale.
    #[must_use]
    pub fn renewal(&self, id: &SubscriptionId) -> Option<Renewal> {
        let change = self.subscriptions.get(id)?.clone();
        let customer_id = Some(change.customer_id.clone());
        let began_it = |sale: &&Sale| sale.subscription_id.as_ref() == Some(id);
        let sale = self.all_listed().find(began_it);
        let customer = sale.map(|sale| sale.customer.clone());
        let details = sale.map(|sale| sale.details.clone());
        Some(Renewal {
            customer: customer.unwrap_or(Customer {
                customer_id,
                ..Customer::default()
            }),
            details: details.map(of_customer).unwrap_or_default(),
            period: None,
            items: change.snapshot.items.iter().map(recurring).collect(),
            change,
        })
    }
}

/// What a customer's own row has of these.
fn of_customer(details: Details) -> Details {
    let mut shipping = details.shipping;
    if let Some(shipping) = &mut shipping {
        shipping.amount = None;
    }
    Details {
        phone: details.phone,
        shipping,
        ..Details::default()
    }
}

fn recurring(item: &Item) -> Recurring {
    let total = PRICE * i64::from(item.quantity);
    let name = item
        .price_id
        .as_ref()
        .map_or("item", |price| price.as_str());
    Recurring {
        line: LineItem {
            line_item_id: LineItemId::new(name).expect("an id"),
            description: "Guided training, one month".to_owned(),
            quantity: item.quantity,
            unit_amount: Some(PRICE),
            amounts: Totals {
                subtotal: total,
                total,
                ..Totals::default()
            },
            eligibility: Some(Eligibility {
                word: "letter_of_medical_necessity".to_owned(),
                certification: Certification::Conditional,
            }),
            product_id: item.product_id.clone(),
            price_id: item.price_id.clone(),
            sku: None,
            metadata: Metadata::default(),
        },
        changed_at: None,
    }
}
