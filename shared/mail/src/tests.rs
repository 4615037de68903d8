use super::*;
use domain::{
    access::contact,
    sale::{
        details::{Details, Metadata},
        event_history::EventHistory,
        order::{OrderKind, OrderLine, Period},
        payment,
        refund::{self, Refund},
        shipment::{FulfillmentFacts, Method, Package, Progress},
        statement::{Capture, Certification, Eligibility, Totals},
        stock::LineStock,
    },
    values::{
        facts::Fact,
        ids::{
            CustomerId, FulfillmentId, InvoiceId, LineItemId, OrderId, PaymentIntentId, RefundId,
            SubscriptionId,
        },
        money::Currency,
        note::Notes,
        provider::EligibilityPolicy,
    },
};
use jiff::Timestamp;
use proptest::{prelude::*, sample::select};
use std::collections::BTreeMap;

const NOT_ELIGIBLE: &str = "not_eligible";

/// Words for "eligible" that Flex sends or might send.
const ELIGIBLE: [&str; 8] = [
    "auto_substantiation",
    "private_label",
    "letter_of_medical_necessity",
    "prescription",
    "vision",
    "service",
    "dual_purpose",
    "",
];

/// Words that no receipt may say about a customer, for any purchase.
const MEDICAL_WORDS: &str = "letter medical medicine necessity necessary lmn prescription prescribed rx doctor \
    physician provider patient diagnos condition disease illness treat therap clinic health consult visit vision \
    substantiat private_label qualif";

fn merchant() -> Merchant {
    Merchant::new(Settings {
        name: "Northwind & Daughters",
        address: "12 Hill Road|Portland, OR 97201",
        support_email: "help@northwind.example",
        sender: "receipts@northwind.example",
        time_zone: "America/New_York",
        test_recipient: Some("qa@northwind.example"),
    })
    .unwrap()
}

/// The eligibility that the provider states with this word.
fn word(word: &str) -> Eligibility {
    let certification = match word {
        NOT_ELIGIBLE => Certification::NotEligible,
        _ => Certification::Certified,
    };
    Eligibility {
        certification,
        word: word.to_owned(),
    }
}

fn line(number: usize, description: &str, eligibility: &str, amounts: Totals) -> OrderLine {
    OrderLine {
        line_item_id: LineItemId::new(format!("fli_{number}")).unwrap(),
        description: description.to_owned(),
        quantity: 1,
        unit_amount: Some(amounts.subtotal),
        amounts,
        eligibility: Some(word(eligibility)),
        product_id: None,
        price_id: None,
        stock: LineStock::Unmapped,
        metadata: Metadata::default(),
        grants: None,
    }
}

/// One eligible and one other line, with discount, tax and shipping, paid in two payments.
fn order() -> Order {
    let order_id = OrderId::new("fcs_01K76ZD8Q2V3N4M5P6R7S8T9VW").unwrap();
    let mat = Totals {
        subtotal: 5000,
        discount: 500,
        tax: 371,
        shipping: 400,
        fees: 0,
        total: 5271,
    };
    let scarf = Totals {
        subtotal: 2900,
        discount: 0,
        tax: 240,
        shipping: 200,
        fees: 0,
        total: 3340,
    };
    Order {
        receipt_id: Some(
            Receipt::for_order(&order_id, Timestamp::UNIX_EPOCH)
                .unwrap()
                .receipt_id,
        ),
        order_id,
        kind: OrderKind::Sale,
        version: 1,
        provider: "flex".parse().unwrap(),
        eligibility: EligibilityPolicy::Stated,
        client_reference_id: Some("NW-1042".to_owned()),
        mode: Mode::Live,
        placed_at: at("2025-10-10T09:53:00Z"),
        fulfilled_at: Some(at("2025-10-10T09:53:04Z")),
        customer: Customer {
            customer_id: Some(customer_id()),
            name: Some("Sam Rivera".to_owned()),
            email: Some("sam.rivera@example.com".to_owned()),
        },
        currency: Currency::USD,
        totals: Totals {
            subtotal: 7900,
            discount: 500,
            tax: 611,
            shipping: 600,
            fees: 0,
            total: 8611,
        },
        tax_included: false,
        received: None,
        is_unpaid: false,
        stamp: None,
        holds: std::collections::BTreeSet::new(),
        waived: std::collections::BTreeSet::new(),
        exceptions: std::collections::BTreeSet::new(),
        fulfillments: std::collections::BTreeMap::new(),
        reservation: domain::sale::reservation::Reservation::default(),
        capture: Capture::Automatic,
        closed: None,
        least_charge: 50,
        payment_intents: ["fpi_1", "fpi_2"]
            .map(|id| PaymentIntentId::new(id).unwrap())
            .into(),
        lines: vec![
            OrderLine {
                quantity: 2,
                unit_amount: Some(2500),
                ..line(
                    1,
                    "Acupressure mat, organic cotton",
                    "letter_of_medical_necessity",
                    mat,
                )
            },
            line(2, "Linen scarf, moss green", NOT_ELIGIBLE, scarf),
        ],
        difference: None,
        shortfalls: vec![],
        payments: BTreeMap::new(),
        refunds: BTreeMap::new(),
        disputes: BTreeMap::new(),
        subscription_id: None,
        invoice_id: None,
        period: None,
        same_reference: vec![],
        delivery_failures: BTreeMap::new(),
        notes: Notes::default(),
        event_history: EventHistory::default(),
        details: Details::default(),
        is_erased: false,
        bundle: String::new(),
    }
}

fn at(time: &str) -> Timestamp {
    time.parse().unwrap()
}

fn customer_id() -> CustomerId {
    CustomerId::new("fcus_1").unwrap()
}

fn payment_id(number: u8) -> PaymentIntentId {
    PaymentIntentId::new(format!("fpi_{number}")).unwrap()
}

/// A kind of order with a kind of mail.
type Kind = (OrderKind, ReceiptKind);

fn renewal() -> Kind {
    (OrderKind::Renewal, ReceiptKind::Order)
}

/// The order as one of this kind.
fn of_kind(order: &Order, kind: OrderKind) -> Order {
    let period = Period {
        start: at("2025-10-10T09:53:00Z"),
        end: at("2025-11-10T09:53:00Z"),
    };
    Order {
        kind,
        period: (kind == OrderKind::Renewal).then_some(period),
        ..order.clone()
    }
}

