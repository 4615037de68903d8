//! What strangers and providers may send, mutated from the samples: nothing panics, and nothing takes more room or time
//! than it may.
//!
//! A short run is part of the tests; `make fuzz CASES=1000000` runs as long as you like. Property tests and no
//! coverage-guided fuzzer, since every parser here is `serde_json` and what follows it is matched exhaustively: mutated
//! samples reach all of it, on the stable compiler.

use domain::{
    event::Reading,
    order::Order,
    receipt::{
        Kind, Receipt,
        mail::{Templates, Unsendable, compose},
    },
};
use jiff::Timestamp;
use kit::{
    drive::merchant,
    story::{Delivery, SECRET, checkout, open_shop, purchase},
};
use proptest::{prelude::*, sample::Index};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    sync::LazyLock,
    time::{Duration, Instant},
};

/// Far more than any input of the allowed size needs, on the slowest machine; what has no end is found all the same.
const LONG: Duration = Duration::from_secs(5);

/// Every sample, as it lies in its file.
static CORPUS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    fn gather(folder: &Path, into: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { gather(&path, into) } else { into.push(path) }
        }
    }
    let mut files = Vec::new();
    gather(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../events"), &mut files);
    files.sort();
    files.iter().map(|path| fs::read(path).unwrap()).collect()
});

/// One change of some bytes.
#[derive(Debug, Clone)]
enum Change {
    Flip(Index, u8),
    Cut(Index, Index),
    Insert(Index, Vec<u8>),
    Repeat(Index, Index),
    Splice(Index, Index),
}

fn change() -> impl Strategy<Value = Change> {
    let tokens = prop::sample::select(vec![
        "null",
        "{",
        "}",
        "[",
        "]",
        "\"",
        "-1",
        "1e400",
        "9223372036854775808",
        "\\u0000",
        "\\ud800",
        "1.5",
        "true",
        "{}",
        ",",
        "\u{202e}",
    ]);
    let insert = prop_oneof![
        prop::collection::vec(any::<u8>(), 1..8),
        tokens.prop_map(|token| token.as_bytes().to_vec()),
    ];
    prop_oneof![
        (any::<Index>(), 1..=255_u8).prop_map(|(at, bits)| Change::Flip(at, bits)),
        (any::<Index>(), any::<Index>()).prop_map(|(from, to)| Change::Cut(from, to)),
        (any::<Index>(), insert).prop_map(|(at, bytes)| Change::Insert(at, bytes)),
        (any::<Index>(), any::<Index>()).prop_map(|(from, to)| Change::Repeat(from, to)),
        (any::<Index>(), any::<Index>()).prop_map(|(at, other)| Change::Splice(at, other)),
    ]
}

fn changed(mut bytes: Vec<u8>, changes: &[Change]) -> Vec<u8> {
    for change in changes {
        let length = bytes.len();
        let range = |a: &Index, b: &Index| {
            let (a, b) = (a.index(length + 1), b.index(length + 1));
            a.min(b)..a.max(b)
        };
        match change {
            Change::Flip(at, bits) if length > 0 => bytes[at.index(length)] ^= bits,
            Change::Flip(..) => {}
            Change::Cut(from, to) => drop(bytes.drain(range(from, to))),
            Change::Insert(at, more) => {
                let at = at.index(length + 1);
                bytes.splice(at..at, more.iter().copied());
            }
            Change::Repeat(from, to) => {
                let range = range(from, to);
                let (at, more) = (range.end, bytes[range].to_vec());
                bytes.splice(at..at, more);
            }
            Change::Splice(at, other) => {
                let other = &CORPUS[other.index(CORPUS.len())];
                let at = at.index(length + 1);
                bytes.truncate(at);
                bytes.extend(&other[at.min(other.len())..]);
            }
        }
        bytes.truncate(262_144);
    }
    bytes
}

/// A sample with up to six changes.
fn mutant() -> impl Strategy<Value = Vec<u8>> {
    (any::<Index>(), prop::collection::vec(change(), 0..6))
        .prop_map(|(sample, changes)| changed(CORPUS[sample.index(CORPUS.len())].clone(), &changes))
}

/// A JSON text in which one value of a sample is replaced by another sample's, or by something odd.
fn crossbred() -> impl Strategy<Value = Value> {
    let odd = prop_oneof![
        Just(Value::Null),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        Just(Value::Array(Vec::new())),
        Just(Value::Object(serde_json::Map::new())),
    ];
    (any::<Index>(), any::<Index>(), any::<Index>(), odd, any::<bool>()).prop_map(
        |(sample, at, donor, odd, graft)| {
            let parsed = |index: Index| {
                serde_json::from_slice::<Value>(&CORPUS[index.index(CORPUS.len())]).unwrap_or_default()
            };
            let mut value = parsed(sample);
            let new = if graft { parsed(donor) } else { odd };
            let mut places = Vec::new();
            pointers(&value, String::new(), &mut places);
            let place = &places[at.index(places.len())];
            *value.pointer_mut(place).unwrap() = new;
            value
        },
    )
}

