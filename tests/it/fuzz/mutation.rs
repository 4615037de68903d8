//! The samples, with changed bytes or values.

use proptest::{prelude::*, sample::Index};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    sync::LazyLock,
};

/// The longest input: what intake takes by default.
const LONGEST: usize = 262_144;

/// Texts, most of them JSON.
pub(super) type Corpus = LazyLock<Vec<Vec<u8>>>;

/// Every sample, and every message that is packed into one.
pub(super) static SAMPLES: Corpus = LazyLock::new(|| samples(""));
/// SES's reports on mails.
pub(super) static NOTICES: Corpus = LazyLock::new(|| samples("ses"));
/// The messages on the two work queues.
pub(super) static JOBS: Corpus = LazyLock::new(|| {
    let mut jobs = packed(&samples(""));
    jobs.retain(|job| job.starts_with(b"{\"version\""));
    jobs
});
/// A list's name and its things, as JSON.
type Lists = Vec<(&'static str, Vec<Vec<u8>>)>;

/// The material of Flex's lists, by list: every such thing in a sample.
pub(super) static LISTS: LazyLock<Lists> = LazyLock::new(|| {
    let resources = resources();
    let of = |what| {
        let id = match what {
            "checkouts" => "checkout_session_id",
            "invoices" => "invoice_id",
            "refunds" => "refund_id",
            _ => "subscription_id",
        };
        let those = resources
            .iter()
            .filter(|resource| resource.get(id).is_some());
        (
            what,
            those
                .map(|resource| resource.to_string().into_bytes())
                .collect(),
        )
    };
    [
        "checkouts",
        "invoices",
        "refunds",
        "subscriptions",
        "ended subscriptions",
    ]
    .map(of)
    .into()
});

/// The resources that the samples hold.
fn resources() -> Vec<Value> {
    let samples = samples("flex");
    let parsed = samples
        .iter()
        .filter_map(|sample| serde_json::from_slice::<Value>(sample).ok());
    let members = parsed.flat_map(|mut sample| {
        let facts = sample.get_mut("object").map(Value::take).unwrap_or(sample);
        facts
            .as_object()
            .into_iter()
            .flat_map(|facts| facts.values().cloned())
            .collect::<Vec<_>>()
    });
    let each = members.flat_map(|member| match member {
        Value::Array(several) => several,
        one => vec![one],
    });
    each.filter(Value::is_object).collect()
}

fn samples(folder: &str) -> Vec<Vec<u8>> {
    fn gather(folder: &Path, into: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                gather(&path, into);
            } else {
                into.push(path);
            }
        }
    }
    let mut files = Vec::new();
    gather(
        &Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../events")
            .join(folder),
        &mut files,
    );
    files.sort();
    let mut samples: Vec<_> = files.iter().map(|path| fs::read(path).unwrap()).collect();
    samples.extend(packed(&samples));
    samples
}

/// The messages in batches.
fn packed(samples: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let parsed = samples
        .iter()
        .filter_map(|sample| serde_json::from_slice::<Value>(sample).ok());
    let records =
        parsed.flat_map(|sample| sample["Records"].as_array().cloned().unwrap_or_default());
    records
        .filter_map(|record| Some(record["body"].as_str()?.as_bytes().to_vec()))
        .collect()
}

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
                let other = &SAMPLES[other.index(SAMPLES.len())];
                let at = at.index(length + 1);
                bytes.truncate(at);
                bytes.extend(&other[at.min(other.len())..]);
            }
        }
        bytes.truncate(LONGEST);
    }
    bytes
}

/// One of these with up to six changes of bytes; now and then as it is.
pub(super) fn mutant(of: &'static [Vec<u8>]) -> impl Strategy<Value = Vec<u8>> {
    (any::<Index>(), prop::collection::vec(change(), 0..6))
        .prop_map(|(sample, changes)| changed(of[sample.index(of.len())].clone(), &changes))
}

/// One of these as JSON, in which up to three values are replaced by another sample's, or by something odd.
pub(super) fn crossbred(of: &'static [Vec<u8>]) -> impl Strategy<Value = Value> {
    let odd = prop_oneof![
        Just(Value::Null),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        Just(Value::Array(Vec::new())),
        Just(Value::Object(serde_json::Map::new())),
    ];
    let parsed = |of: &[Vec<u8>], index: Index| {
        serde_json::from_slice::<Value>(&of[index.index(of.len())]).unwrap_or_default()
    };
    let donor = any::<Index>().prop_map(move |donor| parsed(&SAMPLES, donor));
    let graft = (any::<Index>(), prop_oneof![2 => odd, 1 => donor]);
    (any::<Index>(), prop::collection::vec(graft, 0..4)).prop_map(move |(sample, grafts)| {
        let mut value = parsed(of, sample);
        for (at, new) in grafts {
            let mut places = Vec::new();
            pointers(&value, String::new(), &mut places);
            let place = &places[at.index(places.len())];
            *value.pointer_mut(place).unwrap() = new;
        }
        value
    })
}

/// The same, or changed in its bytes: a text that is mostly JSON.
pub(super) fn text_of(of: &'static [Vec<u8>]) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        mutant(of),
        crossbred(of).prop_map(|value| value.to_string().into_bytes())
    ]
}

/// The JSON pointers of all values in a value.
fn pointers(value: &Value, here: String, into: &mut Vec<String>) {
    match value {
        Value::Object(members) => members.iter().for_each(|(name, value)| {
            pointers(
                value,
                format!("{here}/{}", name.replace('~', "~0").replace('/', "~1")),
                into,
            );
        }),
        Value::Array(values) => {
            values
                .iter()
                .enumerate()
                .for_each(|(n, value)| pointers(value, format!("{here}/{n}"), into));
        }
        _ => {}
    }
    into.push(here);
}