fn refund_id() -> RefundId {
    RefundId::new("fre_1").unwrap()
}

fn refund() -> Kind {
    let kind = ReceiptKind::Refund {
        refund_id: refund_id(),
        amount: 2000,
        refunded_at: at("2025-10-20T13:53:00Z"),
    };
    (OrderKind::Sale, kind)
}

fn refund_failed() -> Kind {
    let kind = ReceiptKind::RefundFailed {
        refund_id: refund_id(),
        amount: 2000,
        refunded_at: at("2025-10-20T13:53:00Z"),
    };
    (OrderKind::Sale, kind)
}

fn payment_failed(amount: Option<i64>) -> Kind {
    let kind = ReceiptKind::PaymentFailed {
        subscription_id: SubscriptionId::new("fsub_1").unwrap(),
        invoice_id: InvoiceId::new("fin_3").unwrap(),
        amount,
    };
    (OrderKind::Sale, kind)
}

fn invoice_payment_failed(amount: Option<i64>) -> Kind {
    let kind = ReceiptKind::InvoicePaymentFailed {
        invoice_id: InvoiceId::new("inv_3").unwrap(),
        number: Some("2025-117".to_owned()),
        amount,
    };
    (OrderKind::Sale, kind)
}

fn shipment() -> Kind {
    let fulfillment_id = FulfillmentId::new("ful_1").unwrap();
    (OrderKind::Sale, ReceiptKind::Shipment { fulfillment_id })
}

/// The order with a fulfillment.
fn shipped(method: Method, goods: &[(&str, u32)], packages: Vec<Package>) -> Order {
    let goods = goods
        .iter()
        .map(|(id, n)| (LineItemId::new(*id).unwrap(), *n));
    let facts = FulfillmentFacts {
        progress: Progress::Underway,
        word: "dispatched".to_owned(),
        method: Some(method),
        goods: goods.collect(),
        packages,
    };
    let fact = Fact::new(at("2025-10-12T09:53:00Z"), facts);
    Order {
        fulfillments: [(FulfillmentId::new("ful_1").unwrap(), fact)].into(),
        ..order()
    }
}

fn package(link: Option<&str>) -> Package {
    Package {
        carrier: Some("Example Post".to_owned()),
        tracking_number: Some("EX-1042".to_owned()),
        tracking_url: link.map(str::to_owned),
    }
}

fn trial_ends() -> Kind {
    let kind = ReceiptKind::TrialEnds {
        subscription_id: SubscriptionId::new("fsub_1").unwrap(),
        ends_at: at("2025-10-24T09:53:00Z"),
    };
    (OrderKind::Sale, kind)
}

fn kinds() -> [Kind; 8] {
    [
        (OrderKind::Sale, ReceiptKind::Order),
        renewal(),
        refund(),
        refund_failed(),
        payment_failed(Some(4999)),
        invoice_payment_failed(Some(4999)),
        shipment(),
        trial_ends(),
    ]
}

/// A refund on its order.
fn refunded(status: refund::RefundStatus, amount: i64, payment: u8) -> Refund {
    let payment_intent_id = payment_id(payment);
    Refund::new(Fact::new(
        at("2025-10-20T13:53:00Z"),
        refund::RefundFacts {
            status,
            word: String::new(),
            amount,
            currency: Currency::USD,
            payment_intent_id,
            goods: vec![],
            goods_unclear: false,
            invoice_id: None,
            made_at: None,
        },
    ))
}

/// The order with that refund of $20.00, and one of $5.00 before it.
fn refunded_order(last: Refund) -> Order {
    let before = refunded(refund::RefundStatus::Succeeded, 500, 1);
    let refunds = [
        (refund_id(), last),
        (RefundId::new("fre_0").unwrap(), before),
    ];
    Order {
        refunds: refunds.into(),
        ..order()
    }
}

fn paid_with(facts: [Option<payment::PaymentFacts>; 2]) -> Order {
    let facts = facts.into_iter().zip(1..).filter_map(|(facts, number)| {
        Some((payment_id(number), Fact::new(order().placed_at, facts?)))
    });
    Order {
        payments: facts.collect(),
        ..order()
    }
}

fn facts(
    status: payment::PaymentStatus,
    received: Option<i64>,
    amount: i64,
    card: Option<&str>,
) -> payment::PaymentFacts {
    payment::PaymentFacts {
        received,
        amount: Some(amount),
        card: card.map(str::to_owned),
        ..payment::PaymentFacts::bare(status, "", Currency::USD)
    }
}

fn contact(name: &str, email: &str) -> Contact {
    let facts = contact::ContactFacts {
        name: Some(name.to_owned()),
        email: Some(email.to_owned()),
    };
    let mut contact = Contact::new(customer_id());
    contact.learn(Some(Fact::new(at("2025-10-19T00:00:00Z"), facts)));
    contact
}

/// The mail of this kind about the order as it is.
fn composed(
    order: &Order,
    kind: ReceiptKind,
    contact: Option<&Contact>,
    templates: &Templates,
) -> Result<Email, Unsendable> {
    let receipt = Receipt::new(&order.order_id, kind, None, order.placed_at).unwrap();
    compose(order, &receipt, contact, &merchant(), templates)
}

fn written(
    order: &Order,
    (of, kind): Kind,
    contact: Option<&Contact>,
) -> Result<Email, Unsendable> {
    let templates = Templates::built_in().unwrap();
    composed(&of_kind(order, of), kind, contact, &templates)
}

fn sent(order: &Order) -> Result<Email, Unsendable> {
    written(order, (OrderKind::Sale, ReceiptKind::Order), None)
}

fn mail(order: &Order) -> Email {
    sent(order).unwrap()
}

fn mail_of(order: &Order, kind: Kind) -> Email {
    written(order, kind, None).unwrap()
}

fn own(form: Form, sources: Sources) -> Result<Templates, BadTemplates> {
    Templates::new(BTreeMap::from([(form, sources)]))
}

/// Built-in templates, but for the subject of this form.
fn own_subject(form: Form, subject: &str) -> Templates {
    let subject = Some(subject.to_owned());
    let sources = Sources {
        subject,
        ..Sources::default()
    };
    own(form, sources).unwrap()
}

