use super::*;
use crate::{
    checkout::{Customer, Eligibility, Totals},
    delivery::Provider,
    ids::{LineItemId, OrderId, PaymentIntentId},
    money::Currency,
    order::OrderLine,
    stock::LineStock,
};
use proptest::{prelude::*, sample::select};

const NOT_ELIGIBLE: &str = "not_eligible";

/// What Flex is known to say, and what it might.
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

/// What no receipt may say of a customer, whatever they bought.
const MEDICAL_WORDS: [&str; 27] = [
    "letter",
    "medical",
    "medicine",
    "necessity",
    "necessary",
    "lmn",
    "prescription",
    "prescribed",
    "rx",
    "doctor",
    "physician",
    "provider",
    "patient",
    "diagnos",
    "condition",
    "disease",
    "illness",
    "treat",
    "therap",
    "clinic",
    "health",
    "consult",
    "visit",
    "vision",
    "substantiat",
    "private_label",
    "qualif",
];

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

fn line(number: usize, description: &str, eligibility: &str, amounts: Totals) -> OrderLine {
    OrderLine {
        line_item_id: LineItemId::new(format!("fli_{number}")).unwrap(),
        description: description.to_owned(),
        quantity: 1,
        unit_amount: Some(amounts.subtotal),
        amounts,
        eligibility: Some(Eligibility(eligibility.to_owned())),
        product_id: None,
        price_id: None,
        stock: LineStock::Unmapped,
    }
}

/// One eligible and one other line, with discount, tax and shipping, paid in two payments.
fn order() -> Order {
    let order_id = OrderId::new("fcs_01K76ZD8Q2V3N4M5P6R7S8T9VW").unwrap();
    let mat = Totals { subtotal: 5000, discount: 500, tax: 371, shipping: 400, fees: 0, total: 5271 };
    let scarf = Totals { subtotal: 2900, discount: 0, tax: 240, shipping: 200, fees: 0, total: 3340 };
    Order {
        receipt_id: Receipt::id_for_order(&order_id).unwrap(),
        order_id,
        version: 1,
        provider: Provider::Flex,
        client_reference_id: Some("NW-1042".to_owned()),
        mode: Mode::Live,
        placed_at: "2025-10-10T09:53:00Z".parse().unwrap(),
        fulfilled_at: "2025-10-10T09:53:04Z".parse().unwrap(),
        customer: Customer {
            customer_id: None,
            name: Some("Sam Rivera".to_owned()),
            email: Some("sam.rivera@example.com".to_owned()),
        },
        currency: Currency::USD,
        totals: Totals { subtotal: 7900, discount: 500, tax: 611, shipping: 600, fees: 0, total: 8611 },
        received: None,
        payment_intents: ["fpi_1", "fpi_2"].map(|id| PaymentIntentId::new(id).unwrap()).into(),
        lines: vec![
            OrderLine {
                quantity: 2,
                unit_amount: Some(2500),
                ..line(1, "Acupressure mat, organic cotton", "letter_of_medical_necessity", mat)
            },
            line(2, "Linen scarf, moss green", NOT_ELIGIBLE, scarf),
        ],
        difference: None,
        shortfalls: vec![],
    }
}

fn sent(order: &Order) -> Result<Email, Unsendable> {
    let receipt = Receipt::for_order(&order.order_id, order.fulfilled_at).unwrap();
    compose(order, &receipt, &merchant(), &Templates::built_in().unwrap())
}

fn mail(order: &Order) -> Email {
    sent(order).unwrap()
}

fn named(name: &str) -> Order {
    let mut order = order();
    order.customer.name = Some(name.to_owned());
    order
}

fn html_fault(source: &str) -> String {
    Templates::new(Sources { html: Some(source.to_owned()), ..Sources::default() }).unwrap_err().to_string()
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
    assert_eq!((mail.receipt_id, mail.kind), (order().receipt_id, Kind::Order));
}

#[test]
fn what_a_template_may_use_is_a_promise() {
    // Merchants' own templates rely on every name in here: add, never rename or remove.
    insta::assert_snapshot!("contract", serde_json::to_string_pretty(&Sample::Test.view()).unwrap());
}

