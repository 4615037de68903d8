//! A notice of SES, in its JSON
//! (<https://docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-contents.html>).
//!
//! It names the recipient, which is personal data. Only a hash of the address leaves this file, and no log has it.

use domain::{
    delivery::job::Job,
    receipt::feedback::{AddressHash, Report, ReportKind, TAG, tagged_receipt},
    values::ids::{MessageId, ReceiptId},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, collections::BTreeMap, fmt};

/// The start of the message with which SES validates its topic, once. It is not JSON.
const TRIAL: &str = "Successfully validated SNS topic";
/// The subtype of a bounce or complaint if the account's suppression list has the address. SES took the mail and did
/// not try to deliver it.
const ON_SUPPRESSION_LIST: &str = "OnAccountSuppressionList";

/// Returns true for a message that only validates the topic.
#[must_use]
pub fn is_trial(body: &str) -> bool {
    body.trim_start().starts_with(TRIAL)
}

/// The members that this version does not use. A redrive sends the whole notice again, so they are kept.
type Rest = serde_json::Map<String, serde_json::Value>;

/// A notice of one event of a mail.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Notice {
    event_type: String,
    mail: Mail,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bounce: Option<Bounce>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    complaint: Option<Complaint>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    delivery: Option<Delivery>,
    #[serde(flatten)]
    rest: Rest,
}

/// The mail as SES took it.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Mail {
    timestamp: Timestamp,
    message_id: MessageId,
    #[serde(default)]
    destination: Vec<String>,
    #[serde(default)]
    tags: BTreeMap<String, Vec<String>>,
    #[serde(flatten)]
    rest: Rest,
}

#[derive(Clone, Serialize, Deserialize)]
struct Bounce {
    #[serde(rename = "bounceType")]
    of_type: String,
    #[serde(
        rename = "bounceSubType",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    sub_type: Option<String>,
    timestamp: Timestamp,
    #[serde(flatten)]
    rest: Rest,
}

#[derive(Clone, Serialize, Deserialize)]
struct Complaint {
    timestamp: Timestamp,
    #[serde(
        rename = "complaintSubType",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    sub_type: Option<String>,
    #[serde(
        rename = "complaintFeedbackType",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    feedback_type: Option<String>,
    #[serde(flatten)]
    rest: Rest,
}

#[derive(Clone, Serialize, Deserialize)]
struct Delivery {
    timestamp: Timestamp,
    #[serde(flatten)]
    rest: Rest,
}

impl Bounce {
    fn report(&self) -> (ReportKind, Timestamp) {
        let kind = match self.sub_type.as_deref() {
            Some("Suppressed" | ON_SUPPRESSION_LIST) => ReportKind::Suppressed,
            // SES sends this one for an automatic answer too.
            Some("General") if self.of_type == "Transient" => ReportKind::MaybeBounced,
            _ => ReportKind::Bounced {
                permanent: self.of_type == "Permanent",
            },
        };
        (kind, self.timestamp)
    }
}

impl Complaint {
    fn report(&self) -> Option<(ReportKind, Timestamp)> {
        if self.sub_type.as_deref() == Some(ON_SUPPRESSION_LIST) {
            // The recipient complained about an earlier mail, so SES did not send this one.
            return Some((ReportKind::Suppressed, self.timestamp));
        }
        // The reverse of a complaint: the recipient moved the mail out of the spam folder.
        let is_praise = self.feedback_type.as_deref() == Some("not-spam");
        (!is_praise).then_some((ReportKind::Complained, self.timestamp))
    }
}

// Without personal data.
impl fmt::Debug for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notice")
            .field("event_type", &self.event_type)
            .field("message_id", &self.mail.message_id)
            .field("receipt_id", &self.receipt_id())
            .finish_non_exhaustive()
    }
}

/// The reason why a notice is not a report.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoReport {
    #[error("the mail names no receipt")]
    NotOurs,
    #[error("the event type changes nothing")]
    NotNeeded,
}

impl Notice {
    /// The event type of SES.
    #[must_use]
    pub fn event_type(&self) -> &str {
        &self.event_type
    }