fn own_html(form: Form, html: &str) -> Result<Templates, BadTemplates> {
    let html = Some(html.to_owned());
    let sources = Sources {
        html,
        ..Sources::default()
    };
    own(form, sources)
}

/// Compares subject, text and HTML with the snapshots of this name.
fn assert_snapshots(name: &str, mail: &Email) {
    insta::assert_snapshot!(format!("{name}_subject"), mail.subject);
    insta::assert_snapshot!(format!("{name}_text"), mail.text);
    insta::assert_snapshot!(format!("{name}_html"), mail.html);
}

fn has_row(text: &str, label: &str, amount: &str) -> bool {
    text.lines()
        .any(|line| line.trim_start().starts_with(label) && line.ends_with(amount))
}

fn test_order() -> Order {
    Order {
        mode: Mode::Test,
        ..order()
    }
}

/// Checks that a mail goes to the merchant, and says that it is a test and to whom it would have gone.
fn assert_test(mail: &Email, recipient: &str) {
    let to = (mail.to.as_str(), &mail.to_name);
    assert_eq!(to, ("qa@northwind.example", &None));
    for part in [&mail.subject, &mail.text, &mail.html] {
        assert!(part.contains(TEST_MARKER), "{part}");
    }
    let note = format!("would have gone to {recipient}");
    assert!(mail.text.contains(&format!("{note}.")), "{}", mail.text);
    assert!(mail.html.contains(&note), "{}", mail.html);
}

fn named(name: &str) -> Order {
    let mut order = order();
    order.customer.name = Some(name.to_owned());
    order
}

#[test]
fn a_receipt_with_an_eligible_and_another_line() {
    let mail = mail(&order());
    insta::assert_snapshot!("subject", mail.subject);
    insta::assert_snapshot!("text", mail.text);
    insta::assert_snapshot!("html", mail.html);
    assert_eq!(mail.from_name, "Northwind & Daughters");
    assert_eq!(mail.from.as_str(), "receipts@northwind.example");
    assert_eq!(mail.reply_to.as_str(), "help@northwind.example");
    assert_eq!(mail.to.as_str(), "sam.rivera@example.com");
    assert_eq!(mail.to_name.as_deref(), Some("Sam Rivera"));
    assert_eq!(
        (Some(mail.receipt_id), mail.kind),
        (order().receipt_id, ReceiptKind::Order)
    );
}

/// A renewal after a switch of plans: the items of the new plan, for less than their prices, for the month that begins.
fn renewed() -> Order {
    let item = |subtotal, discount| Totals {
        subtotal,
        discount,
        total: subtotal - discount,
        ..Totals::default()
    };
    let order_id = OrderId::new("fin_01K9Q2ZD8Q2V3N4M5P6R7S8T9V").unwrap();
    let receipt = Receipt::for_order(&order_id, Timestamp::UNIX_EPOCH).unwrap();
    Order {
        receipt_id: Some(receipt.receipt_id),
        kind: OrderKind::Renewal,
        client_reference_id: None,
        placed_at: at("2025-11-10T09:56:10Z"),
        fulfilled_at: Some(at("2025-11-10T09:56:14Z")),
        totals: item(6998, 700),
        received: Some(6298),
        payment_intents: vec![payment_id(3)],
        lines: vec![
            line(1, "Guided training, one month", "letter", item(4999, 500)),
            line(2, "Video library, one month", NOT_ELIGIBLE, item(1999, 200)),
        ],
        subscription_id: Some(SubscriptionId::new("fsub_1").unwrap()),
        invoice_id: Some(InvoiceId::new(order_id.as_str()).unwrap()),
        period: Some(Period {
            start: at("2025-11-10T09:56:01Z"),
            end: at("2025-12-10T09:56:01Z"),
        }),
        order_id,
        ..order()
    }
}

#[test]
fn a_renewals_receipt_shows_the_current_items_the_paid_period_and_the_amount_paid() {
    let templates = Templates::built_in().unwrap();
    let mail = composed(&renewed(), ReceiptKind::Order, None, &templates).unwrap();
    assert_snapshots("renewal", &mail);
}

#[test]
fn a_renewal_whose_period_is_not_told_has_none() {
    let order = Order {
        kind: OrderKind::Renewal,
        ..order()
    };
    let templates = Templates::built_in().unwrap();
    let mail = composed(&order, ReceiptKind::Order, None, &templates).unwrap();
    assert!(mail.subject.contains("renewal"), "{}", mail.subject);
    for part in [mail.text, mail.html] {
        assert!(!part.contains("Period"), "{part}");
    }
}

#[test]
fn a_refunds_receipt_tells_what_went_back_and_what_is_left() {
    let order = refunded_order(refunded(refund::RefundStatus::Succeeded, 2000, 2));
    let mail = mail_of(&order, refund());
    assert_snapshots("refund", &mail);
    for line in &order.lines {
        assert!(
            !mail.text.contains(&line.description),
            "which item came back is not known: {}",
            mail.text
        );
    }
}

#[test]
fn a_refund_that_does_not_count_towards_the_order_shows_no_totals() {
    let failed_since = refunded(refund::RefundStatus::Failed, 2000, 2);
    for order in [refunded_order(failed_since), order()] {
        let mail = mail_of(&order, refund());
        assert!(has_row(&mail.text, "Refunded", "$20.00"), "{}", mail.text);
        for part in [mail.text, mail.html] {
            assert!(
                !part.contains("so far") && !part.contains("Remaining"),
                "{part}"
            );
        }
    }
}

#[test]
fn more_refunds_than_payments_leave_nothing_and_not_less() {
    let order = refunded_order(refunded(refund::RefundStatus::Succeeded, 9000, 2));
    let mail = mail_of(&order, refund());
    assert!(has_row(&mail.text, "Remaining", "$0.00"), "{}", mail.text);
}

#[test]
fn the_correction_of_a_refund_tells_which_one_did_not_go_through() {
    let mail = mail_of(&order(), refund_failed());
    assert_snapshots("refund_failed", &mail);
}

