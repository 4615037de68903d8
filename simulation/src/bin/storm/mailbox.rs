//! The mails as the local SES shows them.

use serde::Deserialize;
use std::collections::BTreeMap;

/// A mail, and when it was taken.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Mail {
    pub(crate) message_id: String,
    pub(crate) subject: String,
    pub(crate) body_text: String,
    /// In seconds.
    pub(crate) timestamp: f64,
}

#[derive(Debug, Clone)]
pub(crate) struct Mailbox {
    pub(crate) http: reqwest::Client,
    pub(crate) endpoint: String,
}

impl Mailbox {
    pub(crate) async fn read(&self) -> Result<Vec<Mail>, reqwest::Error> {
        #[derive(Deserialize)]
        struct Messages {
            messages: BTreeMap<String, Vec<Mail>>,
        }
        let url = format!("{}/_ministack/ses/messages", self.endpoint);
        let found: Messages = self
            .http
            .get(url)
            .send()
            .await?
            .error_for_status()?
            .json()
            .await?;
        Ok(found.messages.into_values().flatten().collect())
    }
}

impl Mail {
    /// The kind of receipt, by its subject.
    pub(crate) fn kind(&self) -> &'static str {
        let subject = self.subject.as_str();
        if subject.contains("Your refund") {
            "refund"
        } else if subject.contains("did not go through") {
            "payment_failed"
        } else {
            "order"
        }
    }
}
