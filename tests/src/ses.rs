//! SES's reports on mails, made from the samples in `events/ses`.

use domain::{
    receipt::feedback::tag_value,
    values::ids::{MessageId, ReceiptId},
};
use jiff::Timestamp;
use serde_json::{Value, json};

/// The kinds that have samples.
pub const KINDS: [&str; 9] = [
    "send",
    "delivery",
    "bounce",
    "bounce.transient",
    "bounce.out-of-office",
    "complaint",
    "complaint.suppressed",
    "reject",
    "rendering-failure",
];

/// A mail that SES has taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    pub receipt_id: ReceiptId,
    pub message_id: MessageId,
    pub to: String,
    pub at: Timestamp,
}

impl Taken {
    /// SES's report on it, from the sample of that name: a message on the queue. It happens as long after
    /// the mail was taken as in the sample.
    #[expect(clippy::expect_used, clippy::indexing_slicing, reason = "a test kit")]
    pub fn facts(&self, kind: &str) -> Value {
        let path = format!("{}/../events/ses/{kind}.json", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(path).expect("a sample");
        let mut notice: Value = serde_json::from_str(&text).expect("JSON");
        let moment = |of: &Value| of.as_str().and_then(|text| text.parse::<Timestamp>().ok());
        let later = moment(&notice["mail"]["timestamp"])
            .expect("when the mail was taken")
            .until(self.at);
        let later = later.expect("a time of our days");
        for of in ["bounce", "complaint", "delivery"] {
            if let Some(at) = moment(&notice[of]["timestamp"]) {
                notice[of]["timestamp"] = json!((at + later).to_string());
            }
        }
        let mail = &mut notice["mail"];
        mail["timestamp"] = json!(self.at.to_string());
        mail["messageId"] = json!(self.message_id.as_str());
        mail["commonHeaders"]["messageId"] = json!(self.message_id.as_str());
        mail["destination"] = json!([self.to]);
        mail["tags"]["receipt_id"] = json!([tag_value(&self.receipt_id)]);
        for (of, recipients) in [
            ("bounce", "bouncedRecipients"),
            ("complaint", "complainedRecipients"),
        ] {
            if notice[of].is_object() {
                notice[of][recipients][0]["emailAddress"] = json!(self.to);
            } else if let Value::Object(members) = &mut notice {
                members.remove(of);
            }
        }
        notice
    }
}