/// Checks that a notice states no amount that is unknown or not due.
fn assert_no_amount(kind: fn(Option<i64>) -> Kind) {
    for amount in [None, Some(0), Some(-5)] {
        let mail = mail_of(&order(), kind(amount));
        for part in [mail.text, mail.html] {
            assert!(!part.contains('$'), "{amount:?}: {part}");
        }
    }
}

#[test]
fn a_notice_of_a_failed_payment_tells_what_is_owed_where_that_is_known() {
    let mail = mail_of(&order(), payment_failed(Some(4999)));
    assert_snapshots("payment_failed", &mail);
    assert_no_amount(payment_failed);
}

#[test]
fn a_notice_of_an_invoice_names_its_number_and_the_amount_due_if_known() {
    let mail = mail_of(&order(), invoice_payment_failed(Some(4999)));
    assert_snapshots("invoice_payment_failed", &mail);
    assert_no_amount(invoice_payment_failed);
}

#[test]
fn a_notice_of_a_shipment_names_its_goods_and_how_to_follow_them() {
    let link = "https://track.example.com/?n=EX-1042&lang=en";
    let sent = shipped(Method::Shipment, &[("fli_1", 1)], vec![package(Some(link))]);
    let mail = mail_of(&sent, shipment());
    assert_snapshots("shipment", &mail);
    let ready = shipped(Method::Pickup, &[], Vec::new());
    let mail = mail_of(&ready, shipment());
    insta::assert_snapshot!("shipment_pickup_text", mail.text);
    assert!(
        mail.subject.ends_with("are ready for pickup"),
        "{}",
        mail.subject
    );
    for mail in [mail.html, mail_of(&order(), shipment()).html] {
        assert!(!mail.contains("Package"), "{mail}");
    }
}

#[test]
fn a_notice_of_a_shipment_shows_all_goods_or_none() {
    let sent = shipped(Method::Shipment, &[("fli_1", 1), ("fli_9", 1)], Vec::new());
    let mail = mail_of(&sent, shipment());
    assert!(!mail.text.contains("mat"), "{}", mail.text);
    assert!(!mail.html.contains("mat,"), "{}", mail.html);
}

#[test]
fn a_link_of_a_package_is_https_and_undisguised() {
    let long = format!("https://track.example.com/{}", "x".repeat(500));
    for link in [
        "http://track.example.com/1",
        "javascript:alert(1)",
        "https://",
        "https://track.example.com/1 2",
        "https://track.example.com/\u{202e}1",
        "track.example.com",
        &long,
        "",
    ] {
        let packages = vec![package(Some(link))];
        let mail = mail_of(&shipped(Method::Shipment, &[], packages), shipment());
        assert!(mail.text.contains("EX-1042"), "{link}");
        for (part, unwanted) in [
            (&mail.text, "track.example"),
            (&mail.html, "Track package"),
            (&mail.html, "javascript"),
        ] {
            assert!(!part.contains(unwanted), "{link}: {part}");
        }
    }
    let quoted = "https://track.example.com/\"><script>";
    let packages = vec![package(Some(quoted))];
    let mail = mail_of(&shipped(Method::Shipment, &[], packages), shipment());
    assert!(!mail.html.contains("<script"), "{}", mail.html);
}

#[test]
fn a_notice_of_a_trials_end_tells_when_and_what_then() {
    let mail = mail_of(&order(), trial_ends());
    assert_snapshots("trial_ends", &mail);
}

#[test]
fn several_payments_are_listed_when_all_of_them_are_told() {
    use domain::sale::payment::PaymentStatus::{Canceled, Failed, Processing, Received};
    let primary = || Some(facts(Received, Some(5271), 6000, Some("primary")));
    let rows = |facts| {
        let mail = mail(&paid_with(facts));
        let rows = mail
            .text
            .lines()
            .filter(|line| line.contains("Payment ") && line.contains('$'));
        let rows: Vec<_> = rows
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        for row in &rows {
            let (label, amount) = row.rsplit_once(' ').unwrap();
            assert!(
                mail.html.contains(label) && mail.html.contains(amount),
                "{row}: {}",
                mail.html
            );
        }
        (rows, mail.text.contains("Paid in 2 payments"))
    };
    let both = ["Payment 1 (primary card) $52.71", "Payment 2 $33.40"]
        .map(str::to_owned)
        .to_vec();
    let second = |status, received| Some(facts(status, received, 3340, None));
    assert_eq!(rows([primary(), second(Received, None)]), (both, true));
    // A partial list looks complete.
    for second in [None, second(Processing, None), second(Failed, Some(0))] {
        assert_eq!(rows([primary(), second]), (vec![], true));
    }
    // A canceled payment paid nothing.
    let canceled = second(Canceled, Some(0));
    assert_eq!(rows([primary(), canceled]), (vec![], false));
}

#[test]
fn what_comes_after_the_sale_goes_to_where_the_customer_is_reached_now() {
    let newest = contact("Sam Rivera-Lee", "sam@new.example");
    for kind in kinds() {
        let mail = written(&order(), kind.clone(), Some(&newest)).unwrap();
        let expected = match kind {
            (OrderKind::Sale, ReceiptKind::Order) => ("sam.rivera@example.com", Some("Sam Rivera")),
            _ => ("sam@new.example", Some("Sam Rivera-Lee")),
        };
        assert_eq!((mail.to.as_str(), mail.to_name.as_deref()), expected);
        let unknown = Contact::new(customer_id());
        for contact in [None, Some(&unknown)] {
            let mail = written(&order(), kind.clone(), contact).unwrap();
            assert_eq!(mail.to.as_str(), "sam.rivera@example.com", "{kind:?}");
        }
    }
}

#[test]
fn nobody_writes_to_a_deleted_customer_but_for_the_receipt_of_the_sale() {
    let mut gone = contact("Sam", "sam@new.example");
    gone.learn(None);
    for order in [order(), test_order()] {
        for kind in kinds() {
            let mail = written(&order, kind.clone(), Some(&gone));
            match kind {
                (OrderKind::Sale, ReceiptKind::Order) => assert!(mail.is_ok(), "{mail:?}"),
                _ => assert_eq!(mail, Err(Unsendable::Deleted)),
            }
        }
    }
}

