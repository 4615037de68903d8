//! Faults of AWS between the deployed functions and the emulator: the rules that the proxy follows, and what it did.
//!
//! Each operation that a function calls meets each kind of fault that AWS has for it: once for certain, then by chance.

use kit::dice::Dice;
use kit::prelude::*;
use serde_json::Map;
use std::{fs, io, path::Path};

/// Every operation that a function calls, by the name of its service.
const OPERATIONS: [(&str, &str); 12] = [
    ("dynamodb", "BatchGetItem"),
    ("dynamodb", "GetItem"),
    ("dynamodb", "PutItem"),
    ("dynamodb", "Query"),
    ("dynamodb", "TransactWriteItems"),
    ("dynamodb", "UpdateItem"),
    ("events", "PutEvents"),
    ("secretsmanager", "GetSecretValue"),
    ("ses", "SendRawEmail"),
    ("sqs", "ChangeMessageVisibility"),
    ("sqs", "GetQueueAttributes"),
    ("sqs", "SendMessage"),
];
/// The emulator's name for an item of a transaction that changes nothing.
const CONDITION_CHECK: &str = "dynamodb:ConditionCheckItem";
/// The probability that a request meets a given kind of fault, after the certain one.
const PROBABILITY: f64 = 0.025;

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// AWS refuses it for now.
    Throttled,
    /// Another transaction holds one of its items; the others are fine or throttled.
    Conflict,
    /// AWS fails.
    ServerError,
    /// The connection ends before AWS has the request.
    Reset,
    /// AWS does as asked, and its answer does not arrive.
    AnswerLost,
    /// It takes up to a second longer.
    Latency,
}

impl Kind {
    const ALL: [Self; 6] = [
        Self::Throttled,
        Self::Conflict,
        Self::ServerError,
        Self::Reset,
        Self::AnswerLost,
        Self::Latency,
    ];

    /// True if AWS has this fault for the operation.
    fn befalls(self, operation: &str) -> bool {
        self != Self::Conflict || operation == "TransactWriteItems"
    }

    /// The fault in the proxy's words.
    fn effect(self, service: &str) -> Value {
        let error =
            |code: &str, status: u16| json!({ "error": { "code": code, "status": status } });
        match self {
            Self::Throttled => match service {
                "dynamodb" => error("ProvisionedThroughputExceededException", 400),
                "ses" => error("Throttling", 400),
                "sqs" => error("RequestThrottled", 400),
                _ => error("ThrottlingException", 400),
            },
            Self::Conflict => json!({ "error": {
                "code": "TransactionCanceledException",
                "status": 400,
                "fields": { "CancellationReasons": [
                    { "Code": "None" },
                    { "Code": "TransactionConflict", "Message": "Transaction is ongoing for the item" },
                    { "Code": "ThrottlingError", "Message": "Throughput exceeds the current capacity" },
                ] },
            } }),
            Self::ServerError => error("InternalServerError", 500),
            Self::Reset => json!({ "reset": true }),
            Self::AnswerLost => json!({ "response": { "abort_bytes": 0 } }),
            Self::Latency => json!({ "latency": { "min": 100, "max": 1000 } }),
        }
    }
}

/// The proxy's rules for a run. Each operation meets its kinds of faults once, in an order from the seed, and then by
/// chance.
pub(crate) fn rules(dice: &mut Dice) -> Vec<Value> {
    let mut rules = Vec::new();
    for (service, operation) in OPERATIONS {
        let mut kinds: Vec<_> = Kind::ALL
            .into_iter()
            .filter(|kind| kind.befalls(operation))
            .collect();
        shuffle(&mut kinds, dice);
        let rule = |kind: &Kind, when: Value| {
            let what = json!({ "service": service, "operation": operation });
            merged([what, kind.effect(service), when])
        };
        rules.extend(kinds.iter().map(|kind| rule(kind, json!({ "times": 1 }))));
        rules.extend(
            kinds
                .iter()
                .map(|kind| rule(kind, json!({ "probability": PROBABILITY }))),
        );
    }
    rules
}

/// One object with the members of all.
fn merged<const N: usize>(parts: [Value; N]) -> Value {
    let members = parts.into_iter().filter_map(|part| match part {
        Value::Object(members) => Some(members),
        _ => None,
    });
    members.flatten().collect::<Map<_, _>>().into()
}

fn shuffle<T>(items: &mut [T], dice: &mut Dice) {
    for last in (1..items.len()).rev() {
        let other = dice.below(last as u64 + 1);
        items.swap(last, usize::try_from(other).unwrap_or_default());
    }
}

/// How often each operation met each kind of fault.
pub(crate) type Injected = BTreeMap<(String, Kind), usize>;

/// The proxy.
#[derive(Debug, Clone)]
pub(crate) struct Proxy {
    http: reqwest::Client,
    url: String,
}

