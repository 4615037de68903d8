//! Invented receipts: what templates are proven with, and previewed.

use super::view::{Amount, LineView, MerchantView, TestView, TotalsView, View};

/// An invented receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sample {
    /// Everything an order can have.
    Full,
    /// Only what every order has.
    Bare,
    /// [`Sample::Full`] in test mode.
    Test,
}

impl Sample {
    /// Between them they have and lack everything.
    pub const ALL: [Self; 3] = [Self::Full, Self::Bare, Self::Test];

    pub(super) fn view(self) -> View {
        match self {
            Self::Full => full(),
            Self::Bare => bare(),
            Self::Test => View { test: Some(TestView::new(Some("sam.rivera@example.com"))), ..full() },
        }
    }
}

fn full() -> View {
    View {
        order_number: Some("NW-1042".to_owned()),
        customer_name: Some("Sam Rivera".to_owned()),
        lines: vec![mat(), scarf()],
        totals: TotalsView {
            subtotal: amount("$79.00"),
            discount: amount("-$5.00"),
            tax: amount("$6.11"),
            shipping: amount("$6.00"),
            fees: amount("$1.50"),
            total: amount("$87.61"),
        },
        eligible: amount("$52.71"),
        other: amount("$33.90"),
        not_itemized: amount("$1.00"),
        payments: 2,
        ..bare()
    }
}

fn bare() -> View {
    View {
        merchant: MerchantView {
            name: "Northwind Wellness".to_owned(),
            address: vec!["12 Hill Road".to_owned(), "Portland, OR 97201".to_owned()],
            support_email: "help@northwind.example".to_owned(),
        },
        receipt_id: "fcs_sample-order".to_owned(),
        order_id: "fcs_sample".to_owned(),
        order_number: None,
        customer_name: None,
        sold_at: "October 10, 2025, 5:53 AM EDT".to_owned(),
        sold_on: "October 10, 2025".to_owned(),
        currency: "USD".to_owned(),
        lines: vec![LineView {
            unit_price: None,
            discount: nothing(),
            tax: nothing(),
            shipping: nothing(),
            fee: nothing(),
            total: amount("$50.00"),
            has_breakdown: false,
            ..mat()
        }],
        totals: TotalsView {
            subtotal: amount("$50.00"),
            discount: nothing(),
            tax: nothing(),
            shipping: nothing(),
            fees: nothing(),
            total: amount("$50.00"),
        },
        eligible: amount("$50.00"),
        other: nothing(),
        not_itemized: nothing(),
        payments: 1,
        provider: "Flex".to_owned(),
        test: None,
    }
}

fn mat() -> LineView {
    LineView {
        description: "Acupressure mat, organic cotton".to_owned(),
        quantity: 2,
        unit_price: Some("$25.00".to_owned()),
        subtotal: amount("$50.00"),
        discount: amount("-$5.00"),
        tax: amount("$3.71"),
        shipping: amount("$4.00"),
        fee: nothing(),
        total: amount("$52.71"),
        has_breakdown: true,
        eligible: true,
        eligibility: "HSA/FSA eligible",
    }
}

fn scarf() -> LineView {
    LineView {
        description: "Linen scarf, moss green".to_owned(),
        quantity: 1,
        unit_price: Some("$29.00".to_owned()),
        subtotal: amount("$29.00"),
        discount: nothing(),
        tax: amount("$2.40"),
        shipping: amount("$2.00"),
        fee: amount("$0.50"),
        total: amount("$33.90"),
        has_breakdown: true,
        eligible: false,
        eligibility: "Not eligible",
    }
}

fn amount(text: &str) -> Amount {
    Amount { text: text.to_owned(), nonzero: true }
}

fn nothing() -> Amount {
    Amount { text: "$0.00".to_owned(), nonzero: false }
}