#[test]
fn what_a_template_may_use_is_a_promise() {
    // Merchants' templates rely on every name: add, never rename or remove.
    insta::assert_snapshot!(
        "contract",
        serde_json::to_string_pretty(&Sample::Test.view(Form::Receipt)).unwrap()
    );
    let view = |sample: Sample, form| serde_json::to_value(sample.view(form)).unwrap();
    for form in Form::ALL {
        // The additional values of the other mails, with and without optional ones.
        for sample in [Sample::Full, Sample::Bare] {
            let (receipt, other) = (view(sample, Form::Receipt), view(sample, form));
            let (receipt, other) = (receipt.as_object().unwrap(), other.as_object().unwrap());
            let more: serde_json::Map<_, _> = other
                .iter()
                .filter(|(name, value)| receipt[*name] != **value)
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect();
            let name = format!("contract_{form}_{sample:?}")
                .replace('-', "_")
                .to_lowercase();
            if form != Form::Receipt {
                insta::assert_snapshot!(name, serde_json::to_string_pretty(&more).unwrap());
            }
        }
    }
}

#[test]
fn a_test_mode_receipt_goes_to_the_merchant_and_says_so() {
    let mail = mail(&test_order());
    insta::assert_snapshot!("test_subject", mail.subject);
    insta::assert_snapshot!("test_text", mail.text);
    assert_test(&mail, "sam.rivera@example.com");
}

#[test]
fn every_mail_of_a_test_mode_order_goes_to_the_merchant_and_says_so() {
    let newest = contact("Sam", "sam@new.example");
    for kind in kinds() {
        let recipient = match kind {
            (OrderKind::Sale, ReceiptKind::Order) => "sam.rivera@example.com",
            _ => "sam@new.example",
        };
        let mail = written(&test_order(), kind, Some(&newest)).unwrap();
        assert_test(&mail, recipient);
    }
}

#[test]
fn a_test_mode_receipt_needs_no_customer_address() {
    let mut order = test_order();
    for email in [None, Some("nonsense"), Some("\r\n")] {
        order.customer.email = email.map(str::to_owned);
        assert_eq!(mail(&order).to.as_str(), "qa@northwind.example");
    }
}

#[test]
fn a_live_receipt_says_nothing_of_tests() {
    for kind in kinds() {
        let mail = mail_of(&order(), kind);
        for part in [&mail.subject, &mail.text, &mail.html] {
            assert!(!part.contains("TEST"), "{part}");
        }
    }
}

#[test]
fn a_bare_order_has_a_receipt_without_empty_rows() {
    let amounts = Totals {
        subtotal: 5000,
        total: 5000,
        ..Totals::default()
    };
    let mat = OrderLine {
        unit_amount: None,
        eligibility: None,
        ..line(1, "Mat", "", amounts)
    };
    let mail = mail(&Order {
        client_reference_id: None,
        customer: Customer {
            email: Some("sam@example.com".to_owned()),
            ..Customer::default()
        },
        totals: amounts,
        payment_intents: vec![],
        lines: vec![mat],
        ..order()
    });
    insta::assert_snapshot!("bare_subject", mail.subject);
    insta::assert_snapshot!("bare_text", mail.text);
    for absent in [
        "Discount",
        "Tax",
        "Shipping",
        "Fee",
        "Payment",
        "Customer",
        "Not assigned",
        "none",
        "$0.00 paid",
    ] {
        assert!(
            !mail.html.contains(&format!(">{absent}")),
            "{absent}: {}",
            mail.html
        );
    }
}

#[test]
fn no_address_and_a_bad_address_are_told_apart() {
    let mut order = order();
    for (email, reason) in [
        (None, Unsendable::NoAddress),
        (Some("  "), Unsendable::NoAddress),
        (
            Some("sam@example.com\r\nBcc: eve@example.com"),
            Unsendable::BadAddress(BadAddress::Form),
        ),
        (
            Some("sám@example.com"),
            Unsendable::BadAddress(BadAddress::NotAscii),
        ),
    ] {
        order.customer.email = email.map(str::to_owned);
        let refused = sent(&order).unwrap_err();
        assert_eq!(refused, reason);
        assert!(!refused.to_string().contains("example.com"), "{refused}");
    }
}

#[test]
fn the_receipt_of_another_order_is_not_sent() {
    let other = OrderId::new("fcs_other").unwrap();
    let receipt = Receipt::for_order(&other, order().placed_at).unwrap();
    let templates = Templates::built_in().unwrap();
    let refused = compose(&order(), &receipt, None, &merchant(), &templates);
    assert_eq!(refused, Err(Unsendable::OtherOrder));
}

#[test]
fn nothing_foreign_ends_a_header_or_opens_a_tag() {
    let evil = "<script>alert(\"1\")</script> & 'Sons'\r\nBcc: eve@example.com\u{202E}";
    let mut order = named(evil);
    order.client_reference_id = Some(evil.to_owned());
    order.lines[0].description = evil.to_owned();
    let settings = Settings {
        name: evil,
        address: "12 Hill Road",
        support_email: "help@northwind.example",
        sender: "receipts@northwind.example",
        time_zone: "UTC",
        test_recipient: None,
    };
    let merchant = Merchant::new(settings).unwrap();
    let templates = Templates::built_in().unwrap();
    let paid = |amount, card| {
        let status = payment::PaymentStatus::Received;
        Some(facts(status, Some(amount), amount, Some(card)))
    };
    order.payments = paid_with([paid(5271, evil), paid(3340, "\r\n")]).payments;
    let evil_package = Package {
        carrier: Some(evil.to_owned()),
        ..package(Some(evil))
    };
    order.fulfillments =
        shipped(Method::Shipment, &[("fli_1", 1)], vec![evil_package]).fulfillments;
    for kind in kinds() {
        let shows_items = !matches!(
            kind.1,
            ReceiptKind::Refund { .. } | ReceiptKind::RefundFailed { .. }
        );
        let order = of_kind(&order, kind.0);
        let receipt = Receipt::new(&order.order_id, kind.1, None, order.placed_at).unwrap();
        let newest = contact(evil, "sam@example.com");
        let mail = compose(&order, &receipt, Some(&newest), &merchant, &templates).unwrap();
        for header in [
            &mail.from_name,
            mail.to_name.as_ref().unwrap(),
            &mail.subject,
        ] {
            assert!(
                !header.contains(char::is_control) && !header.contains('\u{202E}'),
                "{header:?}"
            );
        }
        assert!(!mail.html.contains("<script"), "{}", mail.html);
        assert!(
            mail.html.contains("&lt;script&gt;alert(&quot;1&quot;)"),
            "{}",
            mail.html
        );
        let harmless = "<script>alert(\"1\")</script> & 'Sons' Bcc: eve@example.com";
        assert!(
            !shows_items || mail.text.contains(harmless),
            "{}",
            mail.text
        );
        for body in [&mail.text, &mail.html] {
            assert!(
                !body.contains("\nBcc") && !body.contains(['\r', '\u{202E}']),
                "{body}"
            );
        }
    }
}