    /// The id that SES gave the mail.
    #[must_use]
    pub fn message_id(&self) -> &MessageId {
        &self.mail.message_id
    }

    /// The receipt that the mail's tag names.
    fn receipt_id(&self) -> Option<ReceiptId> {
        tagged_receipt(self.mail.tags.get(TAG)?.first()?)
    }

    /// The report in the notice.
    pub fn report(&self) -> Result<Report, NoReport> {
        let receipt_id = self.receipt_id().ok_or(NoReport::NotOurs)?;
        let (kind, at) = self.kind().ok_or(NoReport::NotNeeded)?;
        Ok(Report {
            receipt_id,
            message_id: self.mail.message_id.clone(),
            sent_at: self.mail.timestamp,
            kind,
            at,
            // The address that we wrote to. The bounced or complained recipients may be a forwarding address, or all
            // recipients at that domain.
            address: match &self.mail.destination[..] {
                [address] => Some(AddressHash::of(address)),
                _ => None,
            },
        })
    }

    /// The kind and time of the report. `None` if the event changes nothing, for example an opened mail.
    fn kind(&self) -> Option<(ReportKind, Timestamp)> {
        // Some events have no time.
        let sent_at = self.mail.timestamp;
        match self.event_type.as_str() {
            "Send" => Some((ReportKind::Sent, sent_at)),
            "Delivery" => Some((
                ReportKind::Delivered,
                self.delivery
                    .as_ref()
                    .map_or(sent_at, |facts| facts.timestamp),
            )),
            "Bounce" => self.bounce.as_ref().map(Bounce::report),
            "Complaint" => self.complaint.as_ref()?.report(),
            // A rendering failure needs a template of SES, which our mails do not use. Its name has a space in messages
            // to SNS only.
            "Reject" | "Rendering Failure" | "RenderingFailure" => {
                Some((ReportKind::Rejected, sent_at))
            }
            _ => None,
        }
    }
}

impl Job for Notice {
    fn subject(&self) -> Cow<'_, str> {
        self.receipt_id()
            .map(String::from)
            .unwrap_or_default()
            .into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(name: &str) -> Notice {
        let path = format!(
            "{}/../../events/ses/{name}.json",
            env!("CARGO_MANIFEST_DIR")
        );
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    }

    #[test]
    fn each_sample_tells_what_became_of_a_mail() {
        let at = |time: &str| -> Timestamp { format!("2026-03-02T{time}Z").parse().unwrap() };
        let bounced = |permanent| ReportKind::Bounced { permanent };
        let sent_at = at("15:04:05.012");
        for (name, kind, when) in [
            ("send", ReportKind::Sent, sent_at),
            ("delivery", ReportKind::Delivered, at("15:04:07.733")),
            ("bounce", bounced(true), at("15:04:09.669")),
            ("bounce.transient", bounced(false), at("15:04:09.669")),
            (
                "bounce.out-of-office",
                ReportKind::MaybeBounced,
                at("15:04:09.669"),
            ),
            ("complaint", ReportKind::Complained, at("17:41:02.669")),
            (
                "complaint.suppressed",
                ReportKind::Suppressed,
                at("15:04:05.669"),
            ),
            ("reject", ReportKind::Rejected, sent_at),
            ("rendering-failure", ReportKind::Rejected, sent_at),
        ] {
            let report = sample(name).report().unwrap();
            assert_eq!(
                (report.kind, report.at, report.sent_at),
                (kind, when, sent_at),
                "{name}"
            );
            assert_eq!(
                report.receipt_id.as_str(),
                "fcs_01K76N0000000000000000000B-order"
            );
            assert_eq!(
                report.message_id.as_str(),
                "0100019caf5b3a14-00000000-0000-4000-8000-000000000001-000000"
            );
            assert_eq!(
                report.address,
                Some(AddressHash::of("pat@example.com")),
                "{name}"
            );
        }
    }

