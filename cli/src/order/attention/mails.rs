//! The open problems of an order's mails.

use super::{Item, Who, item, provider_name};
use crate::order::gather::Rows;
use domain::{
    receipt::{Receipt, ReceiptStatus},
    sale::delivery_failure::DeliveryFailure,
    values::mode::Mode,
};
use jiff::{SignedDuration, Timestamp};

/// How long a mail may take before it is a problem.
const MAIL_TAKES: SignedDuration = SignedDuration::from_mins(15);

pub(super) fn mail(rows: &Rows, receipt: &Receipt, now: Timestamp) -> Option<Item> {
    let id = &receipt.receipt_id;
    let name = mail_name(receipt);
    let show = format!("till mail show {id}");
    let resend = format!("till mail resend {id} --version {}", receipt.version);
    match receipt.state.status() {
        ReceiptStatus::Held => {
            let text = format!(
                "It is unknown whether the {name} was sent. Wait some minutes for SES, then ask the customer; send or \
                 close it."
            );
            return Some(item("mail", id, "held", text).then(show).then(resend));
        }
        ReceiptStatus::Failed => return Some(failed(rows, receipt)),
        ReceiptStatus::Unsent | ReceiptStatus::Leased => {
            let since = receipt.due_at.unwrap_or(receipt.created_at);
            let is_late = now.duration_since(since) > MAIL_TAKES;
            let text = format!("The {name} is not sent yet. Sweep queues it again.");
            let late = item("mail", id, "unsent", text).by(Who::Wait).then(show);
            return is_late.then_some(late);
        }
        ReceiptStatus::Sent | ReceiptStatus::Withdrawn => {}
    }
    match receipt.delivery_failure()? {
        DeliveryFailure::Bounced => Some(bounced(rows, receipt)),
        DeliveryFailure::Complained => {
            let text = format!(
                "The recipient reported the {name} as spam. The address gets no more mail, unless the customer asks for \
                 it."
            );
            Some(item("mail", id, "complained", text).then(show))
        }
        DeliveryFailure::Refused => {
            let text = format!("SES found harmful content in the {name}. Look at your templates.");
            Some(item("mail", id, "rejected", text).then(show))
        }
    }
}

fn bounced(rows: &Rows, receipt: &Receipt) -> Item {
    let (id, name) = (&receipt.receipt_id, mail_name(receipt));
    let resend = format!("till mail resend {id} --version {}", receipt.version);
    let mut mails = receipt.mails.values();
    if mails.any(|mail| mail.bounced_at.is_some()) {
        let text = format!(
            "The {name} bounced. The address is suppressed and gets no more mail. {}",
            correct(rows, receipt)
        );
        correction(rows, receipt, item("mail", id, "bounced_permanently", text)).then(resend)
    } else {
        let text = format!(
            "The {name} bounced; the mailbox may be full. Send it again later, or reach the customer another way."
        );
        item("mail", id, "bounced", text).then(resend)
    }
}

fn failed(rows: &Rows, receipt: &Receipt) -> Item {
    let (id, name) = (&receipt.receipt_id, mail_name(receipt));
    let reason = match &receipt.state {
        domain::receipt::ReceiptState::Failed { reason } => reason.as_str(),
        _ => "no reason is noted",
    };
    let text = format!(
        "The {name} cannot be sent: {reason}. {}",
        correct(rows, receipt)
    );
    let resend = format!("till mail resend {id} --version {}", receipt.version);
    correction(rows, receipt, item("mail", id, "failed", text)).then(resend)
}

/// True if the mail goes to the address on the order.
fn uses_order_address(rows: &Rows, receipt: &Receipt) -> bool {
    mail::shows_sale(&rows.order, receipt) && rows.order.mode == Mode::Live
}

fn correct(rows: &Rows, receipt: &Receipt) -> String {
    if uses_order_address(rows, receipt) {
        return "Correct the address on the order.".to_owned();
    }
    let provider = provider_name(&rows.order.provider);
    match &rows.order.customer.customer_id {
        Some(id) => format!("Correct the address at {provider} (customer {id})."),
        None => format!("Correct the address at {provider}."),
    }
}

fn correction(rows: &Rows, receipt: &Receipt, item: Item) -> Item {
    if uses_order_address(rows, receipt) {
        item.then(format!("till mail correct-address {}", rows.order.order_id))
    } else {
        item
    }
}

/// The name of the mail for people.
#[must_use]
pub fn mail_name(receipt: &Receipt) -> &'static str {
    use domain::receipt::ReceiptKind;
    match receipt.kind {
        ReceiptKind::Order => "receipt",
        ReceiptKind::Refund { .. } => "refund notice",
        ReceiptKind::RefundFailed { .. } => "correction of the refund notice",
        ReceiptKind::PaymentFailed { .. } | ReceiptKind::InvoicePaymentFailed { .. } => {
            "notice of the failed payment"
        }
        ReceiptKind::Shipment { .. } => "shipment notice",
        ReceiptKind::TrialEnds { .. } => "notice that the trial ends",
    }
}