#[test]
fn eligible_other_and_unassigned_amounts_make_the_total() {
    let mut order = order();
    order.totals.total += 150;
    let text = mail(&order).text;
    for row in [
        ("HSA/FSA eligible items", "$52.71"),
        ("Other items", "$34.90"),
        ("Not assigned to an item", "$1.50"),
    ] {
        assert!(has_row(&text, row.0, row.1), "{row:?}: {text}");
    }
}

#[test]
fn why_an_item_is_eligible_does_not_show() {
    let with = |eligibility: &str, kind: &Kind| {
        let mut order = order();
        order.lines[0].eligibility = Some(word(eligibility));
        mail_of(&order, kind.clone())
    };
    for kind in kinds() {
        let first = with(ELIGIBLE[0], &kind);
        for eligibility in ELIGIBLE {
            assert_eq!(with(eligibility, &kind), first, "{eligibility}");
        }
        let shows = kind.1 == ReceiptKind::Order;
        assert_eq!(with(NOT_ELIGIBLE, &kind) != first, shows, "{kind:?}");
    }
}

/// Checks that no mail about the order has one of these words.
fn assert_no_word(order: &Order, words: &str) {
    for kind in kinds() {
        let mail = mail_of(order, kind);
        for part in [mail.subject, mail.text, mail.html] {
            let read = part.to_lowercase();
            for word in words.split(' ') {
                assert!(!read.contains(word), "{word}: {part}");
            }
        }
    }
}

#[test]
fn the_stock_of_words_holds_no_medical_one() {
    let order = refunded_order(refunded(refund::RefundStatus::Succeeded, 2000, 2));
    for mode in [Mode::Live, Mode::Test] {
        let order = Order {
            mode,
            ..order.clone()
        };
        assert_no_word(&order, MEDICAL_WORDS);
    }
}

#[test]
fn a_template_that_cannot_work_is_refused_at_start_by_name_and_line() {
    for (source, fault) in [
        ("<p>\n{{ merchant.name }", ", line 2: syntax error"),
        ("{{ test.marker }}", ", line 1: undefined value"),
        ("\n\n{{ order.number }}", ", line 3: undefined value"),
        (
            "<p>\n{{ customer_name }}",
            ", line 2: invalid operation: a value of kind none cannot be printed",
        ),
        (
            "{{ totals.total }}",
            ", line 1: invalid operation: a value of kind map cannot be printed",
        ),
        ("{{ lines|nosuch }}", ", line 1: unknown filter"),
        (
            "{% include 'footer.html' %}",
            ", line 1: template not found",
        ),
        ("{% if test %}{% endif %}", ": prints nothing"),
        (
            "<p>Thanks!</p>",
            ": a test-mode mail lacks \"TEST – no real payment\"",
        ),
        (
            "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}",
            ", line 1: engine ran out of fuel",
        ),
    ] {
        let found = own_html(Form::Receipt, source).unwrap_err().to_string();
        let fault = format!("template body.html{fault}");
        assert!(found.starts_with(&fault), "{source:?}: {found:?}");
    }
}

#[test]
fn every_bad_template_is_named_at_once() {
    let bad = Some("{{ nope }}".to_owned());
    let sources = Sources {
        subject: bad.clone(),
        text: None,
        html: bad,
    };
    let error = Templates::new(Form::ALL.map(|form| (form, sources.clone())).into())
        .unwrap_err()
        .to_string();
    let faults: Vec<_> = error.split("; ").collect();
    assert_eq!(faults.len(), 16, "{error}");
    for fault in [
        "template subject.txt, line 1: undefined value",
        "template body.html, line 1: undefined value",
        "template renewal/subject.txt, line 1: undefined value",
        "template payment-failed/body.html, line 1: undefined value",
    ] {
        assert!(faults.contains(&fault), "{fault}: {error}");
    }
}

#[test]
fn a_template_may_use_what_its_own_mail_tells_and_nothing_of_another() {
    let own = |form, words: &str| {
        let hello = "{{ test.marker if test else 'Hello.' }}";
        own_html(form, &format!("{hello} {words}"))
    };
    for (form, words) in [
        (
            Form::Renewal,
            "{{ renewal.amount.text }} {{ renewal.paid_on }}",
        ),
        (
            Form::Refund,
            "{{ refund.amount.text }} {{ refund.refunded_on }}",
        ),
        (
            Form::RefundFailed,
            "{{ failed_refund.amount.text }} {{ failed_refund.refunded_on }}",
        ),
        (
            Form::PaymentFailed,
            "{% if failed_payment.amount %}{{ failed_payment.amount.text }}{% endif %}",
        ),
        (
            Form::InvoicePaymentFailed,
            "{% if failed_invoice.number %}{{ failed_invoice.number }}{% endif %}",
        ),
        (
            Form::Shipment,
            "{{ shipment.is_pickup }}{% for one in shipment.goods %}{{ one.quantity }}{% endfor %}",
        ),
        (Form::TrialEnds, "{{ trial.ends_on }} {{ trial.ends_at }}"),
    ] {
        for other in Form::ALL {
            let is_own = other == form;
            assert_eq!(own(other, words).is_ok(), is_own, "{words} in {other}");
        }
    }
    // Optional values must be tested before they are printed.
    for (form, words) in [
        (Form::Receipt, "{{ eligible.text }}"),
        (Form::Receipt, "{{ lines[0].eligibility }}"),
        (Form::Renewal, "{{ renewal.period.starts_on }}"),
        (Form::Refund, "{{ refund.totals.paid.text }}"),
        (Form::PaymentFailed, "{{ failed_payment.amount.text }}"),
        (Form::InvoicePaymentFailed, "{{ failed_invoice.number }}"),
        (
            Form::InvoicePaymentFailed,
            "{{ failed_invoice.amount.text }}",
        ),
        (
            Form::Shipment,
            "{% for one in shipment.packages %}{{ one.tracking_url }}{% endfor %}",
        ),
    ] {
        assert!(own(form, words).is_err(), "{words} in {form}");
    }
}