    /// All types that SES has
    /// (<https://docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-contents.html>), and one to come.
    #[test]
    fn each_type_of_bounce_is_what_it_is_here() {
        let (permanent, transient) = (
            ReportKind::Bounced { permanent: true },
            ReportKind::Bounced { permanent: false },
        );
        for (of_type, sub_type, kind) in [
            ("Undetermined", "Undetermined", transient),
            ("Permanent", "General", permanent),
            ("Permanent", "NoEmail", permanent),
            ("Permanent", "Suppressed", ReportKind::Suppressed),
            (
                "Permanent",
                "OnAccountSuppressionList",
                ReportKind::Suppressed,
            ),
            ("Transient", "General", ReportKind::MaybeBounced),
            ("Transient", "MailboxFull", transient),
            ("Transient", "MessageTooLarge", transient),
            ("Transient", "ContentRejected", transient),
            ("Transient", "AttachmentRejected", transient),
            ("A type", "to come", transient),
        ] {
            let mut notice = sample("bounce");
            let facts = notice.bounce.as_mut().unwrap();
            (facts.of_type, facts.sub_type) = (of_type.to_owned(), Some(sub_type.to_owned()));
            assert_eq!(notice.report().unwrap().kind, kind, "{of_type} {sub_type}");
        }
    }

    #[test]
    fn what_does_not_matter_or_is_not_ours_is_no_report() {
        let report = |change: fn(&mut Notice)| {
            let mut notice = sample("complaint");
            change(&mut notice);
            notice.report().map(|report| report.kind)
        };
        assert_eq!(report(|_| {}), Ok(ReportKind::Complained));
        for word in [
            "Open",
            "Click",
            "DeliveryDelay",
            "Subscription",
            "A word to come",
            "Bounce",
        ] {
            let mut notice = sample("complaint");
            notice.event_type = word.to_owned();
            assert_eq!(notice.report(), Err(NoReport::NotNeeded), "{word}");
        }
        let praise = |notice: &mut Notice| {
            notice.complaint.as_mut().unwrap().feedback_type = Some("not-spam".to_owned());
        };
        assert_eq!(report(praise), Err(NoReport::NotNeeded));
        assert_eq!(
            report(|notice| notice.mail.tags.clear()),
            Err(NoReport::NotOurs)
        );
        // A character that no tag has. After the mark: a last character that no encoder writes, an id with a space, no
        // UTF-8, an id that needs no mark, nothing. And nothing at all.
        for garbled in [
            "fcs_1.order",
            "b64_YR",
            "b64_YSBi",
            "b64__w",
            "b64_ZmNz",
            "b64_",
            "",
        ] {
            let mut notice = sample("complaint");
            notice
                .mail
                .tags
                .insert(TAG.to_owned(), vec![garbled.to_owned()]);
            assert_eq!(notice.report(), Err(NoReport::NotOurs), "{garbled:?}");
        }
    }

    #[test]
    fn nobody_is_marked_for_a_mail_to_several() {
        let mut notice = sample("bounce");
        notice.mail.destination.push("sam@example.com".to_owned());
        assert_eq!(notice.report().unwrap().address, None);
    }

    /// A redrive writes what it has read.
    #[test]
    fn a_notice_that_is_written_again_has_all_that_it_had() {
        let samples =
            std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../../events/ses")).unwrap();
        let mut count = 0;
        for file in samples {
            let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
            let mut facts: serde_json::Value = serde_json::from_str(&text).unwrap();
            facts["toCome"] = serde_json::json!({ "any": [1, null] });
            let notice: Notice = serde_json::from_value(facts.clone()).unwrap();
            assert_eq!(serde_json::to_value(&notice).unwrap(), facts);
            count += 1;
        }
        assert!(count > 7, "{count}");
    }

    #[test]
    fn a_notice_is_printed_without_whom_it_names() {
        let printed = format!("{:?}", sample("bounce"));
        assert!(
            printed.contains("fcs_01K76N0000000000000000000B-order"),
            "{printed}"
        );
        assert!(!printed.contains("pat"), "{printed}");
    }

    #[test]
    fn a_trial_of_the_topic_is_known_for_one() {
        assert!(is_trial(
            "Successfully validated SNS topic for Amazon SES event publishing."
        ));
        assert!(!is_trial("{\"eventType\":\"Send\"}"));
    }
}
