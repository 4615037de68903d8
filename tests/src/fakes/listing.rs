//! The provider's lists in memory, made from the things that its API knows, in Flex's words. The code that reads Flex's
//! lists reads them.

use super::{Kept, World};
use domain::{
    access::subscription::{self, InvoiceChange},
    sale::{
        payment::PaymentFacts,
        refund,
        statement::{Capture, Sale, SaleStatus},
    },
    upkeep::reconcile::{Ask, Page},
    values::{
        facts::Stated,
        ids::{InvoiceId, PaymentIntentId, SubscriptionId},
        mode::Mode,
        outcome::ReadError,
    },
};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// How many things are on a page: few, so that there are many pages.
const PAGE: usize = 7;

/// Things that only the provider's lists have.
#[derive(Debug, Default)]
pub struct Lists {
    /// The invoices that are paid, and when each was made.
    pub invoices: BTreeMap<InvoiceId, (InvoiceChange, jiff::Timestamp)>,
    /// The stated ends of subscriptions.
    pub ended: BTreeMap<SubscriptionId, jiff::Timestamp>,
    /// Things that a list has exactly in this form, such as unreadable ones.
    pub odd: Vec<(&'static str, Value)>,
}

impl World {
    pub(super) async fn page(&self, ask: Ask<'_>) -> Result<Page, ReadError> {
        self.ask("api.list", |kept| {
            let (all, id) = all(kept, ask.list);
            let name = |object: &Value| object.get(id).and_then(Value::as_str).map(str::to_owned);
            let begin = match ask.after {
                None => 0,
                Some(last) => match all
                    .iter()
                    .position(|object| name(object).as_deref() == Some(last))
                {
                    Some(place) => place + 1,
                    None => {
                        return Err(ReadError::Permanent {
                            status: 422,
                            code: None,
                        });
                    }
                },
            };
            let page = all.get(begin..).unwrap_or_default();
            let page = page.get(..PAGE).unwrap_or(page);
            Ok(Page {
                listed: page
                    .iter()
                    .filter_map(|object| flex::listed(&ask, object))
                    .collect(),
                length: page.len(),
                next: page.last().filter(|_| page.len() == PAGE).and_then(name),
            })
        })
        .await
    }
}

/// All of a list, with the member that holds the id.
fn all(kept: &Kept, list: &str) -> (Vec<Value>, &'static str) {
    let odd = kept
        .lists
        .odd
        .iter()
        .filter(|(of, _)| *of == list)
        .map(|(_, object)| object.clone());
    let (mut all, id): (Vec<Value>, _) = match list {
        "checkouts" => (
            kept.all_listed().map(session).collect(),
            "checkout_session_id",
        ),
        "invoices" => (
            kept.lists.invoices.values().map(invoice).collect(),
            "invoice_id",
        ),
        "refunds" => (kept.refunds.values().map(refund).collect(), "refund_id"),
        "subscriptions" => (
            kept.subscriptions
                .values()
                .map(|change| subscription(kept, change))
                .collect(),
            "subscription_id",
        ),
        "payments" => (
            kept.all_listed().flat_map(payments).collect(),
            "payment_intent_id",
        ),
        "disputes" => (Vec::new(), "dispute_id"),
        _ => {
            let ended = kept.subscriptions.values().filter(|change| {
                change.snapshot.status == subscription::SubscriptionStatus::Canceled
            });
            (
                ended.map(|change| subscription(kept, change)).collect(),
                "subscription_id",
            )
        }
    };
    all.extend(odd);
    (all, id)
}

fn is_test(mode: Mode) -> bool {
    mode == Mode::Test
}

fn session(sale: &Sale) -> Value {
    let status = match &sale.status {
        SaleStatus::Complete => "complete",
        SaleStatus::Open => "open",
        SaleStatus::Expired => "expired",
        SaleStatus::Canceled => "canceled",
        SaleStatus::Other(word) => word,
    };
    json!({
        "checkout_session_id": sale.order_id,
        "status": status,
        "capture_method": if sale.capture == Capture::Manual { "manual" } else { "automatic" },
        "test_mode": is_test(sale.mode),
        "created_at": sale.created_at.map(jiff::Timestamp::as_second),
        "amount_total": sale.totals.total,
        "amount_received": sale.received,
        "origin": sale.fulfilled_elsewhere.then_some("shopify"),
    })
}

fn payments(sale: &Sale) -> Vec<Value> {
    let payment = |(id, facts): (&PaymentIntentId, &Stated<PaymentFacts>)| {
        json!({
            "payment_intent_id": id,
            "status": facts.word,
            "amount": facts.amount,
            "amount_received": facts.received,
            "invoice": sale.invoice_id,
            "created_at": sale.created_at.map(|at| at.to_string()),
            "test_mode": is_test(sale.mode),
        })
    };
    sale.payments.iter().map(payment).collect()
}

fn invoice((change, created_at): &(InvoiceChange, jiff::Timestamp)) -> Value {
    let at = |time: Option<jiff::Timestamp>| time.map(|time| time.to_string());
    json!({
        "invoice_id": change.invoice_id,
        "status": "paid",
        "subscription": change.subscription_id,
        "customer": change.customer_id,
        "payment_intent": change.bill.payment_intent_id,
        "amount_paid": change.bill.amount_paid,
        "amount_due": change.bill.amount_due,
        "period_start": at(change.bill.period_start),
        "period_end": at(change.bill.period_end),
        "created_at": created_at.to_string(),
        "test_mode": change.mode.map(is_test),
    })
}

fn refund(change: &refund::RefundChange) -> Value {
    let goods = change
        .facts
        .goods
        .iter()
        .map(|goods| format!("{}:{}", goods.sku, goods.quantity));
    let goods = goods.collect::<Vec<_>>().join(",");
    json!({
        "refund_id": change.refund_id,
        "payment_intent_id": change.facts.payment_intent_id,
        "amount": change.facts.amount,
        "status": change.facts.word,
        "metadata": if goods.is_empty() { json!({}) } else { json!({"restock": goods}) },
        "subscription_id": change.subscription_id,
        "invoice_id": change.facts.invoice_id,
        "created_at": change.facts.made_at.map(|at| at.to_string()),
        "test_mode": change.mode.map(is_test),
    })
}

fn subscription(kept: &Kept, change: &subscription::SubscriptionChange) -> Value {
    let facts = &change.snapshot;
    let at = |time: Option<jiff::Timestamp>| time.map(|time| time.to_string());
    let items = facts.items.iter().map(|item| {
        json!({
            "quantity": item.quantity,
            "price": {"price_id": item.price_id, "product": item.product_id},
        })
    });
    json!({
        "subscription_id": change.subscription_id,
        "customer": change.customer_id,
        "status": facts.status,
        "cancel_at_period_end": facts.cancel_at_period_end,
        "current_period_end": at(facts.period_end),
        "trial_end": at(facts.trial_end),
        "ended_at": at(kept.lists.ended.get(&change.subscription_id).copied()),
        "items": items.collect::<Vec<_>>(),
        "latest_invoice": facts.latest_invoice,
        "test_mode": change.mode.map(is_test),
    })
}