#[test]
fn a_merchants_own_renewal_leaves_the_other_mails_as_they_are() {
    let subject = "{{ test.marker if test else '' }} Renewed: {{ renewal.amount.text }}";
    let templates = own_subject(Form::Renewal, subject);
    for kind in kinds() {
        let order = of_kind(&order(), kind.0);
        let mail = composed(&order, kind.1.clone(), None, &templates).unwrap();
        let built_in = mail_of(&order, kind.clone());
        if kind == renewal() {
            assert_eq!(
                (mail.subject.as_str(), mail.html),
                ("Renewed: $86.11", built_in.html)
            );
        } else {
            assert_eq!(mail, built_in);
        }
    }
}

#[test]
fn a_merchant_replaces_one_template_and_keeps_the_others() {
    let subject =
        "{% if test %}{{ test.marker }} {% endif %}Thank you,\n{{ customer_name or 'friend' }}\n";
    let templates = own_subject(Form::Receipt, subject);
    let order = named("O'Neil & Co");
    let own = composed(&order, ReceiptKind::Order, None, &templates).unwrap();
    assert_eq!(own.subject, "Thank you, O'Neil & Co");
    assert_eq!(own.html, mail(&order).html);
}

#[test]
fn a_template_that_fails_on_an_order_is_the_deployments_fault_and_quotes_nothing() {
    let subject = "{{ test.marker if test else 'Hi' }}{% if lines|length > 2 %}{{ customer_name|int }}{% endif %}";
    let templates = own_subject(Form::Receipt, subject);
    let mut order = order();
    order.lines.push(order.lines[0].clone());
    let failed = composed(&order, ReceiptKind::Order, None, &templates).unwrap_err();
    assert_eq!(
        failed.to_string(),
        "template subject.txt, line 1: invalid operation"
    );
}

#[test]
fn fifty_lines_are_not_clipped_and_two_hundred_are_rendered() {
    let amounts = Totals {
        subtotal: 5000,
        discount: 500,
        tax: 371,
        shipping: 400,
        fees: 100,
        total: 5371,
    };
    let with = |count| {
        let line = |number| {
            line(
                number,
                &format!("Acupressure mat {number}, {}", "cotton ".repeat(14)),
                "x",
                amounts,
            )
        };
        mail(&Order {
            lines: (0..count).map(line).collect(),
            ..order()
        })
    };
    // Gmail clips a message at 102 KB, and the totals with it.
    assert!(with(50).html.len() < 60_000, "{}", with(50).html.len());
    assert!(with(200).html.len() < 200_000, "{}", with(200).html.len());
    assert_eq!(with(200).text.matches("Acupressure mat").count(), 200);
}

#[test]
fn the_html_stands_alone() {
    for (kind, title) in kinds().into_iter().zip([
        "<title>Receipt from Northwind &amp; Daughters</title>",
        "<title>Renewal receipt from Northwind &amp; Daughters</title>",
        "<title>Refund from Northwind &amp; Daughters</title>",
        "<title>Your refund from Northwind &amp; Daughters</title>",
        "<title>Your payment to Northwind &amp; Daughters</title>",
        "<title>Your invoice from Northwind &amp; Daughters</title>",
        "<title>Your items from Northwind &amp; Daughters</title>",
        "<title>Your trial with Northwind &amp; Daughters</title>",
    ]) {
        let html = mail_of(&order(), kind).html;
        for wanted in [
            "<html lang=\"en\">",
            title,
            "name=\"color-scheme\" content=\"light dark\"",
            "prefers-color-scheme: dark",
        ] {
            assert!(html.contains(wanted), "{wanted}");
        }
        for unwanted in [
            "http:", "https:", "<img", "<script", "@import", "url(", "{{", "{%",
        ] {
            assert!(!html.contains(unwanted), "{unwanted}");
        }
    }
}

proptest! {
    // Each case builds a new engine, so only a few cases run.
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn no_text_of_an_order_adds_markup(kind in select(kinds().to_vec()), name in any::<String>(), description in any::<String>(), marks in "[<>&\"'/a-z ]{0,40}") {
        let plain = mail_of(&named("Sam"), kind.clone()).html;
        let mut order = named(&format!("Sam {name}{marks}"));
        order.lines[0].description = format!("Mat {description}{marks}");
        order.client_reference_id = Some(format!("NW {marks}"));
        let html = mail_of(&order, kind).html;
        for mark in ['<', '>', '"'] {
            prop_assert_eq!(html.matches(mark).count(), plain.matches(mark).count());
        }
    }

    #[test]
    fn no_line_of_the_text_part_is_wider_than_76_columns(kind in select(kinds().to_vec()), name in "[ -~éüñ]{0,200}", description in "[ -~éüñ]{0,400}", minor in any::<i64>()) {
        let mut order = named(&name);
        order.client_reference_id = Some(name);
        order.lines[0].description = description;
        order.lines[0].amounts.subtotal = minor;
        order.totals.total = minor;
        for line in mail_of(&order, kind).text.lines() {
            prop_assert!(line.chars().count() <= 76, "{line:?}");
            prop_assert_eq!(line, line.trim_end());
        }
    }
}

#[test]
fn only_what_the_provider_certifies_is_called_eligible() {
    let with = |certification: Option<Certification>| {
        let mut order = order();
        order.lines[0].eligibility = certification.map(|certification| Eligibility {
            certification,
            word: "letter_of_medical_necessity".to_owned(),
        });
        mail(&order).text
    };
    let certified = with(Some(Certification::Certified));
    assert!(certified.contains("  HSA/FSA eligible"));
    let unclassified = with(None);
    for other in [Certification::Conditional, Certification::Unknown] {
        assert_eq!(with(Some(other)), unclassified);
    }
    assert!(unclassified.contains("  Not certified as HSA/FSA eligible"));
    for text in [unclassified, with(Some(Certification::NotEligible))] {
        assert!(has_row(&text, "HSA/FSA eligible items", "$0.00"), "{text}");
        assert!(has_row(&text, "Other items", "$86.11"), "{text}");
    }
}

