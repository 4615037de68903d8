//! SES's reports on its mails, and their expected effects: a model without rows and merges.

use crate::later;
use domain::{sale::delivery_failure::DeliveryFailure, values::facts::whole_second};
use kit::dice::Dice;
use kit::prelude::*;
use kit::ses::Taken;

/// A mail that SES took, and what becomes of it.
#[derive(Debug)]
pub struct Mailed {
    pub taken: Taken,
    /// SES's reports, with their times.
    pub reports: Vec<Reported>,
    /// A report was lost.
    pub incomplete: bool,
}

/// One report on a mail.
#[derive(Debug)]
pub struct Reported {
    /// By the name of its sample.
    pub kind: &'static str,
    pub at: Timestamp,
    pub notice: Value,
}

/// The outcome of a mail, and its name in the statistics.
pub fn fate(dice: &mut Dice, troubles: u64) -> (&'static [&'static str], Option<&'static str>) {
    if !dice.percent(troubles) {
        return (&["send", "delivery"], None);
    }
    match dice.below(8) {
        0 | 1 => (&["send", "bounce"], Some("mails bounced for good")),
        2 => (
            &["send", "bounce.transient"],
            Some("mails bounced for a while"),
        ),
        3 => (
            &["send", "bounce.out-of-office", "delivery"],
            Some("mails bounced for a while"),
        ),
        4 => (
            &["send", "delivery", "complaint"],
            Some("mails complained of"),
        ),
        5 => (&["reject"], Some("mails that SES did not let out")),
        6 => (
            &["rendering-failure"],
            Some("mails that SES did not let out"),
        ),
        _ => (&[], Some("mails of which SES tells nothing")),
    }
}

impl Reported {
    /// One of these kinds of a mail.
    pub fn of(taken: &Taken, kind: &'static str, dice: &mut Dice) -> Self {
        let most = if kind == "complaint" {
            Duration::from_hours(72)
        } else {
            Duration::from_mins(40)
        };
        let at = match kind {
            "send" | "reject" | "rendering-failure" => taken.at,
            _ => later(taken.at, dice.between(Duration::ZERO, most)),
        };
        let mut notice = taken.facts(kind);
        for of in ["delivery", "bounce", "complaint"] {
            if let Some(Value::Object(members)) = notice.get_mut(of) {
                members.insert("timestamp".to_owned(), json!(at.to_string()));
            }
        }
        Self { kind, at, notice }
    }
}

impl Mailed {
    fn tells(&self, kind: &str) -> bool {
        self.reports.iter().any(|report| report.kind == kind)
    }

    /// A report says that SES did not send it.
    pub fn is_refused(&self) -> bool {
        self.tells("reject") || self.tells("rendering-failure")
    }

    /// A report says that it was sent.
    pub fn is_out(&self) -> bool {
        !self.reports.is_empty() && !self.is_refused()
    }

    /// The reported delivery, or the delivery failure; `None` if neither.
    fn verdict(&self) -> Option<Result<(), DeliveryFailure>> {
        if self.tells("complaint") {
            Some(Err(DeliveryFailure::Complained))
        } else if self.tells("bounce") || self.tells("bounce.transient") {
            Some(Err(DeliveryFailure::Bounced))
        } else if self.is_refused() {
            Some(Err(DeliveryFailure::Refused))
        } else if self.tells("delivery") {
            Some(Ok(()))
        } else {
            self.tells("bounce.out-of-office")
                .then_some(Err(DeliveryFailure::Bounced))
        }
    }
}

/// The receipts with a delivery failure: that of the last mail with a known outcome.
pub fn troubles(mailed: &[Mailed]) -> BTreeMap<ReceiptId, DeliveryFailure> {
    let mut last: BTreeMap<&ReceiptId, _> = BTreeMap::new();
    for mail in mailed {
        if let Some(verdict) = mail.verdict() {
            let this = (whole_second(mail.taken.at), &mail.taken.message_id, verdict);
            let known = last.entry(&mail.taken.receipt_id).or_insert(this);
            if (this.0, this.1) > (known.0, known.1) {
                *known = this;
            }
        }
    }
    last.into_iter()
        .filter_map(|(id, (_, _, verdict))| Some((id.clone(), verdict.err()?)))
        .collect()
}

/// The addresses with a permanent bounce or a complaint, and the last time of each.
pub fn marks(mailed: &[Mailed]) -> BTreeMap<AddressHash, (Option<Timestamp>, Option<Timestamp>)> {
    let mut marks: BTreeMap<_, (Option<Timestamp>, Option<Timestamp>)> = BTreeMap::new();
    for mail in mailed {
        for report in mail
            .reports
            .iter()
            .filter(|report| matches!(report.kind, "bounce" | "complaint"))
        {
            let mark = marks.entry(AddressHash::of(&mail.taken.to)).or_default();
            let known = if report.kind == "bounce" {
                &mut mark.0
            } else {
                &mut mark.1
            };
            let at = whole_second(report.at);
            *known = Some(known.map_or(at, |known| known.max(at)));
        }
    }
    marks
}
