//! Flex's resources as its API and its events print them, reduced to the members that are used
//! here.
//!
//! The reference pages name and describe the members
//! (<https://docs.withflex.com/api-reference/checkout-sessions/get-checkout-session>,
//! <https://docs.withflex.com/api-reference/checkout-sessions/get-line-items>, and those named
//! below). Flex asks for permissive reading, so every member is a [`Field`]: it may be absent or of
//! another kind. The translation to our values, such as [`crate::sale`], decides which members
//! it needs. A new member gets a field here, of one of the types that [`reading`] lists.

use jiff::Timestamp;
pub use reading::Reference;
use reading::{Code, Field, Identified, Readable};
use serde_json::Value;

/// The lines of a session, read one by one.
pub type LineItems = Field<Vec<Field<LineItem>>>;

/// A kind of resource, by Flex's names.
pub trait Resource: Readable + Identified {
    /// The member that holds the resource, in events and answers.
    const KEY: &'static str;
    /// The member that holds the resource's id.
    const ID: &'static str;
    /// The resource's place in an event.
    const PLACE: &'static str;
}

macro_rules! resource {
    ($name:ident, $key:literal, $id:ident) => {
        impl Resource for $name {
            const KEY: &'static str = $key;
            const ID: &'static str = stringify!($id);
            const PLACE: &'static str = concat!("object.", $key);
        }

        impl Identified for $name {
            fn id(&self) -> Field<String> {
                self.$id.id()
            }
        }
    };
}

resource!(Session, "checkout_session", checkout_session_id);
resource!(Customer, "customer", customer_id);
resource!(PaymentIntent, "payment_intent", payment_intent_id);
resource!(Charge, "charge", charge_id);
resource!(Refund, "refund", refund_id);
resource!(Dispute, "dispute", dispute_id);
resource!(Subscription, "subscription", subscription_id);
resource!(Invoice, "invoice", invoice_id);
resource!(Price, "price", price_id);
resource!(Product, "product", product_id);

