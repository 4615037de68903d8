//! Mails of every kind about any order, and by any template that a merchant may write.

use super::{Tally, hold, in_time};
use domain::{
    access::contact::ContactFacts,
    sale::{
        order::OrderLine,
        shipment::{FulfillmentFacts, Method, Package, Progress},
    },
    values::{facts::Fact, ids::FulfillmentId},
};
use kit::drive::merchant;
use kit::prelude::*;
use mail::{Form, Part, Sources, Templates, Unsendable, compose};
use proptest::{prelude::*, sample::Index, test_runner::TestCaseResult};
use std::{fs, path::Path, sync::LazyLock, time::Instant};

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[\\r\\n\\t <>&\"'{}%]{0,40}",
        Just("{{ merchant }}{% for x in y %}".to_owned()),
        Just("Bcc: everyone@example.com\r\n\r\n<script>".to_owned()),
        Just("x".repeat(100_000)),
    ]
}

static SOLD: LazyLock<Order> = LazyLock::new(|| {
    let (bundle, _) = super::messages::sold(&super::messages::runtime());
    bundle.order(1)
});

/// An order whose texts and amounts may be anything.
fn order() -> impl Strategy<Value = Order> {
    (
        text(),
        text(),
        text(),
        any::<i64>(),
        any::<i64>(),
        any::<u32>(),
        0..30_usize,
        prop::option::of((time(), time())),
    )
        .prop_map(
            |(name, reference, description, total, part, quantity, lines, renews)| {
                let mut order = SOLD.clone();
                if let Some((start, end)) = renews {
                    order.kind = OrderKind::Renewal;
                    order.period = Some(Period { start, end });
                }
                order.customer.name = Some(name);
                order.client_reference_id = Some(reference);
                order.totals.total = total;
                order.totals.discount = part;
                let mut line = order.lines[0].clone();
                (line.description, line.quantity, line.amounts.total) =
                    (description, quantity, part);
                order.fulfillments = [(fulfillment_id(), sent(&order, &line))].into();
                order.lines.extend(vec![line; lines]);
                order
            },
        )
}

fn fulfillment_id() -> FulfillmentId {
    FulfillmentId::new("ful_1").unwrap()
}

/// A fulfillment with the texts of the order in all its places.
fn sent(order: &Order, line: &OrderLine) -> Fact<FulfillmentFacts> {
    let facts = FulfillmentFacts {
        progress: Progress::Underway,
        word: "dispatched".to_owned(),
        method: Some(Method::Shipment),
        goods: [(line.line_item_id.clone(), line.quantity)].into(),
        packages: vec![Package {
            carrier: order.customer.name.clone(),
            tracking_number: order.client_reference_id.clone(),
            tracking_url: Some(format!("https://{}", line.description)),
        }],
    };
    Fact::new(Timestamp::UNIX_EPOCH, facts)
}

/// Any time that there is, and those about now.
fn time() -> impl Strategy<Value = Timestamp> {
    let seconds = prop_oneof![
        Timestamp::MIN.as_second()..=Timestamp::MAX.as_second(),
        0..4_000_000_000_i64
    ];
    seconds.prop_map(|second| Timestamp::from_second(second).unwrap())
}

/// The subjects of mails, of every form.
fn kind() -> impl Strategy<Value = ReceiptKind> {
    let subscription_id = || SubscriptionId::new("fsub_1").unwrap();
    let invoice_id = || InvoiceId::new("fin_1").unwrap();
    prop_oneof![
        Just(ReceiptKind::Order),
        (any::<i64>(), time()).prop_map(|(amount, refunded_at)| ReceiptKind::Refund {
            refund_id: RefundId::new("fre_1").unwrap(),
            amount,
            refunded_at,
        }),
        (any::<i64>(), time()).prop_map(|(amount, refunded_at)| ReceiptKind::RefundFailed {
            refund_id: RefundId::new("fre_1").unwrap(),
            amount,
            refunded_at,
        }),
        prop::option::of(any::<i64>()).prop_map(move |amount| ReceiptKind::PaymentFailed {
            subscription_id: subscription_id(),
            invoice_id: invoice_id(),
            amount,
        }),
        (prop::option::of(text()), prop::option::of(any::<i64>())).prop_map(
            move |(number, amount)| ReceiptKind::InvoicePaymentFailed {
                invoice_id: invoice_id(),
                number,
                amount,
            }
        ),
        Just(ReceiptKind::Shipment {
            fulfillment_id: fulfillment_id(),
        }),
        time().prop_map(move |ends_at| ReceiptKind::TrialEnds {
            subscription_id: subscription_id(),
            ends_at
        }),
    ]
}

/// The customer's known address.
fn contact() -> impl Strategy<Value = Option<Contact>> {
    let address = prop_oneof![Just("sam@example.com".to_owned()), text()];
    let facts = (
        prop::option::of(text()),
        prop::option::of(address),
        prop::bool::weighted(0.3),
    );
    prop::option::of(facts).prop_map(|facts| {
        facts.map(|(name, email, erased)| Contact {
            facts: Some(Fact::new(
                Timestamp::UNIX_EPOCH,
                ContactFacts { name, email },
            )),
            erased,
            ..Contact::new(SOLD.customer.customer_id.clone().unwrap())
        })
    })
}

