//! The things that are mirrored: movements, invoices, payment methods, merchants and checkout sessions.

use super::{money::Amounts, needed_word, stated, stated_word};
use crate::wire;
use domain::{
    resource::{
        ResourceChange,
        checkout_session::{CheckoutSessionFacts, ContactEmail, EndReason, SessionStatus},
        invoice::{Attempt, InvoiceFacts, InvoiceStatus},
        merchant::{Capability, MerchantFacts, Readiness, ReadinessStatus, Requirements},
        payment_method::{PaymentMethodFacts, PaymentMethodStatus, Usage},
        transaction::{Movement, Related, TransactionFacts, TransactionStatus},
    },
    values::{
        facts::Stated,
        ids::{
            CheckoutSessionId, CustomerId, InvoiceId, MerchantId, OrderId, PaymentAttemptId,
            PaymentMethodId, PayoutId, SubscriptionId, TransactionId,
        },
        mode::Mode,
    },
};
use jiff::{SignedDuration, Timestamp};
use reading::{
    Field, Identified, NotUnderstood, each, filled, known_address, known_text, member, named,
    own_id, word,
};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// Flint clears the buyer's contact 30 days after the end of a session.
const CONTACT_LASTS: SignedDuration = SignedDuration::from_hours(30 * 24);

/// A value with the time of its last change. Without one it has the time of the read.
fn at<T>(at: Option<Timestamp>, value: T) -> Stated<T> {
    Stated {
        at,
        ..Stated::from(value)
    }
}

/// Translates a movement. It states no time of its last change, so a later read counts more.
pub(crate) fn transaction(
    movement: &wire::Transaction,
    mode: Mode,
) -> Result<ResourceChange, NotUnderstood> {
    let place = "balance_transaction_id";
    let (amounts, amount) = Amounts::of(&movement.amount_money, "amount_money")?;
    let occurred_at = *movement.occurred_at.required("occurred_at")?;
    let related = movement.related_resource.known();
    let facts = TransactionFacts {
        mode: Some(mode),
        movement: Movement::from(needed_word(&movement.kind, "type")?),
        status: TransactionStatus::from(needed_word(&movement.status, "status")?),
        currency: amounts.currency,
        amount,
        fee: amounts.stated(&movement.fee_money, "fee_money")?,
        net: amounts.stated(&movement.net_money, "net_money")?,
        occurred_at,
        available_at: stated(&movement.available_at, "available_at")?,
        order_id: named([movement.order_id.id()], OrderId::new, "order_id")?,
        payout_id: named([movement.payout_id.id()], PayoutId::new, "payout_id")?,
        related: related.and_then(self::related),
    };
    Ok(ResourceChange::Transaction {
        id: own_id(
            movement.balance_transaction_id.id(),
            TransactionId::new,
            place,
        )?,
        facts: at(None, facts),
    })
}

/// The thing that caused a movement: `{type, <type>_id}`.
fn related(resource: &Map<String, Value>) -> Option<Related> {
    let text = |name: &str| known_text(&member(resource, name)).map(word);
    let kind = text("type")?;
    let id = text(&format!("{kind}_id"))?;
    Some(Related { kind, id })
}

