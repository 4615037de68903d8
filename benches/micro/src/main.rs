//! Times the pure rules alone: verify and read a delivery, decide an order, render a receipt.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a sample that is not as it should be must stop the benchmark"
)]

use divan::{Bencher, black_box};
use domain::{
    access::purchase::AccessPolicies,
    delivery::{
        Delivery,
        answer::Answer,
        event::{Event, Reading},
        signature,
        stored_event::StoredEvent,
    },
    fulfillment::{
        Decision, Policy, decide,
        known::{Case, Known, Need},
    },
    sale::{
        amounts::PartPayment, restock::RestockPolicy, shop::ShopFilter, statement::Sale,
        stock::RenewalStock,
    },
    testing::Tables,
    values::{fingerprint::fingerprint, ids::DeliveryId, mode::Mode, provider::ProviderPolicies},
};
use jiff::{SignedDuration, Timestamp};
use mail::{Merchant, Settings, Templates};
use serde_json::{Value, json};

const COMPLETED: &str = include_str!("../../../events/flex/checkout.session.completed.json");
const SESSION: &str = include_str!("../../../events/flex/api/session.json");
const LINE_ITEMS: &str = include_str!("../../../events/flex/api/line_items.json");
const CUSTOMER: &str = include_str!("../../../events/flex/api/customer.json");
const SECRET: &str = "fwhsec_Y2NhZDczMDYtNDEyYi0xMWVlLTg5MTItNGY4Y2E5ZmU1MmI4";
/// The time of the sample.
const NOW: i64 = 1_760_090_001;
const LINES: usize = 20;

const POLICY: Policy = Policy {
    mode: Mode::Test,
    merchant_id: None,
    shop: ShopFilter::ALL,
    restock: RestockPolicy::Never,
    part_payment: PartPayment::Hold,
    access: AccessPolicies::KEEP,
    renewal_stock: RenewalStock::Move,
    reserve_stock: false,
    grace: SignedDuration::ZERO,
    payment_failed_mail: false,
    shipment_mail: false,
    trial_ends_mail: false,
    bundle: env!("CARGO_PKG_VERSION"),
};

fn main() {
    divan::Divan::from_args().run_benches();
}

fn now() -> Timestamp {
    Timestamp::from_second(NOW).expect("a time")
}

/// The sample with metadata, 4 KB long.
fn delivery_of_4_kb() -> Vec<u8> {
    let mut event: Value = serde_json::from_str(COMPLETED).expect("the sample is JSON");
    let metadata = &mut event["object"]["checkout_session"]["metadata"];
    *metadata = json!({"note": ""});
    let missing = 4096 - event.to_string().len();
    event["object"]["checkout_session"]["metadata"]["note"] = json!("n".repeat(missing));
    event.to_string().into_bytes()
}

#[divan::bench]
fn verify_and_read_4_kb(bencher: Bencher<'_, '_>) {
    let body = delivery_of_4_kb();
    assert_eq!(body.len(), 4096);
    let keys = [flex::secret::key(SECRET).expect("a secret")];
    let (id, at) = ("msg_01K76N0000000000000000000P", now());
    let signed = signature::sign(&keys[0], id, at, &body);
    let timestamp = at.as_second().to_string();
    let header = |name: &str| match name {
        "svix-id" => Some(id),
        "svix-timestamp" => Some(timestamp.as_str()),
        "svix-signature" => Some(signed.as_str()),
        _ => None,
    };
    bencher.bench(|| {
        let unverified = flex::check(header, black_box(&body), at).expect("good headers");
        unverified.verify(&keys).expect("a good signature");
        flex::read(&body)
    });
}