/// Composes a mail and holds it to its bounds. `is_built_in` says that the templates are, which may not fail.
fn composed(
    (order, kind, contact): (Order, ReceiptKind, Option<Contact>),
    templates: &Templates,
    is_built_in: bool,
    tally: &Tally,
) -> TestCaseResult {
    let started_at = Instant::now();
    let form = Form::of(&kind, &order);
    let receipt = Receipt::new(&order.order_id, kind, None, Timestamp::UNIX_EPOCH).unwrap();
    match compose(&order, &receipt, contact.as_ref(), &merchant(), templates) {
        Ok(mail) => {
            tally.count(form.name());
            for header in [Some(&mail.subject), mail.to_name.as_ref()]
                .into_iter()
                .flatten()
            {
                prop_assert!(!header.contains(['\r', '\n']) && header.chars().count() <= 300);
            }
            if is_built_in {
                prop_assert!(!mail.html.contains("<script>"));
                prop_assert!(mail.html.len() + mail.text.len() < 1_000_000);
            }
        }
        Err(Unsendable::NoAddress | Unsendable::BadAddress(_)) => tally.count("no address"),
        Err(Unsendable::Deleted) => tally.count("deleted"),
        Err(Unsendable::Template(fault)) if !is_built_in => {
            tally.count("a template that fails on an order");
            super::is_short(&fault)?;
        }
        Err(other) => prop_assert!(false, "{other}"),
    }
    in_time(started_at)
}

const FORMS: [&str; 8] = [
    "receipt",
    "renewal",
    "refund",
    "refund-failed",
    "payment-failed",
    "invoice-payment-failed",
    "shipment",
    "trial-ends",
];

#[test]
fn no_order_makes_the_templates_fail_or_a_header_grow_a_line() {
    assert_eq!(Form::ALL.map(Form::name), FORMS);
    let templates = Templates::built_in().unwrap();
    let expected = [&FORMS[..], &["no address", "deleted"]].concat();
    hold(
        5,
        (order(), kind(), contact()),
        &expected,
        |about, tally| composed(about, &templates, true, tally),
    );
}

/// The built-in templates, which a merchant begins with.
static BUILT_IN: LazyLock<Vec<String>> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/mail/templates");
    let parts = [Part::Subject, Part::Text, Part::Html];
    let files = Form::ALL
        .iter()
        .flat_map(|form| parts.map(|part| folder.join(form.name()).join(part.name())));
    files
        .map(|file| fs::read_to_string(file).unwrap())
        .collect()
});

/// A merchant's template: a built-in one with something put in or cut out, or a new one.
fn source() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "{{ merchant.name }}",
        "{{ test.marker }}",
        "{% if test %}{{ test.marker }}{% endif %}",
        "{{ order.reference }}",
        "{% for line in order.lines %}",
        "{% endfor %}",
        "{% for a in range(9999) %}{% for b in range(9999) %}",
        "{% include \"body.txt\" %}",
        "{% extends \"layout.html\" %}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{{ customer.name|wrap(2) }}",
        "{{ merchant.name|wrap(9223372036854775807) }}",
        "{{ merchant.name|row(\"x\", 999) }}",
        "{{ missing.member }}",
        "{{ 1 // 0 }}",
        "{{ -9223372036854775808 // -1 }}",
        "{{ \"x\"[::-1] }}",
        "{{",
        "%}",
        "\r\nBcc: everyone@example.com",
    ]);
    let text = prop_oneof![3 => piece.prop_map(str::to_owned), 1 => any::<String>()];
    let change = (
        any::<Index>(),
        any::<Index>(),
        prop::option::weighted(0.8, text.clone()),
    );
    let changed =
        (any::<Index>(), prop::collection::vec(change, 0..3)).prop_map(|(which, changes)| {
            let mut source: Vec<char> = BUILT_IN[which.index(BUILT_IN.len())].chars().collect();
            for (at, end, text) in changes {
                let (at, end) = (at.index(source.len() + 1), end.index(source.len() + 1));
                // Something is put in, or something is cut out.
                let range = if text.is_some() {
                    at..at
                } else {
                    at.min(end)..at.max(end)
                };
                source.splice(range, text.unwrap_or_default().chars());
            }
            source.into_iter().collect()
        });
    let own = prop::collection::vec(text, 1..5).prop_map(|pieces| pieces.concat());
    prop_oneof![3 => changed, 1 => own]
}

#[test]
fn no_template_of_a_merchant_s_makes_the_start_or_a_mail_panic_or_dawdle() {
    let form = prop::sample::select(&Form::ALL[..]);
    let sources = prop::array::uniform3(prop::option::weighted(0.4, source()));
    let sources = sources.prop_map(|[subject, text, html]| Sources {
        subject,
        text,
        html,
    });
    let inputs = (form, sources, (order(), kind(), contact()));
    hold(
        50,
        inputs,
        &["templates", "bad templates", "receipt"],
        |(form, sources, about), tally| {
            let started_at = Instant::now();
            match Templates::new(BTreeMap::from([(form, sources)])) {
                Ok(templates) => {
                    tally.count("templates");
                    composed(about, &templates, false, tally)?;
                }
                Err(bad) => {
                    tally.count("bad templates");
                    prop_assert!(bad.0.iter().all(|fault| fault.form == form), "{bad}");
                }
            }
            in_time(started_at)
        },
    );
}