#[test]
fn a_test_mode_receipt_goes_to_the_merchant_and_says_so() {
    let mail = mail(&Order { mode: Mode::Test, ..order() });
    insta::assert_snapshot!("test_subject", mail.subject);
    insta::assert_snapshot!("test_text", mail.text);
    assert_eq!((mail.to.as_str(), mail.to_name), ("qa@northwind.example", None));
    for part in [&mail.subject, &mail.text, &mail.html] {
        assert!(part.contains(TEST_MARKER), "{part}");
    }
    assert!(mail.html.contains("would have gone to sam.rivera@example.com"), "{}", mail.html);
}

#[test]
fn a_test_mode_receipt_needs_no_customer_address() {
    let mut order = Order { mode: Mode::Test, ..order() };
    for email in [None, Some("nonsense"), Some("\r\n")] {
        order.customer.email = email.map(str::to_owned);
        assert_eq!(mail(&order).to.as_str(), "qa@northwind.example");
    }
}

#[test]
fn a_live_receipt_says_nothing_of_tests() {
    let mail = mail(&order());
    for part in [&mail.subject, &mail.text, &mail.html] {
        assert!(!part.contains("TEST"), "{part}");
    }
}

#[test]
fn a_bare_order_has_a_receipt_without_empty_rows() {
    let amounts = Totals { subtotal: 5000, total: 5000, ..Totals::default() };
    let mat = OrderLine { unit_amount: None, eligibility: None, ..line(1, "Mat", "", amounts) };
    let mail = mail(&Order {
        client_reference_id: None,
        customer: Customer { email: Some("sam@example.com".to_owned()), ..Customer::default() },
        totals: amounts,
        payment_intents: vec![],
        lines: vec![mat],
        ..order()
    });
    insta::assert_snapshot!("bare_subject", mail.subject);
    insta::assert_snapshot!("bare_text", mail.text);
    for absent in
        ["Discount", "Tax", "Shipping", "Fee", "Payment", "Customer", "Not assigned", "none", "$0.00 paid"]
    {
        assert!(!mail.html.contains(&format!(">{absent}")), "{absent}: {}", mail.html);
    }
}

#[test]
fn no_address_and_a_bad_address_are_told_apart() {
    let mut order = order();
    for (email, reason) in [
        (None, Unsendable::NoAddress),
        (Some("  "), Unsendable::NoAddress),
        (Some("sam@example.com\r\nBcc: eve@example.com"), Unsendable::BadAddress(BadAddress::Form)),
        (Some("sám@example.com"), Unsendable::BadAddress(BadAddress::NotAscii)),
    ] {
        order.customer.email = email.map(str::to_owned);
        let refused = sent(&order).unwrap_err();
        assert_eq!(refused, reason);
        assert!(!refused.to_string().contains("example.com"), "{refused}");
    }
}

#[test]
fn the_receipt_of_another_order_is_not_sent() {
    let receipt = Receipt::for_order(&OrderId::new("fcs_other").unwrap(), order().placed_at).unwrap();
    let refused = compose(&order(), &receipt, &merchant(), &Templates::built_in().unwrap());
    assert_eq!(refused, Err(Unsendable::OtherOrder));
}

#[test]
fn nothing_foreign_ends_a_header_or_opens_a_tag() {
    let evil = "<script>alert(\"1\")</script> & 'Sons'\r\nBcc: eve@example.com\u{202E}";
    let mut order = named(evil);
    order.client_reference_id = Some(evil.to_owned());
    order.lines[0].description = evil.to_owned();
    let receipt = Receipt::for_order(&order.order_id, order.placed_at).unwrap();
    let settings = Settings {
        name: evil,
        address: "12 Hill Road",
        support_email: "help@northwind.example",
        sender: "receipts@northwind.example",
        time_zone: "UTC",
        test_recipient: None,
    };
    let merchant = Merchant::new(settings).unwrap();
    let mail = compose(&order, &receipt, &merchant, &Templates::built_in().unwrap()).unwrap();
    for header in [&mail.from_name, mail.to_name.as_ref().unwrap(), &mail.subject] {
        assert!(!header.contains(char::is_control) && !header.contains('\u{202E}'), "{header:?}");
    }
    assert!(!mail.html.contains("<script"), "{}", mail.html);
    assert!(mail.html.contains("&lt;script&gt;alert(&quot;1&quot;)"), "{}", mail.html);
    assert!(
        mail.text.contains("<script>alert(\"1\")</script> & 'Sons' Bcc: eve@example.com"),
        "{}",
        mail.text
    );
    for body in [&mail.text, &mail.html] {
        assert!(!body.contains("\nBcc") && !body.contains(['\r', '\u{202E}']), "{body}");
    }
}