impl Proxy {
    pub(crate) fn new(http: reqwest::Client, url: String) -> Self {
        Self { http, url }
    }

    /// Replaces its rules, until the end of the run.
    pub(crate) async fn follow(&self, rules: &[Value]) -> Result<(), reqwest::Error> {
        let request = self
            .http
            .post(format!("{}/_microburst/rules", self.url))
            .json(rules);
        request.send().await?.error_for_status().map(drop)
    }

    /// Counts the faults that it injected since it was started.
    pub(crate) async fn injected(&self) -> Result<Injected, reqwest::Error> {
        let request = self.http.get(format!("{}/_microburst/metrics", self.url));
        Ok(injected(
            &request.send().await?.error_for_status()?.text().await?,
        ))
    }
}

/// Reads the proxy's counters, which are in Prometheus's text format.
fn injected(metrics: &str) -> Injected {
    let mut injected = Injected::new();
    for line in metrics
        .lines()
        .filter(|line| line.starts_with("microburst_faults_total{"))
    {
        let label = |name: &str| {
            let rest = line.split_once(&format!("{name}=\""))?.1;
            rest.split_once('"').map(|(value, _)| value)
        };
        let (Some(service), Some(operation), Some(action)) =
            (label("service"), label("operation"), label("action"))
        else {
            continue;
        };
        let count = line
            .rsplit(' ')
            .next()
            .and_then(|count| count.parse().ok())
            .unwrap_or(0_usize);
        if let Some(kind) = kind(action) {
            *injected
                .entry((format!("{service}:{operation}"), kind))
                .or_default() += count;
        }
    }
    injected
}

/// The kind of fault that the proxy calls so.
fn kind(action: &str) -> Option<Kind> {
    if action.contains("TransactionCanceled") {
        Some(Kind::Conflict)
    } else if action.contains("InternalServerError") {
        Some(Kind::ServerError)
    } else if action.contains("error") {
        Some(Kind::Throttled)
    } else if action.contains("reset") {
        Some(Kind::Reset)
    } else if action.contains("response") || action.contains("abort") {
        Some(Kind::AnswerLost)
    } else if action.contains("latency") {
        Some(Kind::Latency)
    } else {
        None
    }
}

/// Each pair of an operation and a kind of fault that did not come about.
pub(crate) fn spared(injected: &Injected) -> Vec<String> {
    let pairs = OPERATIONS.into_iter().flat_map(|(service, operation)| {
        let kinds = Kind::ALL.into_iter().filter(|kind| kind.befalls(operation));
        kinds.map(move |kind| (format!("{service}:{operation}"), kind))
    });
    pairs
        .filter(|pair| injected.get(pair).is_none_or(|count| *count == 0))
        .map(|(operation, kind)| format!("{operation} met no {kind:?}"))
        .collect()
}

/// The operations that functions called and that no rule is for, by the emulator's record of its decisions.
pub(crate) fn unknown(decisions: &Path) -> io::Result<Vec<String>> {
    let known: BTreeSet<String> = OPERATIONS
        .iter()
        .map(|(service, operation)| format!("{service}:{operation}"))
        .chain([CONDITION_CHECK.to_owned()])
        .collect();
    let called: BTreeSet<String> = fs::read_to_string(decisions)?
        .lines()
        .filter_map(|line| serde_json::from_str::<[String; 4]>(line).ok())
        .filter(|[principal, ..]| principal.contains(":assumed-role/"))
        .map(|[_, action, ..]| action)
        .collect();
    Ok(called
        .difference(&known)
        .map(|action| format!("{action} meets no fault"))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_meets_each_of_its_faults_for_certain_and_a_seed_gives_one_order() {
        let rules = |seed| super::rules(&mut Dice::of(seed, 3));
        assert_eq!(rules(1), rules(1));
        assert_ne!(rules(1), rules(2));
        let certain = rules(1)
            .into_iter()
            .filter(|rule| rule["times"] == json!(1))
            .count();
        assert_eq!(certain, OPERATIONS.len() * 5 + 1);
    }

    #[test]
    fn the_proxys_counters_are_read_by_kind() {
        let metrics = "\
            microburst_requests_total 7\n\
            microburst_faults_total{service=\"ses\",operation=\"SendRawEmail\",action=\"error:Throttling\"} 2\n\
            microburst_faults_total{service=\"ses\",operation=\"SendRawEmail\",action=\"latency:120ms\"} 1\n\
            microburst_faults_total{service=\"ses\",operation=\"SendRawEmail\",action=\"latency:121ms\"} 1\n";
        let mail = "ses:SendRawEmail".to_owned();
        let expected = [
            ((mail.clone(), Kind::Throttled), 2),
            ((mail.clone(), Kind::Latency), 2),
        ];
        assert_eq!(injected(metrics), expected.into());
        assert!(spared(&injected(metrics)).contains(&format!("{mail} met no Reset")));
    }
}
