//! Rows of every kind, both with all members and with only the required ones.

use super::{by_hand, later, now, resources, unique};
use domain::{
    access::{
        contact,
        entitlement::Entitlement,
        subscription::{
            Access, Beginning, Bill, Invoice, Item, Reason, Source, SubscriptionFacts,
            SubscriptionStatus,
        },
    },
    resource::Resource,
    sale::{
        amounts::Closed,
        delivery_failure::DeliveryFailure,
        details::{Address, Details, Discount, Metadata, PaymentMethod, Shipping, TaxRate},
        dispute::{self, Dispute},
        event_history::{DecidedEvent, EventHistory},
        mapping::Grant,
        merchant_reference::MerchantReference,
        order::{OrderLine, Shortfall},
        payment::{self, Link},
        refund::{self, Goods, Refund},
        reservation::Reservation,
        shipment::{FulfillmentFacts, Method, Package, Progress},
        statement::{Capture, Customer, Totals},
        stock::LineStock,
    },
    values::{
        facts::{Fact, Stamp},
        ids::{DisputeId, FulfillmentId, Grantor, LineItemId, PriceId},
        money::Currency,
        provider::EligibilityPolicy,
    },
};
use kit::prelude::*;

/// A commit of the first version of a row of each kind that counts versions, each with everything in it.
pub(super) fn full(event_id: EventId) -> Commit {
    let order = order();
    let customer_id = order.customer.customer_id.clone().unwrap();
    let payment_intent_id = order.payment_intents[0].clone();
    let subscription = subscription(&order, customer_id.clone());
    let link = Link {
        payment_intent_id: payment_intent_id.clone(),
        version: 1,
        order_id: Some(order.order_id.clone()),
        other_shop: true,
        facts: order.payments.get(&payment_intent_id).cloned(),
        heard_at: Some(later()),
    };
    let bare_link = Link {
        version: 1,
        ..Link::new(order.payment_intents[1].clone())
    };
    let reference = MerchantReference {
        reference: order.client_reference_id.clone().unwrap(),
        version: 1,
        order_ids: vec![order.order_id.clone(), OrderId::new("fcs_other").unwrap()],
    };
    let entitlements = subscription
        .products
        .iter()
        .map(|id| entitlement(&subscription, id))
        .collect();
    let facts = contact::ContactFacts {
        name: Some("Zoë O’Hara".into()),
        email: Some("zoe@example.com".into()),
    };
    let contact = Contact {
        customer_id,
        version: 1,
        facts: Some(Fact::new(now(), facts)),
        erased: true,
    };
    Commit {
        links: vec![link, bare_link],
        reference: Some(reference),
        entitlements,
        contact: Some(contact),
        subscription: Some(subscription),
        order: Some(order),
        resources: resources::full()
            .map(|row| resources::of_version(row, 1))
            .into(),
        ..Commit::of(event_id)
    }
}

/// The same rows in another version.
pub(super) fn of_version(commit: &Commit, event_id: &EventId, version: u64) -> Commit {
    let mut commit = Commit {
        event_id: event_id.clone(),
        ..commit.clone()
    };
    if let Some(row) = &mut commit.order {
        row.version = version;
    }
    for row in &mut commit.links {
        row.version = version;
    }
    if let Some(row) = &mut commit.reference {
        row.version = version;
    }
    if let Some(row) = &mut commit.subscription {
        row.version = version;
    }
    for row in &mut commit.entitlements {
        row.version = version;
    }
    if let Some(row) = &mut commit.contact {
        row.version = version;
    }
    let rows = commit.resources.into_iter();
    commit.resources = rows
        .map(|row| resources::of_version(row, version))
        .collect();
    commit
}