#[test]
fn the_mails_of_a_provider_that_certifies_nothing_have_no_word_of_eligibility() {
    let of = |order: Order| Order {
        provider: "acme".parse().unwrap(),
        eligibility: EligibilityPolicy::Omitted,
        ..order
    };
    let spread = of(part_paid(10_000, 4000, payment::PaymentStatus::Authorized));
    let text = mail(&spread).text;
    assert!(text.contains("the amount paid is spread"), "{text}");
    has_rows(&text, &[("Knee brace", "$40.00"), ("Total paid", "$40.00")]);
    let whole = of(order());
    let receipt = mail(&whole);
    insta::assert_snapshot!("uncertified_text", receipt.text);
    insta::assert_snapshot!("uncertified_html", receipt.html);
    for order in [spread, whole] {
        assert_no_word(&order, "hsa fsa eligib certif");
    }
}

/// The order with one line over this total, of which this was paid.
fn part_paid(total: i64, received: i64, status: payment::PaymentStatus) -> Order {
    let amounts = Totals {
        subtotal: total,
        total,
        ..Totals::default()
    };
    let facts = facts(status, Some(received), total, None);
    Order {
        totals: amounts,
        lines: vec![line(1, "Knee brace", ELIGIBLE[0], amounts)],
        capture: Capture::Manual,
        received: Some(received),
        payment_intents: vec![payment_id(1)],
        payments: [(payment_id(1), Fact::new(order().placed_at, facts))].into(),
        ..order()
    }
}

fn has_rows(text: &str, rows: &[(&str, &str)]) {
    for (label, amount) in rows {
        assert!(has_row(text, label, amount), "{label} {amount}: {text}");
    }
}

#[test]
fn a_partial_capture_shows_the_order_and_the_amount_paid() {
    let Email { text, html, .. } = mail(&part_paid(6994, 4000, payment::PaymentStatus::Received));
    has_rows(
        &text,
        &[
            ("Knee brace", "$40.00"),
            ("Order total", "$69.94"),
            ("Not charged", "-$29.94"),
            ("Total paid", "$40.00"),
            ("HSA/FSA eligible items", "$40.00"),
            ("Other items", "$0.00"),
        ],
    );
    assert!(!text.contains("Still due"));
    insta::assert_snapshot!("part_paid_text", text);
    insta::assert_snapshot!("part_paid_html", html);
}

#[test]
fn a_released_part_payment_shows_what_is_still_due() {
    let text = mail(&part_paid(6994, 5169, payment::PaymentStatus::Authorized)).text;
    has_rows(
        &text,
        &[
            ("Order total", "$69.94"),
            ("Still due", "-$18.25"),
            ("Total paid", "$51.69"),
        ],
    );
}

#[test]
fn an_amount_too_small_to_be_charged_is_waived() {
    let text = mail(&Order {
        payment_intents: vec![],
        payments: BTreeMap::new(),
        ..part_paid(30, 0, payment::PaymentStatus::Canceled)
    })
    .text;
    has_rows(
        &text,
        &[
            ("Order total", "$0.30"),
            ("Waived", "-$0.30"),
            ("Total paid", "$0.00"),
            ("HSA/FSA eligible items", "$0.00"),
        ],
    );
}

#[test]
fn store_credit_of_the_order_is_spread_over_its_items() {
    let mut order = part_paid(10_000, 4000, payment::PaymentStatus::Received);
    order.payments.clear();
    (order.totals.discount, order.totals.total) = (6000, 4000);
    let Email { text, html, .. } = mail(&order);
    has_rows(
        &text,
        &[
            ("Knee brace", "$40.00"),
            ("Subtotal", "$100.00"),
            ("Discount", "-$60.00"),
            ("Total paid", "$40.00"),
            ("HSA/FSA eligible items", "$40.00"),
        ],
    );
    assert!(text.contains("share of adjustments -$60.00") && !text.contains("Order total"));
    insta::assert_snapshot!("store_credit_text", text);
    insta::assert_snapshot!("store_credit_html", html);
}

#[test]
fn a_tax_that_prices_include_is_shown_as_included() {
    let mut order = part_paid(10_000, 10_000, payment::PaymentStatus::Received);
    order.tax_included = true;
    order.totals.tax = 826;
    order.lines[0].amounts.tax = 826;
    let mail = mail(&order);
    has_rows(
        &mail.text,
        &[("Subtotal", "$100.00"), ("Total paid", "$100.00")],
    );
    assert!(mail.text.contains("The order total includes $8.26 tax."));
    assert!(mail.text.contains("Subtotal $100.00 (includes $8.26 tax)"));
    assert!(!has_row(&mail.text, "Tax", "$8.26"));
    assert!(mail.html.contains("The order total includes $8.26 tax."));
    insta::assert_snapshot!("tax_included_text", mail.text);
    insta::assert_snapshot!("tax_included_html", mail.html);
}

#[test]
fn a_one_time_item_is_on_the_receipt_of_the_sale_and_not_on_a_renewal() {
    let of = |price| Totals {
        subtotal: price,
        total: price,
        ..Totals::default()
    };
    let training = line(1, "Guided training", ELIGIBLE[0], of(4999));
    let brace = line(2, "Knee brace", ELIGIBLE[0], of(2499));
    let mut sale = part_paid(7498, 7498, payment::PaymentStatus::Received);
    sale.lines = vec![training.clone(), brace];
    let Email { text, html, .. } = mail(&sale);
    has_rows(
        &text,
        &[
            ("Guided training", "$49.99"),
            ("Knee brace", "$24.99"),
            ("Total paid", "$74.98"),
        ],
    );
    insta::assert_snapshot!("beside_subscription_text", text);
    insta::assert_snapshot!("beside_subscription_html", html);

    let mut renewed = part_paid(4999, 4999, payment::PaymentStatus::Received);
    renewed.lines = vec![training];
    let text = mail_of(&renewed, renewal()).text;
    has_rows(
        &text,
        &[("Guided training", "$49.99"), ("Total paid", "$49.99")],
    );
    assert!(!text.contains("Knee brace"));
}
