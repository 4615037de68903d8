//! Flint's resources as its API prints them, reduced to the members that are used here.
//!
//! The shapes are those of the vendor's SDKs (<https://github.com/flint-pay/flint-sdks>) and of its specification
//! (<https://github.com/flint-pay/flint-cli>), API version 2026-09-07. Every member is a [`Field`]: it may be absent or of
//! another kind. The translation to our values decides which members it needs.

#![expect(
    clippy::struct_field_names,
    reason = "a field has the name that it has on the wire"
)]

use jiff::Timestamp;
use reading::{Code, Field, Identified, Readable, Reference, text, whole};
use serde_json::{Map, Value};

/// A whole number, as a number or as digits: the wire has numbers, and the vendor's SDKs print them as texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Whole(pub(crate) i64);

impl Readable for Whole {
    fn read(value: Value) -> Option<Self> {
        let number = match &value {
            Value::String(digits) => text::code(digits).parse().ok(),
            value => whole(value),
        };
        number.map(Self)
    }
}

/// A list that is read element by element.
type List<T> = Field<Vec<Field<T>>>;

reading::structures! {
    /// An amount in minor units.
    Money {
        amount: Field<Whole>,
        currency: Field<String>,
    }

    /// A buyer's address and phone number.
    Contact {
        email: Field<String>,
        phone: Field<String>,
    }

    /// A customer.
    Customer {
        customer_id: Field<String>,
        email: Field<String>,
        name: Field<String>,
        phone: Field<String>,
    }

    /// The order before its payment.
    Pricing {
        subtotal_money: Field<Money>,
        discount_money: Field<Money>,
        charge_money: Field<Money>,
        tax_money: Field<Money>,
        requested_tip_money: Field<Money>,
        total_money: Field<Money>,
    }

    /// The money of an order.
    Settlement {
        paid_money: Field<Money>,
        credit_money: Field<Money>,
        outstanding_money: Field<Money>,
    }

    /// An order. Older generations state `paid` in `status`.
    Order {
        order_id: Field<String>,
        status: Field<String>,
        payment_status: Field<String>,
        refund_status: Field<String>,
        inventory_exception_status: Field<String>,
        origin: Field<String>,
        external_reference_id: Field<Code>,
        line_items: List<Line>,
        pricing_amounts: Field<Pricing>,
        settlement_amounts: Field<Settlement>,
        customer_id: Field<String>,
        customer: Field<Reference<Customer>>,
        buyer_contact: Field<Contact>,
        delivery_destination: Field<Map<String, Value>>,
        checkout_session_ids: List<String>,
        payment_intent_ids: List<String>,
        payment_intents: List<Reference<PaymentIntent>>,
        refund_ids: List<String>,
        subscription_id: Field<String>,
        subscription_cycle: Field<Whole>,
        metadata: Field<Map<String, Value>>,
        created_at: Field<Timestamp>,
        updated_at: Field<Timestamp>,
    }

    /// A line of an order.
    Line {
        order_line_item_id: Field<String>,
        name: Field<String>,
        quantity: Field<Whole>,
        unit_price_money: Field<Money>,
        base_subtotal_money: Field<Money>,
        subtotal_money: Field<Money>,
        discount_money: Field<Money>,
        modifier_total_money: Field<Money>,
        tax_money: Field<Money>,
        total_money: Field<Money>,
        sku: Field<Code>,
        product_id: Field<String>,
        variant_id: Field<String>,
        bundle_id: Field<String>,
        modifiers: List<Modifier>,
        metadata: Field<Map<String, Value>>,
    }

    /// A change to a line that the buyer has chosen.
    Modifier {
        name: Field<String>,
        show_on_receipt: Field<bool>,
    }

    /// A payment intent.
    PaymentIntent {
        payment_intent_id: Field<String>,
        status: Field<String>,
        amount_money: Field<Money>,
        captured_money: Field<Money>,
        capturable_money: Field<Money>,
        payment_flow: Field<String>,
        payment_source: Field<Map<String, Value>>,
        fulfillment_hold: Field<FulfillmentHold>,
        last_payment_error: Field<Problem>,
        receipt_email: Field<String>,
        order_id: Field<String>,
        created_at: Field<Timestamp>,
        captured_at: Field<Timestamp>,
        updated_at: Field<Timestamp>,
    }

    /// A hold on the goods of a payment's order.
    FulfillmentHold {
        status: Field<String>,
    }

    /// The reason why a payment failed.
    Problem {
        code: Field<String>,
    }

    /// A refund.
    Refund {
        refund_id: Field<String>,
        status: Field<String>,
        amount_money: Field<Money>,
        order_id: Field<String>,
        invoice_id: Field<String>,
        payment_intent_id: Field<String>,
        created_at: Field<Timestamp>,
        updated_at: Field<Timestamp>,
    }

    /// A subscription.
    Subscription {
        subscription_id: Field<String>,
        status: Field<String>,
        customer_id: Field<String>,
        payment_method_id: Field<String>,
        plan_id: Field<String>,
        subscription_plan_id: Field<String>,
        cancel_at_period_end: Field<bool>,
        current_period_end: Field<Timestamp>,
        trial_end: Field<Timestamp>,
        paused_at: Field<Timestamp>,
        canceled_at: Field<Timestamp>,
        created_at: Field<Timestamp>,
        updated_at: Field<Timestamp>,
    }

    /// A fulfillment of an order. The API says `status`, its events say `state`.
    Fulfillment {
        fulfillment_id: Field<String>,
        order_id: Field<String>,
        #[serde(rename = "type")]
        kind: Field<String>,
        status: Field<String>,
        state: Field<String>,
        line_items: List<Goods>,
        packages: List<Package>,
        local_delivery_details: Field<Package>,
        updated_at: Field<Timestamp>,
    }

    /// A part of an order's line.
    Goods {
        order_line_item_id: Field<String>,
        quantity: Field<Whole>,
    }

    /// A package on its way, or the details of a local delivery.
    Package {
        status: Field<String>,
        carrier: Field<String>,
        tracking_number: Field<String>,
        tracking_url: Field<String>,
    }

    /// An invoice.
    Invoice {
        invoice_id: Field<String>,
        version: Field<Whole>,
        status: Field<String>,
        invoice_number: Field<String>,
        order_id: Field<String>,
        customer_id: Field<String>,
        subscription_id: Field<String>,
        total_money: Field<Money>,
        outstanding_money: Field<Money>,
        paid_money: Field<Money>,
        credit_money: Field<Money>,
        refunded_money: Field<Money>,
        collection_block_status: Field<String>,
        due_at: Field<Timestamp>,
        issued_at: Field<Timestamp>,
        updated_at: Field<Timestamp>,
    }

    /// An attempt to pay an invoice. Events and the API name some members differently.
    Attempt {
        invoice_payment_attempt_id: Field<String>,
        status: Field<String>,
        payment_attempt_status: Field<String>,
        updated_at: Field<Timestamp>,
        payment_attempt_updated_at: Field<Timestamp>,
    }

    /// A movement on the merchant's balance.
    Transaction {
        balance_transaction_id: Field<String>,
        #[serde(rename = "type")]
        kind: Field<String>,
        status: Field<String>,
        amount_money: Field<Money>,
        fee_money: Field<Money>,
        net_money: Field<Money>,
        occurred_at: Field<Timestamp>,
        available_at: Field<Timestamp>,
        order_id: Field<String>,
        payout_id: Field<String>,
        related_resource: Field<Map<String, Value>>,
    }

    /// A saved payment method.
    PaymentMethod {
        payment_method_id: Field<String>,
        customer_id: Field<String>,
        #[serde(rename = "type")]
        kind: Field<String>,
        status: Field<String>,
        usage: Field<String>,
        failure_code: Field<String>,
        updated_at: Field<Timestamp>,
    }

    /// The readiness of a merchant.
    Merchant {
        merchant_id: Field<String>,
        payments: Field<Readiness>,
        payouts: Field<Readiness>,
        requirements: Field<Requirements>,
        observed_at: Field<Timestamp>,
    }

    /// The readiness of payments or payouts.
    Readiness {
        status: Field<String>,
        status_reason: Field<String>,
        next_actions: List<NextAction>,
    }

    /// The next actions of the merchant. Its address expires, so nothing reads it.
    NextAction {
        action_type: Field<String>,
    }

    /// The facts that the merchant must still state or prove.
    Requirements {
        currently_due: List<String>,
        past_due: List<String>,
        eventually_due: List<String>,
        pending_verification: List<String>,
        disabled_reason: Field<String>,
        current_deadline_at: Field<Timestamp>,
    }

    /// A capability of the key's merchant.
    Capability {
        capability: Field<String>,
        domain: Field<String>,
        status: Field<String>,
        observed_at: Field<Timestamp>,
    }

    /// A checkout session.
    CheckoutSession {
        checkout_session_id: Field<String>,
        status: Field<String>,
        terminal_reason: Field<String>,
        superseding_checkout_session_id: Field<String>,
        order_id: Field<String>,
        invoice_id: Field<String>,
        buyer_contact: Field<Contact>,
        expires_at: Field<Timestamp>,
        updated_at: Field<Timestamp>,
    }
}

impl Identified for Customer {
    fn id(&self) -> Field<String> {
        self.customer_id.id()
    }
}

impl Identified for PaymentIntent {
    fn id(&self) -> Field<String> {
        self.payment_intent_id.id()
    }
}