/// The same rows in their second version, with nothing in them that they need not have.
pub(super) fn bare(commit: &Commit, event_id: &EventId) -> Commit {
    let bare_order = |order: &Order| Order {
        eligibility: EligibilityPolicy::Omitted,
        client_reference_id: None,
        tax_included: false,
        capture: Capture::Automatic,
        closed: None,
        least_charge: 0,
        fulfilled_at: None,
        customer: Customer::default(),
        received: None,
        payment_intents: Vec::new(),
        lines: Vec::new(),
        difference: None,
        shortfalls: Vec::new(),
        receipt_id: None,
        payments: BTreeMap::new(),
        refunds: BTreeMap::new(),
        disputes: BTreeMap::new(),
        subscription_id: None,
        invoice_id: None,
        same_reference: Vec::new(),
        delivery_failures: BTreeMap::new(),
        notes: Notes::default(),
        event_history: EventHistory::default(),
        ..order.clone()
    };
    let bare_subscription = |row: &Subscription| {
        Subscription::new(
            row.provider.clone(),
            row.customer_id.clone(),
            row.subscription_id.clone(),
        )
    };
    let bare_entitlement = |row: &Entitlement| Entitlement {
        access_until: Timestamp::UNIX_EPOCH,
        reason: Reason::NotPaidYet,
        reason_text: Reason::NotPaidYet.to_string(),
        grants: BTreeMap::new(),
        ..row.clone()
    };
    let bare_contact = |row: &Contact| Contact {
        ..Contact::new(row.customer_id.clone())
    };
    let bare = Commit {
        order: commit.order.as_ref().map(bare_order),
        links: commit
            .links
            .iter()
            .map(|row| Link::new(row.payment_intent_id.clone()))
            .collect(),
        reference: commit.reference.clone().map(|row| MerchantReference {
            order_ids: Vec::new(),
            ..row
        }),
        subscription: commit.subscription.as_ref().map(bare_subscription),
        entitlements: commit.entitlements.iter().map(bare_entitlement).collect(),
        contact: commit.contact.as_ref().map(bare_contact),
        resources: commit.resources.iter().map(resources::bare).collect(),
        ..Commit::of(event_id.clone())
    };
    of_version(&bare, event_id, 2)
}

/// Leaves one kind of rows in a commit.
type Only = fn(Commit) -> Commit;

/// The kinds of rows that count versions, each by itself.
pub(super) const KINDS: [(&str, Only); 7] = [
    ("order", |all| Commit {
        order: all.order,
        ..Commit::of(all.event_id)
    }),
    ("links", |all| Commit {
        links: all.links,
        ..Commit::of(all.event_id)
    }),
    ("reference", |all| Commit {
        reference: all.reference,
        ..Commit::of(all.event_id)
    }),
    ("subscription", |all| Commit {
        subscription: all.subscription,
        ..Commit::of(all.event_id)
    }),
    ("entitlements", |all| Commit {
        entitlements: all.entitlements,
        ..Commit::of(all.event_id)
    }),
    ("contact", |all| Commit {
        contact: all.contact,
        ..Commit::of(all.event_id)
    }),
    ("resources", |all| Commit {
        resources: all.resources,
        ..Commit::of(all.event_id)
    }),
];

/// All that a commit has written, to be read back.
pub(super) fn read_set(commit: &Commit) -> ReadSet {
    ReadSet {
        order: commit.order.as_ref().map(|row| row.order_id.clone()),
        links: commit
            .links
            .iter()
            .map(|row| row.payment_intent_id.clone())
            .collect(),
        reference: commit.reference.as_ref().map(|row| row.reference.clone()),
        subscription: commit
            .subscription
            .as_ref()
            .map(|row| (row.customer_id.clone(), row.subscription_id.clone())),
        entitlements: commit
            .entitlements
            .iter()
            .map(|row| (row.customer_id.clone(), row.product_id.clone()))
            .collect(),
        contact: commit.contact.as_ref().map(|row| row.customer_id.clone()),
        resources: commit.resources.iter().map(Resource::id).collect(),
        ..ReadSet::default()
    }
}

/// The rows as they are read back.
pub(super) fn rows(commit: &Commit) -> Snapshot {
    Snapshot {
        order: commit.order.clone(),
        links: commit
            .links
            .iter()
            .map(|row| (row.payment_intent_id.clone(), row.clone()))
            .collect(),
        reference: commit.reference.clone(),
        subscription: commit.subscription.clone(),
        entitlements: commit.entitlements.clone(),
        contact: commit.contact.clone(),
        resources: commit
            .resources
            .iter()
            .map(|row| (row.id(), row.clone()))
            .collect(),
        ..Snapshot::default()
    }
}

fn fulfillment() -> Fact<FulfillmentFacts> {
    let text = |text: &str| Some(text.to_owned());
    let facts = FulfillmentFacts {
        progress: Progress::Underway,
        word: "dispatched".to_owned(),
        method: Some(Method::Shipment),
        goods: [(LineItemId::new("fli_1").unwrap(), 2)].into(),
        packages: vec![
            Package {
                carrier: text("Example Post"),
                tracking_number: text("EX-1"),
                tracking_url: text("https://track.example.com/EX-1"),
            },
            Package::default(),
        ],
    };
    Fact::new(now(), facts)
}

