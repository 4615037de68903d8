//! The parts of the view, from rows.

use super::{
    Amount, CustomerView, DisputeView, LineView, MailView, MoneyView, PaymentView, RefundView,
    StockView, SubscriptionView,
};
use crate::{
    mask,
    order::gather::{Rows, sku},
};
use domain::{
    access::subscription::Subscription,
    receipt::Receipt,
    sale::{order::OrderLine, stock::StockLevel},
};

pub(super) fn customer(rows: &Rows, reveal: bool) -> CustomerView {
    let of = &rows.order.customer;
    let shown = |text: &Option<String>, mask: fn(&str) -> String| {
        let text = text.as_deref();
        text.map(|text| if reveal { text.to_owned() } else { mask(text) })
    };
    CustomerView {
        customer_id: of.customer_id.as_ref().map(ToString::to_string),
        name: shown(&of.name, mask::first),
        email: shown(&of.email, mask::email),
        masked: !reveal,
        erased: rows.order.is_erased,
    }
}

pub(super) fn money(rows: &Rows, amount: impl Fn(i64) -> Amount) -> MoneyView {
    let (totals, amounts) = (rows.order.totals, rows.order.amounts());
    MoneyView {
        subtotal: amount(totals.subtotal),
        discount: amount(totals.discount),
        tax: amount(totals.tax),
        shipping: amount(totals.shipping),
        fees: amount(totals.fees),
        total: amount(totals.total),
        due: amount(amounts.due),
        received: amount(amounts.received),
        refunded: amount(amounts.refunded),
    }
}

pub(super) fn payments(rows: &Rows) -> Vec<PaymentView> {
    let order = &rows.order;
    let view = |id: &domain::values::ids::PaymentIntentId| PaymentView {
        payment_id: id.to_string(),
        status: order.payments.get(id).map(|facts| facts.value.word.clone()),
    };
    order.payment_intents.iter().map(view).collect()
}

pub(super) fn line(of: &OrderLine, rows: &Rows, amount: impl Fn(i64) -> Amount) -> LineView {
    let sku = sku(of);
    let level = |level: &&StockLevel| Some(&level.sku) == sku;
    let moved = rows.levels.iter().find(level).and_then(StockLevel::sold);
    // The row's own word.
    let word = serde_json::to_value(&of.stock).ok();
    let word = word.and_then(|value| Some(value.get("stock")?.as_str()?.to_owned()));
    let certifies = rows.order.eligibility == domain::values::provider::EligibilityPolicy::Stated;
    LineView {
        line_item_id: of.line_item_id.to_string(),
        description: of.description.clone(),
        sku: sku.map(ToString::to_string),
        quantity: of.quantity,
        amount: amount(of.amounts.subtotal),
        eligible: certifies.then(|| of.is_eligible()),
        stock: StockView {
            state: word.unwrap_or_default(),
            deducted: moved.map(|moved| moved.deducted),
            restocked: moved.map(|moved| moved.restocked),
            shortfall: moved.map(domain::sale::stock::Movement::short),
        },
    }
}

pub(super) fn refunds(rows: &Rows) -> Vec<RefundView> {
    let all = rows.order.refunds.iter();
    all.map(|(id, refund)| {
        let facts = &refund.facts.value;
        RefundView {
            refund_id: id.to_string(),
            status: facts.word.clone(),
            amount: Amount::new(facts.amount, facts.currency),
            made_at: facts.made_at,
        }
    })
    .collect()
}

pub(super) fn disputes(rows: &Rows) -> Vec<DisputeView> {
    use domain::sale::dispute::DisputeStage::{Lost, Open, Won};
    let all = rows.order.disputes.iter();
    all.map(|(id, dispute)| {
        let facts = &dispute.facts.value;
        DisputeView {
            dispute_id: id.to_string(),
            status: facts.word.clone(),
            stage: match dispute.stage() {
                Open => "open",
                Won => "won",
                Lost => "lost",
            },
            amount: Amount::new(facts.amount, facts.currency),
            reason: facts.reason.clone(),
            due_by: facts.due_by,
        }
    })
    .collect()
}

pub(super) fn mail(receipt: &Receipt) -> MailView {
    use domain::receipt::ReceiptState;
    let reason = match &receipt.state {
        ReceiptState::Unsent { reason } => reason.clone(),
        ReceiptState::Failed { reason } | ReceiptState::Withdrawn { reason } => {
            Some(reason.clone())
        }
        ReceiptState::Leased { .. } | ReceiptState::Sent { .. } | ReceiptState::Held => None,
    };
    MailView {
        receipt_id: receipt.receipt_id.to_string(),
        kind: receipt.kind.name(),
        status: receipt.state.status().to_string(),
        version: receipt.version,
        failure: receipt
            .delivery_failure()
            .map(|failure| failure.to_string()),
        reason,
    }
}

pub(crate) fn subscription(row: &Subscription) -> SubscriptionView {
    let facts = row.snapshot.as_ref();
    let products = row.current_products();
    SubscriptionView {
        subscription_id: row.subscription_id.to_string(),
        status: facts.map(|facts| facts.value.status.to_string()),
        paid_through: row.paid_through,
        ended_at: row.ended_at,
        products: products.iter().map(ToString::to_string).collect(),
    }
}
