//! A paragraph for the customer: facts only, without ids, blame, or personal data.

use super::view::{Amount, OrderView};
use crate::time;
use jiff::tz::TimeZone;

/// The paragraph. It names the order by the merchant's reference, if there is one.
#[must_use]
pub fn paragraph(view: &OrderView, zone: &TimeZone) -> String {
    let order = view.reference.as_ref().map_or_else(
        || "your order".to_owned(),
        |reference| format!("your order {reference}"),
    );
    let placed = time::day(view.placed_at, zone);
    let mut sentences = vec![payment(view, &order, &placed)];
    if view.fulfilled_at.is_none() && view.money.received.minor > 0 {
        sentences.push("Your order is not released yet; we are looking into it.".to_owned());
    }
    sentences.extend(
        view.mails
            .iter()
            .filter_map(|mail| mail_sentence(mail.kind, mail)),
    );
    for refund in &view.refunds {
        sentences.push(refund_sentence(refund, zone));
    }
    let missing = view.lines.iter().filter_map(|line| line.stock.shortfall);
    if missing.sum::<i64>() > 0 {
        sentences.push("A part of your order is out of stock at the moment.".to_owned());
    }
    sentences.join(" ")
}

fn payment(view: &OrderView, order: &str, placed: &str) -> String {
    let money = &view.money;
    if money.received.minor == 0 {
        return format!(
            "We have {order} of {placed} over {}, and no payment for it yet.",
            money.total
        );
    }
    if money.received.minor < money.due.minor {
        let rest = Amount::new(money.due.minor - money.received.minor, money.due.currency);
        return format!(
            "We received {} for {order} on {placed}; {rest} is still due.",
            money.received
        );
    }
    format!(
        "We received your payment of {} for {order} on {placed}.",
        money.received
    )
}

fn mail_sentence(kind: &str, mail: &super::view::MailView) -> Option<String> {
    let name = match kind {
        "order" => "receipt",
        "refund" => "confirmation of the refund",
        "shipment" => "shipping notice",
        _ => return None,
    };
    Some(match (&*mail.status, mail.failure.as_deref()) {
        (_, Some("bounced")) | ("failed", _) => {
            format!("Our email with the {name} could not be delivered to your address.")
        }
        ("sent", None) => {
            format!("We sent the {name} to your email address; it may be in the spam folder.")
        }
        ("unsent" | "leased" | "held", _) => format!("The {name} is not sent yet."),
        _ => return None,
    })
}

fn refund_sentence(refund: &super::view::RefundView, zone: &TimeZone) -> String {
    let on = refund
        .made_at
        .map_or_else(String::new, |at| format!(" on {}", time::day(at, zone)));
    match &*refund.status {
        "succeeded" => format!(
            "We refunded {}{on}. Banks take some days to show it.",
            refund.amount
        ),
        "failed" | "canceled" => format!(
            "A refund of {} did not go through, and we are looking into it.",
            refund.amount
        ),
        _ => format!("A refund of {} is in progress.", refund.amount),
    }
}
