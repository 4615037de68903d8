//! What calls the function: the streams of two tables, and two schedules.

use domain::values::ids::Sku;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// A call. An input that is none of these counts as the schedule's: then the function does what is to be done anyway.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Call {
    /// The records of a stream, of which only the keys count. The rows say what there is to announce.
    #[serde(default, rename = "Records")]
    pub records: Vec<Record>,
    /// True in the schedule that compares all counters with their announced levels.
    #[serde(default)]
    pub all_counters: bool,
}

/// A record of a stream.
#[derive(Debug, Clone, Deserialize)]
pub struct Record {
    #[serde(default)]
    dynamodb: Keyed,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Keyed {
    #[serde(rename = "Keys")]
    keys: BTreeMap<String, Key>,
}

#[derive(Debug, Clone, Deserialize)]
struct Key {
    #[serde(default, rename = "S")]
    text: Option<String>,
}

impl Call {
    /// The SKUs whose counters changed.
    #[must_use]
    pub fn counters(&self) -> BTreeSet<Sku> {
        let keys = self.records.iter().map(|record| &record.dynamodb.keys);
        let text =
            |keys: &BTreeMap<String, Key>, name| keys.get(name).and_then(|key| key.text.clone());
        let counters = keys.filter(|keys| text(keys, "entry").as_deref() == Some("counter"));
        let skus = counters.filter_map(|keys| Sku::new(text(keys, "sku")?).ok());
        skus.collect()
    }

    /// True if a stream called.
    #[must_use]
    pub fn is_of_a_stream(&self) -> bool {
        !self.records.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_keys_of_counters_count() {
        let call: Call = serde_json::from_str(
            r#"{"Records": [
                {"eventName": "MODIFY", "dynamodb": {"Keys": {"sku": {"S": "MAT"}, "entry": {"S": "counter"}}}},
                {"dynamodb": {"Keys": {"sku": {"S": "BAND"}, "entry": {"S": "order#fcs_1"}}}},
                {"dynamodb": {"Keys": {"batch_id": {"S": "fcs_1/1/order.paid"}}}},
                {"dynamodb": {"Keys": {"sku": {"N": "1"}, "entry": {"S": "counter"}}}}, {}
            ]}"#,
        )
        .unwrap();
        assert_eq!(call.counters(), BTreeSet::from([Sku::new("MAT").unwrap()]));
        assert!(call.is_of_a_stream());
        for input in ["{}", r#"{"all_counters": false, "more": 1}"#] {
            let call: Call = serde_json::from_str(input).unwrap();
            assert!(!call.is_of_a_stream() && !call.all_counters, "{input}");
        }
    }
}