/// A receipt of each kind, with everything in it, and some with nothing optional.
pub(super) fn receipts(order_id: &OrderId) -> Vec<Receipt> {
    let invoice_id = || InvoiceId::new(unique("fin")).unwrap();
    let subscription_id = || SubscriptionId::new(unique("fsub")).unwrap();
    let failed = |amount| ReceiptKind::PaymentFailed {
        subscription_id: subscription_id(),
        invoice_id: invoice_id(),
        amount,
    };
    let invoice_failed = |number, amount| ReceiptKind::InvoicePaymentFailed {
        invoice_id: invoice_id(),
        number,
        amount,
    };
    let refund_id = RefundId::new(unique("fre")).unwrap();
    let kinds = [
        (ReceiptKind::Order, None),
        (
            ReceiptKind::Refund {
                refund_id,
                amount: 500,
                refunded_at: now(),
            },
            None,
        ),
        (failed(Some(1999)), None),
        (failed(None), None),
        (invoice_failed(Some("2026-7".to_owned()), Some(1999)), None),
        (invoice_failed(None, None), None),
        (
            ReceiptKind::Shipment {
                fulfillment_id: FulfillmentId::new(unique("ful")).unwrap(),
            },
            None,
        ),
        (
            ReceiptKind::TrialEnds {
                subscription_id: subscription_id(),
                ends_at: later(),
            },
            Some(later()),
        ),
    ];
    kinds
        .map(|(kind, due_at)| Receipt::new(order_id, kind, due_at, now()).unwrap())
        .into()
}

/// A stamp that no cut of a second or of a version may change.
fn precise(rank: u8) -> Stamp {
    Stamp {
        version: u64::from(rank),
        at: now() + Duration::from_nanos(123_456_789),
        rank,
    }
}

fn told_of_payments() -> [Fact<payment::PaymentFacts>; 2] {
    let facts = payment::PaymentFacts {
        status: payment::PaymentStatus::Received,
        word: "succeeded".into(),
        currency: Currency::USD,
        received: Some(1000),
        amount: Some(2927),
        capturable: Some(0),
        made_at: Some(now()),
        card: Some("primary".into()),
        failure: Some("card_declined".into()),
        is_held: true,
    };
    let jpy = Currency::new("jpy").unwrap();
    let bare_told = payment::PaymentFacts::bare(payment::PaymentStatus::Unknown, "a_new_word", jpy);
    [(facts, 3), (bare_told, 0)].map(|(value, rank)| Fact {
        stamp: precise(rank),
        value,
    })
}

fn order() -> Order {
    let totals = Totals {
        subtotal: 3000,
        discount: 100,
        tax: 20,
        shipping: 5,
        fees: 2,
        total: 2927,
    };
    let sku = || Sku::new("SKU-1").unwrap();
    let stock = [
        LineStock::Counted { sku: sku() },
        LineStock::Untracked { sku: Some(sku()) },
        LineStock::Untracked { sku: None },
        LineStock::Uncounted { sku: sku() },
        LineStock::Waiting,
        LineStock::Exempt,
        LineStock::Unmapped,
    ];
    let line = |stock| OrderLine {
        line_item_id: LineItemId::new(unique("fli")).unwrap(),
        description: "A \"thing\" – with ünicode".into(),
        quantity: 3,
        unit_amount: Some(1000),
        amounts: totals,
        eligibility: Some(super::eligibility()),
        product_id: Some(ProductId::new("fprod_1").unwrap()),
        price_id: Some(PriceId::new("fprice_1").unwrap()),
        stock,
        metadata: metadata(),
        grants: Some(Grant {
            name: ProductId::new("course").unwrap(),
            days: Some(30),
        }),
    };
    let bare_line = OrderLine {
        unit_amount: None,
        eligibility: None,
        product_id: None,
        price_id: None,
        description: String::new(),
        metadata: Metadata::default(),
        grants: None,
        ..line(LineStock::Unmapped)
    };
    let payment_intents: Vec<_> = (0..2)
        .map(|_| PaymentIntentId::new(unique("fpi")).unwrap())
        .collect();
    Order {
        order_id: OrderId::new(unique("fcs")).unwrap(),
        version: 1,
        provider: kit::flex_id(),
        eligibility: EligibilityPolicy::Stated,
        client_reference_id: Some(unique("№ 7 – order")),
        mode: Mode::Live,
        placed_at: now(),
        fulfilled_at: Some(later()),
        customer: Customer {
            customer_id: Some(CustomerId::new(unique("fcus")).unwrap()),
            name: Some("Pat Doe".into()),
            email: Some("pat@example.com".into()),
        },
        currency: Currency::USD,
        totals,
        tax_included: true,
        received: Some(2927),
        is_unpaid: true,
        stamp: Some(domain::values::facts::Stamp {
            version: 3,
            at: now(),
            rank: 1,
        }),
        holds: [domain::sale::hold::Hold::Inventory].into(),
        waived: [domain::sale::hold::Hold::PartialRefund].into(),
        exceptions: [EventId::new("evt_1").unwrap()].into(),
        fulfillments: [(FulfillmentId::new("ful_1").unwrap(), fulfillment())].into(),
        reservation: Reservation::default(),
        capture: Capture::Manual,
        closed: Some(Closed::Canceled),
        least_charge: 50,
        lines: stock.map(line).into_iter().chain([bare_line]).collect(),
        difference: Some(-3),
        shortfalls: vec![Shortfall {
            filled_at: Some(now()),
            sku: sku(),
            missing: 2,
        }],
        receipt_id: Some(any_receipt_id()),
        payments: payment_intents
            .iter()
            .cloned()
            .zip(told_of_payments())
            .collect(),
        refunds: refunds_of(&payment_intents[0]).into(),
        disputes: disputes_of(&payment_intents[1]).into(),
        payment_intents,
        subscription_id: Some(SubscriptionId::new(unique("fsub")).unwrap()),
        invoice_id: Some(InvoiceId::new(unique("fin")).unwrap()),
        kind: OrderKind::Renewal,
        period: Some(Period {
            start: now(),
            end: later(),
        }),
        same_reference: vec![OrderId::new("fcs_other").unwrap()],
        delivery_failures: [(any_receipt_id(), DeliveryFailure::Bounced)].into(),
        details: details(),
        is_erased: true,
        notes: Notes::default().with(by_hand("the address was misspelled")),
        event_history: event_history(),
        bundle: "1.0.0".into(),
    }
}