reading::structures! {
    /// A checkout session.
    Session {
        checkout_session_id: Field<String>,
        client_reference_id: Field<Code>,
        status: Field<String>,
        mode: Field<String>,
        capture_method: Field<String>,
        test_mode: Field<bool>,
        created_at: Field<Timestamp>,
        currency: Field<String>,
        amount_total: Field<i64>,
        amount_subtotal: Field<i64>,
        amount_received: Field<i64>,
        total_details: Field<TotalDetails>,
        fees: Field<Vec<Field<Fee>>>,
        tax_calculation_mode: Field<String>,
        hsa_fsa_eligible: Field<bool>,
        letter_of_medical_necessity_required: Field<bool>,
        customer: Field<Reference<Customer>>,
        customer_id: Field<String>,
        customer_email: Field<String>,
        customer_details: Field<Customer>,
        defaults: Field<Defaults>,
        payment_intents: Field<Vec<Field<Reference<PaymentIntent>>>>,
        payment_intent: Field<Reference<PaymentIntent>>,
        payment_intent_id: Field<String>,
        subscription: Field<Reference<Subscription>>,
        invoice: Field<Reference<Invoice>>,
        // The details with which the merchant ships and serves an order. No decision depends on these.
        shipping_details: Value,
        shipping_options: Value,
        discounts: Value,
        tax_rate: Value,
        origin: Value,
        metadata: Value,
    }

    /// Parts of a session's total; null if there are none.
    TotalDetails {
        amount_discount: Field<i64>,
        amount_tax: Field<i64>,
        amount_shipping: Field<i64>,
    }

    /// A fee on a session or a line.
    Fee {
        amount: Field<i64>,
    }

    /// Values that the merchant filled in and the shopper may change.
    Defaults {
        email: Field<String>,
        phone: Value,
    }

    /// A customer (<https://docs.withflex.com/api-reference/customers/get-customer>).
    Customer {
        customer_id: Field<String>,
        first_name: Field<String>,
        last_name: Field<String>,
        email: Field<String>,
        phone: Value,
        shipping: Value,
        test_mode: Field<bool>,
    }

    /// A payment intent (<https://docs.withflex.com/api-reference/payment-intents/get-payment-intent>).
    PaymentIntent {
        payment_intent_id: Field<String>,
        status: Field<String>,
        currency: Field<String>,
        amount: Field<i64>,
        amount_received: Field<i64>,
        amount_capturable: Field<i64>,
        created_at: Field<Timestamp>,
        payment_card_type: Field<String>,
        /// An id or, if expanded, an object.
        payment_method: Value,
        test_mode: Field<bool>,
    }

    /// A charge: one attempt of a payment. Flex's reference has no page for it, so only the reference
    /// to its payment is read.
    Charge {
        charge_id: Field<String>,
        payment_intent: Field<Reference<PaymentIntent>>,
        payment_intent_id: Field<String>,
        test_mode: Field<bool>,
    }

    /// A refund (<https://docs.withflex.com/api-reference/refunds/list-refunds>). The merchant sets its
    /// metadata when requesting it (<https://docs.withflex.com/api-refund-best-practices>).
    Refund {
        refund_id: Field<String>,
        payment_intent_id: Field<String>,
        payment_intent: Field<Reference<PaymentIntent>>,
        amount: Field<i64>,
        currency: Field<String>,
        created_at: Field<Timestamp>,
        status: Field<String>,
        metadata: Value,
        subscription_id: Field<String>,
        invoice_id: Field<String>,
        test_mode: Field<bool>,
    }

    /// A dispute (<https://docs.withflex.com/api-reference/disputes/get-dispute>).
    Dispute {
        dispute_id: Field<String>,
        payment_intent_id: Field<String>,
        payment_intent: Field<Reference<PaymentIntent>>,
        amount: Field<i64>,
        currency: Field<String>,
        status: Field<String>,
        reason: Field<String>,
        evidence_details: Field<EvidenceDetails>,
        test_mode: Field<bool>,
    }

    /// The state of a dispute's evidence.
    EvidenceDetails {
        due_by: Field<Timestamp>,
    }

    /// A subscription (<https://docs.withflex.com/api-reference/subscriptions/get-subscription>).
    Subscription {
        subscription_id: Field<String>,
        customer: Field<Reference<Customer>>,
        customer_id: Field<String>,
        status: Field<String>,
        items: Field<Vec<Field<Reference<SubscriptionItem>>>>,
        latest_invoice: Field<Reference<Invoice>>,
        cancel_at_period_end: Field<bool>,
        created_at: Field<Timestamp>,
        cancel_at: Field<Timestamp>,
        current_period_start: Field<Timestamp>,
        current_period_end: Field<Timestamp>,
        trial_end: Field<Timestamp>,
        test_mode: Field<bool>,
    }

    /// One item of a subscription.
    SubscriptionItem {
        subscription_item_id: Field<String>,
        created_at: Field<Timestamp>,
        updated_at: Field<Timestamp>,
        price: Field<Reference<Price>>,
        quantity: Field<i64>,
    }

    /// An invoice (<https://docs.withflex.com/api-reference/invoices/get-invoice>).
    Invoice {
        invoice_id: Field<String>,
        subscription: Field<Reference<Subscription>>,
        subscription_id: Field<String>,
        customer: Field<Reference<Customer>>,
        customer_id: Field<String>,
        payment_intent: Field<Reference<PaymentIntent>>,
        payment_intent_id: Field<String>,
        currency: Field<String>,
        amount_paid: Field<i64>,
        amount_due: Field<i64>,
        created_at: Field<Timestamp>,
        period_start: Field<Timestamp>,
        period_end: Field<Timestamp>,
        lines: Field<InvoiceLines>,
        test_mode: Field<bool>,
    }

    /// One line of an invoice.
    InvoiceLine {
        period: Field<Span>,
    }

    /// The period of a line.
    Span {
        start: Field<Timestamp>,
        end: Field<Timestamp>,
    }

    /// A line of a session.
    LineItem {
        line_item_id: Field<String>,
        description: Field<String>,
        quantity: Field<i64>,
        amount_subtotal: Field<i64>,
        amount_discount: Field<i64>,
        amount_tax: Field<i64>,
        amount_shipping: Field<i64>,
        amount_fee: Field<i64>,
        amount_total: Field<i64>,
        fees: Field<Vec<Field<Fee>>>,
        eligibility: Field<String>,
        price: Field<Reference<Price>>,
    }

    /// A price (<https://docs.withflex.com/api-reference/prices/list-prices>).
    Price {
        price_id: Field<String>,
        unit_amount: Field<i64>,
        /// `one_time` or `recurring`.
        #[serde(rename = "type")]
        kind: Field<String>,
        hsa_fsa_eligibility: Field<String>,
        metadata: Value,
        product: Field<Reference<Product>>,
    }

    /// A product (<https://docs.withflex.com/api-reference/products/create-product>).
    Product {
        product_id: Field<String>,
        name: Field<String>,
        receipt_description: Field<String>,
        hsa_fsa_eligibility: Field<String>,
        client_reference_id: Field<Code>,
        upc_code: Field<Code>,
        gtin: Field<Code>,
        metadata: Value,
    }
}

/// The lines of an invoice: a list, or an object with the list in it. Flex does not document them; card networks'
/// processors have them (<https://docs.stripe.com/api/invoices/object#invoice_object-lines>).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct InvoiceLines(pub Vec<Field<InvoiceLine>>);

impl Readable for InvoiceLines {
    fn read(value: Value) -> Option<Self> {
        let list = match value {
            Value::Object(mut object) => object.remove("data")?,
            list => list,
        };
        Vec::read(list).map(Self)
    }
}