/// Translates an invoice and the attempts to pay it.
pub(crate) fn invoice(
    invoice: &wire::Invoice,
    attempts: &Field<Vec<Field<wire::Attempt>>>,
    mode: Mode,
) -> Result<ResourceChange, NotUnderstood> {
    let (amounts, outstanding) = Amounts::of(&invoice.outstanding_money, "outstanding_money")?;
    let blocked = filled(&invoice.collection_block_status, "collection_block_status")?;
    let facts = InvoiceFacts {
        mode: Some(mode),
        number: stated_word(&invoice.invoice_number, "invoice_number")?,
        status: Some(InvoiceStatus::from(needed_word(&invoice.status, "status")?)),
        order_id: named([invoice.order_id.id()], OrderId::new, "order_id")?,
        customer_id: named([invoice.customer_id.id()], CustomerId::new, "customer_id")?,
        subscription_id: named(
            [invoice.subscription_id.id()],
            SubscriptionId::new,
            "subscription_id",
        )?,
        currency: Some(amounts.currency),
        total: amounts.stated(&invoice.total_money, "total_money")?,
        outstanding: Some(outstanding),
        paid: amounts.stated(&invoice.paid_money, "paid_money")?,
        credited: amounts.stated(&invoice.credit_money, "credit_money")?,
        refunded: amounts.stated(&invoice.refunded_money, "refunded_money")?,
        due_at: stated(&invoice.due_at, "due_at")?,
        issued_at: stated(&invoice.issued_at, "issued_at")?,
        // An unknown word suspends nothing.
        blocked: blocked.map(|word| word == "inventory_blocked"),
        attempts: self::attempts(attempts)?,
    };
    let version = invoice.version.required("version")?.0;
    let stated = Stated {
        version: u64::try_from(version).unwrap_or_default(),
        ..at(stated(&invoice.updated_at, "updated_at")?, facts)
    };
    Ok(ResourceChange::Invoice {
        id: own_id(invoice.invoice_id.id(), InvoiceId::new, "invoice_id")?,
        facts: Box::new(stated),
    })
}

fn attempts(
    attempts: &Field<Vec<Field<wire::Attempt>>>,
) -> Result<BTreeMap<PaymentAttemptId, Stated<Attempt>>, NotUnderstood> {
    let all = each(attempts, "payment_attempts")?.into_iter();
    all.map(|attempt| {
        let place = "payment_attempts[].invoice_payment_attempt_id";
        let id = attempt.invoice_payment_attempt_id.id();
        let id = own_id(id, PaymentAttemptId::new, place)?;
        let place = "payment_attempts[].status";
        let status = filled(&attempt.payment_attempt_status, place)?;
        let status =
            status.map_or_else(|| needed_word(&attempt.status, place), |own| Ok(word(own)))?;
        let place = "payment_attempts[].updated_at";
        let own = stated(&attempt.payment_attempt_updated_at, place)?;
        let updated_at = own.or(stated(&attempt.updated_at, place)?);
        let failed = status == "failed";
        Ok((id, at(updated_at, Attempt { status, failed })))
    })
    .collect()
}

/// Translates a payment method.
pub(crate) fn payment_method(
    method: &wire::PaymentMethod,
    mode: Mode,
) -> Result<ResourceChange, NotUnderstood> {
    let id = method.payment_method_id.id();
    let usage = stated_word(&method.usage, "usage")?;
    let facts = PaymentMethodFacts {
        mode: Some(mode),
        customer_id: named([method.customer_id.id()], CustomerId::new, "customer_id")?,
        method: stated_word(&method.kind, "type")?,
        status: Some(PaymentMethodStatus::from(needed_word(
            &method.status,
            "status",
        )?)),
        usage: usage.map(Usage::from),
        failure_code: stated_word(&method.failure_code, "failure_code")?,
    };
    Ok(ResourceChange::PaymentMethod {
        id: own_id(id, PaymentMethodId::new, "payment_method_id")?,
        facts: at(stated(&method.updated_at, "updated_at")?, facts),
    })
}

/// The end of a payment method, which the event itself states: the API may not have the method any more.
pub(crate) fn removed(id: PaymentMethodId) -> ResourceChange {
    let facts = PaymentMethodFacts {
        status: Some(PaymentMethodStatus::Removed),
        ..PaymentMethodFacts::default()
    };
    ResourceChange::PaymentMethod {
        id,
        facts: at(None, facts),
    }
}

/// Translates a merchant and its capabilities.
pub(crate) fn merchant(
    merchant: &wire::Merchant,
    capabilities: &Field<Vec<Field<wire::Capability>>>,
    mode: Mode,
) -> Result<ResourceChange, NotUnderstood> {
    let payments = merchant.payments.optional("payments")?;
    let payouts = merchant.payouts.optional("payouts")?;
    let actions = [payments, payouts].into_iter().flatten();
    let actions =
        actions.flat_map(|readiness| readiness.next_actions.known().into_iter().flatten());
    let actions = actions.filter_map(|action| known_text(&action.known()?.action_type).map(word));
    let facts = MerchantFacts {
        mode: Some(mode),
        payments: payments.map(readiness).transpose()?,
        payouts: payouts.map(readiness).transpose()?,
        requirements: requirements(merchant)?,
        next_actions: Some(actions.collect()),
        capabilities: self::capabilities(capabilities)?,
    };
    Ok(ResourceChange::Merchant {
        id: own_id(merchant.merchant_id.id(), MerchantId::new, "merchant_id")?,
        facts: Box::new(at(stated(&merchant.observed_at, "observed_at")?, facts)),
    })
}