fn event_history() -> EventHistory {
    let mut history = EventHistory::default();
    for event_type in [Some("refund.created".to_owned()), None] {
        history.push(DecidedEvent {
            event_id: EventId::new(unique("fevt")).unwrap(),
            event_type,
            at: now(),
            done: "partly_refunded, refund mail".to_owned(),
        });
    }
    history
}

fn metadata() -> Metadata {
    Metadata {
        entries: [("cart".to_owned(), "c-77 ü".to_owned())].into(),
        cut: 3,
    }
}

fn details() -> Details {
    let text = |text: &str| Some(text.to_owned());
    let method = PaymentMethod {
        kind: text("card"),
        brand: text("visa"),
        last4: text("4242"),
    };
    Details {
        phone: text("+15555550100"),
        shipping: Some(Shipping {
            name: text("Pat Doe"),
            phone: text("+15555550101"),
            address: Some(Address {
                line1: text("1 Main St"),
                line2: text("Apt 2"),
                city: text("Austin"),
                state: text("TX"),
                postal_code: text("78701"),
                country: text("US"),
            }),
            rate_id: text("fshr_1"),
            option: text("Ground"),
            amount: Some(500),
        }),
        discounts: vec![
            Discount {
                coupon_id: text("fcoup_1"),
                promotion: text("SPRING"),
                name: text("Spring"),
                amount_off: Some(100),
            },
            Discount::default(),
        ],
        tax_rate: Some(TaxRate {
            rate_id: text("ftax_1"),
            name: text("Sales tax"),
            percentage: text("8.25"),
            amount: Some(20),
        }),
        payment_methods: [(PaymentIntentId::new("fpi_1").unwrap(), method)].into(),
        unclear_payments: [PaymentIntentId::new("fpi_2").unwrap()].into(),
        origin: text("shopify"),
        metadata: metadata(),
    }
}