/// The sample's first line, 20 times as 20 products.
fn sale() -> Sale {
    let member = |text: &str, name: &str| {
        let mut all: Value = serde_json::from_str(text).expect("the sample is JSON");
        all[name].take()
    };
    let (mut session, customer) = (
        member(SESSION, "checkout_session"),
        member(CUSTOMER, "customer"),
    );
    let line = member(LINE_ITEMS, "line_items")[0].take();
    let lines = (0..LINES).map(|n| {
        let mut line = line.clone();
        line["line_item_id"] = json!(format!("fli_01K76N{n:020}"));
        line["price"]["price_id"] = json!(format!("fprice_01K76N{n:020}"));
        line["price"]["product"]["product_id"] = json!(format!("fprod_01K76N{n:020}"));
        line["price"]["product"]["client_reference_id"] = json!(format!("SKU-{n}"));
        line
    });
    let sum = |name: &str| json!(line[name].as_i64().expect("an amount") * 20);
    session["amount_subtotal"] = sum("amount_subtotal");
    session["amount_total"] = sum("amount_total");
    session["amount_received"] = sum("amount_total");
    for name in ["amount_discount", "amount_tax", "amount_shipping"] {
        session["total_details"][name] = sum(name);
    }
    let lines: Value = lines.collect();
    flex::sale(
        &serde_json::from_value(session).expect("a session"),
        &serde_json::from_value(lines).expect("line items"),
        Some(&serde_json::from_value(customer).expect("a customer")),
    )
    .expect("a sale")
}

/// A completed sale, with everything that its decision needs.
struct Sold {
    stored: StoredEvent,
    event: Box<Event>,
    known: Known,
}

impl Sold {
    fn new() -> Self {
        let (sale, mut tables) = (sale(), Tables::default());
        for sku in sale.lines.iter().filter_map(|line| line.sku.clone()) {
            tables.counters.insert(sku, 10);
        }
        let body = COMPLETED.as_bytes();
        let reading = flex::read(body);
        let stored = StoredEvent::first(&Delivery {
            provider: "flex".parse().expect("a name"),
            delivery_id: DeliveryId::new("msg_1").expect("an id"),
            fingerprint: fingerprint(body),
            body: body.to_vec(),
            received_at: now(),
            reading: reading.clone(),
        });
        let Reading::Event(event) = reading else {
            panic!("the sample is an event")
        };
        let known = Known::default();
        let mut sold = Self {
            stored,
            event,
            known,
        };
        while let Err(need) = sold.decide() {
            match need {
                Need::Rows(read_set) => {
                    let rows = tables.read(&read_set);
                    sold.known.add_rows(*read_set, rows);
                }
                Need::CustomerOf(id) => sold.known.add_customer(id, None),
                Need::Fetch(reference) => {
                    let answer = Ok(Answer::Sale(Box::new(sale.clone())));
                    sold.known.add_answer(reference, now(), answer);
                }
            }
        }
        sold
    }

    fn decide(&self) -> Result<Decision, Need> {
        let case = Case {
            event: &self.stored,
            scope: &self.event.scope,
            stamp: self.event.stamp,
            known: &self.known,
            policy: &POLICY,
            provider: ProviderPolicies::OURS,
            stated_at: self.stored.stated_at(),
            now: now(),
        };
        decide(&case, &self.event.change)
    }
}

#[divan::bench]
fn decide_20_lines(bencher: Bencher<'_, '_>) {
    let sold = Sold::new();
    bencher.bench(|| black_box(&sold).decide());
}

#[divan::bench]
fn render_20_lines(bencher: Bencher<'_, '_>) {
    let decision = Sold::new().decide().expect("everything is known");
    let Decision::Write(commit) = decision else {
        panic!("no sale: {decision}")
    };
    let order = commit.order.expect("an order");
    assert_eq!(order.lines.len(), LINES);
    let merchant = Merchant::new(Settings {
        name: "Harbor & Pine Wellness",
        address: "12 Wharf Street|Portland, ME 04101",
        support_email: "support@harborandpine.example",
        sender: "receipts@harborandpine.example",
        time_zone: "America/New_York",
        test_recipient: Some("owner@harborandpine.example"),
    })
    .expect("a merchant");
    let templates = Templates::built_in().expect("templates");
    bencher.bench(|| {
        let (order, receipt) = black_box((&order, &commit.receipts[0]));
        mail::compose(order, receipt, None, &merchant, &templates).expect("a mail")
    });
}