#[test]
fn eligible_other_and_unassigned_amounts_make_the_total() {
    let mut order = order();
    order.totals.total += 150;
    let text = mail(&order).text;
    for row in [
        ("HSA/FSA eligible items", "$52.71"),
        ("Other items", "$33.40"),
        ("Not assigned to an item", "$1.50"),
    ] {
        let found = text.lines().any(|line| line.starts_with(row.0) && line.ends_with(row.1));
        assert!(found, "{row:?}: {text}");
    }
}

#[test]
fn why_an_item_is_eligible_does_not_show() {
    let with = |eligibility: &str| {
        let mut order = order();
        order.lines[0].eligibility = Some(Eligibility(eligibility.to_owned()));
        mail(&order)
    };
    let first = with(ELIGIBLE[0]);
    for eligibility in ELIGIBLE {
        assert_eq!(with(eligibility), first, "{eligibility}");
    }
    assert_ne!(with(NOT_ELIGIBLE), first);
}

#[test]
fn the_stock_of_words_holds_no_medical_one() {
    for mode in [Mode::Live, Mode::Test] {
        let mail = mail(&Order { mode, ..order() });
        for part in [mail.subject, mail.text, mail.html] {
            let read = part.to_lowercase();
            for word in MEDICAL_WORDS {
                assert!(!read.contains(word), "{word}: {part}");
            }
        }
    }
}

#[test]
fn a_template_that_cannot_work_is_refused_at_start_by_name_and_line() {
    for (source, fault) in [
        ("<p>\n{{ merchant.name }", "template body.html, line 2: syntax error"),
        ("{{ test.marker }}", "template body.html, line 1: undefined value"),
        ("\n\n{{ order.number }}", "template body.html, line 3: undefined value"),
        (
            "<p>\n{{ customer_name }}",
            "template body.html, line 2: invalid operation: a value of kind none cannot be printed",
        ),
        (
            "{{ totals.total }}",
            "template body.html, line 1: invalid operation: a value of kind map cannot be printed",
        ),
        ("{{ lines|nosuch }}", "template body.html, line 1: unknown filter"),
        ("{% include 'footer.html' %}", "template body.html, line 1: template not found"),
        ("{% if test %}{% endif %}", "template body.html: nothing is printed"),
        (
            "<p>Thanks!</p>",
            "template body.html: \"TEST – no real payment\" is missing from a test-mode receipt",
        ),
        (
            "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}",
            "template body.html, line 1: engine ran out of fuel",
        ),
    ] {
        let found = html_fault(source);
        assert!(found.starts_with(fault), "{source:?}: {found:?}");
    }
}

#[test]
fn every_bad_template_is_named_at_once() {
    let bad = Some("{{ nope }}".to_owned());
    let error = Templates::new(Sources { subject: bad.clone(), text: None, html: bad }).unwrap_err();
    assert_eq!(
        error.to_string(),
        "template subject.txt, line 1: undefined value; template body.html, line 1: undefined value"
    );
}

#[test]
fn a_merchant_replaces_one_template_and_keeps_the_others() {
    let subject = "{% if test %}{{ test.marker }} {% endif %}Thank you,\n{{ customer_name or 'friend' }}\n";
    let templates =
        Templates::new(Sources { subject: Some(subject.to_owned()), ..Sources::default() }).unwrap();
    let receipt = Receipt::for_order(&order().order_id, order().placed_at).unwrap();
    let own = compose(&named("O'Neil & Co"), &receipt, &merchant(), &templates).unwrap();
    assert_eq!(own.subject, "Thank you, O'Neil & Co");
    assert_eq!(own.html, mail(&named("O'Neil & Co")).html);
}