fn readiness(readiness: &wire::Readiness) -> Result<Readiness, NotUnderstood> {
    Ok(Readiness {
        status: ReadinessStatus::from(needed_word(&readiness.status, "status")?),
        reason: known_text(&readiness.status_reason).map(word),
    })
}

fn requirements(merchant: &wire::Merchant) -> Result<Option<Requirements>, NotUnderstood> {
    let Some(all) = merchant.requirements.optional("requirements")? else {
        return Ok(None);
    };
    let words = |list: &Field<Vec<Field<String>>>| -> BTreeSet<String> {
        let all = list.known().into_iter().flatten();
        all.filter_map(|field| known_text(field).map(word))
            .collect()
    };
    Ok(Some(Requirements {
        past_due: words(&all.past_due),
        currently_due: words(&all.currently_due),
        eventually_due: words(&all.eventually_due),
        pending_verification: words(&all.pending_verification),
        disabled_reason: known_text(&all.disabled_reason).map(word),
        deadline: all.current_deadline_at.known().copied(),
    }))
}

fn capabilities(
    list: &Field<Vec<Field<wire::Capability>>>,
) -> Result<BTreeMap<String, Stated<Capability>>, NotUnderstood> {
    let all = each(list, "capabilities")?.into_iter();
    all.map(|capability| {
        let name = needed_word(&capability.capability, "capabilities[].capability")?;
        let place = "capabilities[].status";
        let value = Capability {
            domain: known_text(&capability.domain).map(word),
            status: ReadinessStatus::from(needed_word(&capability.status, place)?),
        };
        let observed_at = stated(&capability.observed_at, "capabilities[].observed_at")?;
        Ok((name, at(observed_at, value)))
    })
    .collect()
}

/// Translates a checkout session.
pub(crate) fn checkout_session(
    session: &wire::CheckoutSession,
    mode: Mode,
) -> Result<ResourceChange, NotUnderstood> {
    let id = session.checkout_session_id.id();
    let successor = session.superseding_checkout_session_id.id();
    let reason = stated_word(&session.terminal_reason, "terminal_reason")?;
    let status = SessionStatus::from(needed_word(&session.status, "status")?);
    let updated_at = stated(&session.updated_at, "updated_at")?;
    let expires_at = stated(&session.expires_at, "expires_at")?;
    let contact = session.buyer_contact.known();
    let contact = contact.and_then(|contact| known_address(&contact.email));
    let ended_at = updated_at.or(expires_at).filter(|_| has_ended(&status));
    let facts = CheckoutSessionFacts {
        mode: Some(mode),
        reason: reason.map(EndReason::from),
        order_id: named([session.order_id.id()], OrderId::new, "order_id")?,
        invoice_id: named([session.invoice_id.id()], InvoiceId::new, "invoice_id")?,
        successor: named(
            [successor],
            CheckoutSessionId::new,
            "superseding_checkout_session_id",
        )?,
        contact: contact.map(ContactEmail),
        contact_until: ended_at.and_then(|at| at.checked_add(CONTACT_LASTS).ok()),
        expires_at,
        ended_at,
        status: Some(status),
    };
    Ok(ResourceChange::CheckoutSession {
        id: own_id(id, CheckoutSessionId::new, "checkout_session_id")?,
        facts: Box::new(at(updated_at, facts)),
    })
}

/// True for a session to which nothing more happens.
fn has_ended(status: &SessionStatus) -> bool {
    matches!(
        status,
        SessionStatus::Paid
            | SessionStatus::Expired
            | SessionStatus::Closed
            | SessionStatus::Invalidated
    )
}
