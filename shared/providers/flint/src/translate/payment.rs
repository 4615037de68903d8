//! A payment intent, alone or as part of its order.

use super::{money::Amounts, stated};
use crate::wire;
use domain::{
    sale::payment::{PaymentChange, PaymentFacts, PaymentStatus},
    values::{
        facts::Stated,
        ids::{OrderId, PaymentIntentId},
        mode::Mode,
    },
};
use reading::{
    Field, Identified, NotUnderstood, filled, known_text, known_word, named, needed_text, own_id,
    word,
};

/// In the order of a payment's life.
const STATUS: [(&str, PaymentStatus); 8] = [
    ("requires_payment_method", PaymentStatus::Open),
    ("requires_confirmation", PaymentStatus::Open),
    ("requires_action", PaymentStatus::Open),
    ("processing", PaymentStatus::Processing),
    ("requires_capture", PaymentStatus::Authorized),
    ("expired", PaymentStatus::Canceled),
    ("canceled", PaymentStatus::Canceled),
    ("succeeded", PaymentStatus::Received),
];

pub(crate) fn id(intent: &wire::PaymentIntent) -> Result<PaymentIntentId, NotUnderstood> {
    own_id(intent.id(), PaymentIntentId::new, "payment_intent_id")
}

/// The order of a payment, if it names one.
pub(crate) fn order_id(intent: &wire::PaymentIntent) -> Result<Option<OrderId>, NotUnderstood> {
    named([intent.order_id.id()], OrderId::new, "order_id")
}

/// Translates a payment.
pub(crate) fn payment(
    intent: &wire::PaymentIntent,
    mode: Mode,
) -> Result<PaymentChange, NotUnderstood> {
    Ok(PaymentChange {
        payment_intent_id: id(intent)?,
        order_id: order_id(intent)?,
        mode: Some(mode),
        facts: Some(facts(intent)?),
    })
}

/// The facts of a payment. The event's own word for its state is not one of the payment's, so only the API has them.
pub(super) fn facts(intent: &wire::PaymentIntent) -> Result<Stated<PaymentFacts>, NotUnderstood> {
    let status = needed_text(&intent.status, "status")?;
    let status = known_word(&STATUS, status, PaymentStatus::Unknown);
    let problem = intent.last_payment_error.known();
    let failure = problem.and_then(|problem| known_text(&problem.code).map(word));
    let (amounts, amount) = Amounts::of(&intent.amount_money, "amount_money")?;
    let made_at = stated(&intent.created_at, "created_at")?;
    let facts = PaymentFacts {
        // The same word before the first attempt and after a failed one.
        status: match status.known {
            PaymentStatus::Open if problem.is_some() && status.rank == 1 => PaymentStatus::Failed,
            known => known,
        },
        word: status.word,
        currency: amounts.currency,
        received: amounts.stated(&intent.captured_money, "captured_money")?,
        amount: Some(amount),
        capturable: amounts.stated(&intent.capturable_money, "capturable_money")?,
        made_at: made_at.or(stated(&intent.captured_at, "captured_at")?),
        card: None,
        failure,
        is_held: is_held(intent)?,
    };
    Ok(Stated {
        at: stated(&intent.updated_at, "updated_at")?,
        ..Stated::ranked(status.rank, facts)
    })
}

/// True for a hold with any word but `released`: an unknown word must not release goods.
fn is_held(intent: &wire::PaymentIntent) -> Result<bool, NotUnderstood> {
    let hold = intent.fulfillment_hold.optional("fulfillment_hold")?;
    let status = hold.map_or(&Field::Absent, |hold| &hold.status);
    let status = filled(status, "fulfillment_hold.status")?;
    Ok(hold.is_some() && status != Some("released"))
}