/// The JSON pointers of all values in a value.
fn pointers(value: &Value, here: String, into: &mut Vec<String>) {
    match value {
        Value::Object(members) => members.iter().for_each(|(name, value)| {
            pointers(value, format!("{here}/{}", name.replace('~', "~0").replace('/', "~1")), into);
        }),
        Value::Array(values) => {
            values.iter().enumerate().for_each(|(n, value)| pointers(value, format!("{here}/{n}"), into));
        }
        _ => {}
    }
    into.push(here);
}

/// Reads as fulfillment and the API's client would, and holds what comes of it to its bounds.
fn read_everything(body: &[u8]) -> Result<(), TestCaseError> {
    let started = Instant::now();
    match flex::read(body) {
        Reading::Unreadable(why) => prop_assert!(why.to_string().len() < 200, "{why}"),
        Reading::Event(event) => {
            prop_assert!(event.event_id.as_str().len() <= 255 && event.event_type.len() <= 255);
        }
    }
    if let Ok(value) = serde_json::from_slice::<Value>(body) {
        let session = value.get("checkout_session").unwrap_or(&value).clone();
        let lines = value.get("line_items").unwrap_or(&value).clone();
        let session = serde_json::from_value::<flex::wire::Session>(session).unwrap_or_default();
        let lines = serde_json::from_value::<Vec<flex::wire::LineItem>>(lines).unwrap_or_default();
        if let Err(why) = flex::checkout(&session, &lines, None) {
            prop_assert!(why.to_string().len() < 200, "an error quotes no value: {why}");
        }
    }
    prop_assert!(started.elapsed() < LONG);
    Ok(())
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[\\r\\n\\t <>&\"'{}%]{0,40}",
        Just("{{ merchant }}{% for x in y %}".to_owned()),
        Just("Bcc: everyone@example.com\r\n\r\n<script>".to_owned()),
        Just("x".repeat(100_000)),
    ]
}

/// An order whose texts and amounts may be anything.
fn order() -> impl Strategy<Value = Order> {
    static SOLD: LazyLock<Order> = LazyLock::new(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let bundle = open_shop(domain::receipt::OnUnknown::Resend);
            bundle.provider_has(&checkout(&purchase(1)));
            bundle.deliver(&Delivery::of(&purchase(1), "fevt_1"), false).await;
            bundle.drain().await;
            bundle.world.kept().orders.values().next().unwrap().clone()
        })
    });
    (text(), text(), text(), any::<i64>(), any::<i64>(), any::<u32>(), 0..30_usize).prop_map(
        |(name, reference, description, total, part, quantity, lines)| {
            let mut order = SOLD.clone();
            order.customer.name = Some(name);
            order.client_reference_id = Some(reference);
            order.totals.total = total;
            order.totals.discount = part;
            let mut line = order.lines[0].clone();
            (line.description, line.quantity, line.amounts.total) = (description, quantity, part);
            order.lines.extend(vec![line; lines]);
            order
        },
    )
}

fn cases() -> ProptestConfig {
    // `PROPTEST_CASES` makes a long run of it: see the Makefile.
    let short = ProptestConfig::default().cases.min(256);
    let cases =
        if std::env::var_os("PROPTEST_CASES").is_some() { ProptestConfig::default().cases } else { short };
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn no_bytes_make_a_reader_panic_or_dawdle(body in mutant()) {
        read_everything(&body)?;
    }

    #[test]
    fn no_json_makes_a_reader_panic_or_dawdle(value in crossbred()) {
        read_everything(value.to_string().as_bytes())?;
    }

    #[test]
    fn no_headers_make_the_verifier_panic_and_none_but_the_signed_ones_pass(
        body in mutant(),
        id in any::<String>(),
        timestamp in prop_oneof![any::<i64>().prop_map(|second| second.to_string()), any::<String>()],
        signature in prop_oneof![any::<String>(), "v1,[A-Za-z0-9+/=]{0,60}( v1a?,[A-Za-z0-9+/=]{0,60}){0,20}"],
    ) {
        let key = flex::secret::key(SECRET).unwrap();
        let header = |name: &str| match name {
            "svix-id" => Some(id.as_str()),
            "svix-timestamp" => Some(timestamp.as_str()),
            "svix-signature" => Some(signature.as_str()),
            _ => None,
        };
        let verified = flex::verify(header, &body, std::slice::from_ref(&key), Timestamp::from_second(1_760_090_000).unwrap());
        prop_assert!(verified.is_err());
    }

    #[test]
    fn no_order_makes_the_templates_fail_or_a_header_grow_a_line(order in order()) {
        let started = Instant::now();
        let receipt = Receipt::new(&order.order_id, Kind::Order, None, Timestamp::UNIX_EPOCH).unwrap();
        let templates = Templates::built_in().unwrap();
        match compose(&order, &receipt, None, &merchant(), &templates) {
            Ok(mail) => {
                for header in [Some(&mail.subject), mail.to_name.as_ref()].into_iter().flatten() {
                    prop_assert!(!header.contains(['\r', '\n']) && header.chars().count() <= 300);
                }
                prop_assert!(!mail.html.contains("<script>"));
                prop_assert!(mail.html.len() + mail.text.len() < 1_000_000);
            }
            Err(Unsendable::NoAddress | Unsendable::BadAddress(_)) => {}
            Err(other) => prop_assert!(false, "{other}"),
        }
        prop_assert!(started.elapsed() < LONG);
    }
}