#[test]
fn a_template_that_fails_on_an_order_is_the_deployments_fault_and_quotes_nothing() {
    let subject =
        "{{ test.marker if test else 'Hi' }}{% if lines|length > 2 %}{{ customer_name|int }}{% endif %}";
    let templates =
        Templates::new(Sources { subject: Some(subject.to_owned()), ..Sources::default() }).unwrap();
    let mut order = order();
    order.lines.push(order.lines[0].clone());
    let receipt = Receipt::for_order(&order.order_id, order.placed_at).unwrap();
    let failed = compose(&order, &receipt, &merchant(), &templates).unwrap_err();
    assert_eq!(failed.to_string(), "template subject.txt, line 1: invalid operation");
}

#[test]
fn fifty_lines_are_not_clipped_and_two_hundred_are_rendered() {
    let amounts = Totals { subtotal: 5000, discount: 500, tax: 371, shipping: 400, fees: 100, total: 5371 };
    let with = |count| {
        let line = |number| {
            line(number, &format!("Acupressure mat {number}, {}", "cotton ".repeat(14)), "x", amounts)
        };
        mail(&Order { lines: (0..count).map(line).collect(), ..order() })
    };
    // Gmail clips a message at 102 KB, and with it the totals.
    assert!(with(50).html.len() < 60_000, "{}", with(50).html.len());
    assert!(with(200).html.len() < 200_000, "{}", with(200).html.len());
    assert_eq!(with(200).text.matches("Acupressure mat").count(), 200);
}

#[test]
fn the_html_stands_alone() {
    let html = mail(&order()).html;
    for wanted in [
        "<html lang=\"en\">",
        "<title>Receipt from Northwind &amp; Daughters</title>",
        "name=\"color-scheme\" content=\"light dark\"",
        "prefers-color-scheme: dark",
    ] {
        assert!(html.contains(wanted), "{wanted}");
    }
    for unwanted in ["http:", "https:", "<img", "<script", "@import", "url(", "{{", "{%"] {
        assert!(!html.contains(unwanted), "{unwanted}");
    }
}

proptest! {
    // Each case renders in an engine built from nothing: few cases go a long way.
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn no_text_of_an_order_adds_markup(name in any::<String>(), description in any::<String>(), marks in "[<>&\"'/a-z ]{0,40}") {
        let plain = mail(&named("Sam")).html;
        let mut order = named(&format!("Sam {name}{marks}"));
        order.lines[0].description = format!("Mat {description}{marks}");
        order.client_reference_id = Some(format!("NW {marks}"));
        let html = mail(&order).html;
        for mark in ['<', '>', '"'] {
            prop_assert_eq!(html.matches(mark).count(), plain.matches(mark).count());
        }
    }

    #[test]
    fn no_line_of_the_text_part_is_wider_than_76_columns(name in "[ -~éüñ]{0,200}", description in "[ -~éüñ]{0,400}", minor in any::<i64>()) {
        let mut order = named(&name);
        order.client_reference_id = Some(name);
        order.lines[0].description = description;
        order.lines[0].amounts.subtotal = minor;
        order.totals.total = minor;
        for line in mail(&order).text.lines() {
            prop_assert!(line.chars().count() <= 76, "{line:?}");
            prop_assert_eq!(line, line.trim_end());
        }
    }

    #[test]
    fn an_unknown_way_of_being_eligible_shows_no_more_than_a_known_one(known in select(&ELIGIBLE[..]), unknown in "[a-z_]{1,30}") {
        prop_assume!(unknown != NOT_ELIGIBLE);
        let with = |eligibility: &str| {
            let mut order = order();
            order.lines[1].eligibility = Some(Eligibility(eligibility.to_owned()));
            mail(&order)
        };
        prop_assert_eq!(with(&unknown), with(known));
    }
}