fn subscription(order: &Order, customer_id: CustomerId) -> Subscription {
    let invoice_id = || InvoiceId::new(unique("fin")).unwrap();
    let products: BTreeSet<_> = (0..3)
        .map(|_| ProductId::new(unique("fprod")).unwrap())
        .collect();
    let item = |product_id: Option<ProductId>, price_id| Item {
        product_id,
        price_id,
        quantity: 1,
    };
    let price_id = PriceId::new("fprice_1").unwrap();
    let snapshot = SubscriptionFacts {
        source: Source::Read,
        status: SubscriptionStatus::Active,
        cancel_at_period_end: true,
        period_end: Some(later()),
        trial_end: Some(now()),
        items: vec![
            item(products.first().cloned(), Some(price_id)),
            item(None, None),
        ],
        latest_invoice: Some(invoice_id()),
        created_at: Some(now()),
        paid_through: None,
        suspended_at: None,
        payment_method_id: None,
        ended_at: None,
    };
    let bill = Bill {
        currency: Currency::USD,
        amount_paid: Some(1999),
        amount_due: Some(2000),
        payment_intent_id: Some(order.payment_intents[0].clone()),
        period_start: Some(now()),
        period_end: Some(later()),
        created_at: Some(now()),
    };
    let receipt_id = || Some(ReceiptId::new(unique("receipt")).unwrap());
    let invoice = Invoice {
        bill: Fact::new(now(), bill),
        paid_at: Some(now()),
        failed_at: Some(later()),
        notice_id: receipt_id(),
    };
    let bare_invoice = Invoice {
        bill: Fact::new(now(), kit::story::bill()),
        paid_at: None,
        failed_at: None,
        notice_id: None,
    };
    Subscription {
        version: 1,
        snapshot: Some(Fact::new(now(), snapshot)),
        ended_at: Some(precise(0).at),
        paid_through: Some(later()),
        invoices: [invoice, bare_invoice]
            .map(|invoice| (invoice_id(), invoice))
            .into(),
        created_at: Some(now()),
        born_with: Some(invoice_id()),
        beginning: Some(Beginning {
            order_id: order.order_id.clone(),
            invoice_id: Some(invoice_id()),
            placed_at: now(),
            payment_intents: order.payment_intents.clone(),
        }),
        products,
        trial_notice_id: receipt_id(),
        ..Subscription::new(
            kit::flex_id(),
            customer_id,
            order.subscription_id.clone().unwrap(),
        )
    }
}

fn entitlement(subscription: &Subscription, product_id: &ProductId) -> Entitlement {
    let other = Grantor::new(unique("fcs")).unwrap();
    let grantor = Grantor::from(&subscription.subscription_id);
    let access = Access {
        until: Some(later()),
        reason: Reason::CancelsAtPeriodEnd,
    };
    Entitlement {
        customer_id: subscription.customer_id.clone(),
        product_id: product_id.clone(),
        access_until: later(),
        reason: access.reason,
        reason_text: access.reason.to_string(),
        granted_by: grantor.clone(),
        version: 1,
        grants: BTreeMap::from([
            (grantor, access),
            (
                other,
                Access {
                    until: None,
                    reason: Reason::NotPaidYet,
                },
            ),
        ]),
    }
}

fn any_receipt_id() -> ReceiptId {
    ReceiptId::new(unique("receipt")).unwrap()
}

fn refunds_of(payment: &PaymentIntentId) -> [(RefundId, Refund); 2] {
    let refund = |status, goods, receipt_id: Option<ReceiptId>| Refund {
        succeeded: true,
        facts: Fact::new(
            later(),
            refund::RefundFacts {
                status,
                word: "a_word".into(),
                currency: Currency::USD,
                amount: 500,
                payment_intent_id: payment.clone(),
                goods,
                goods_unclear: true,
                invoice_id: None,
                made_at: Some(later()),
            },
        ),
        failed: true,
        correction_id: receipt_id.clone(),
        receipt_id,
    };
    let refunds = [
        refund(
            refund::RefundStatus::Succeeded,
            vec![Goods {
                sku: Sku::new("SKU-1").unwrap(),
                quantity: 2,
            }],
            Some(any_receipt_id()),
        ),
        refund(refund::RefundStatus::Unknown, Vec::new(), None),
    ];
    refunds.map(|refund| (RefundId::new(unique("fre")).unwrap(), refund))
}

fn disputes_of(payment: &PaymentIntentId) -> [(DisputeId, Dispute); 2] {
    let dispute = |due_by: Option<Timestamp>, reason: Option<&str>, funds| Dispute {
        facts: Fact::new(
            later(),
            dispute::DisputeFacts {
                status: dispute::DisputeStatus::Open,
                word: "needs_response".into(),
                amount: 2927,
                currency: Currency::USD,
                payment_intent_id: payment.clone(),
                reason: reason.map(str::to_owned),
                due_by,
            },
        ),
        closed: due_by.map(|at| Fact::new(at, ()).stamp),
        funds,
    };
    let funds = Fact::new(later(), dispute::DisputeFunds::Withdrawn);
    let disputes = [
        dispute(Some(later()), Some("fraudulent"), Some(funds)),
        dispute(None, None, None),
    ];
    disputes.map(|dispute| (DisputeId::new(unique("fdsp")).unwrap(), dispute))
}
