//! Announcements of the provider's things that the stack mirrors. The merchant's balance has a journal instead.

use crate::{
    announcement::{Announcement, Cause, Change, Kind, State, fields},
    resource::{
        Resource,
        checkout_session::{CheckoutSession, SessionEnd},
        invoice::{Invoice, InvoiceStatus},
        latest::Latest,
        merchant::{Merchant, Readiness},
        payment_method::{PaymentMethod, PaymentMethodStatus},
    },
    values::facts::whole_second,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;
use std::collections::BTreeMap;

#[cfg(any(test, feature = "testing"))]
use crate::announcement::ThingType;

/// An invoice. Amounts are whole minor units of `currency`.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct InvoiceSummary {
    pub invoice_id: String,
    /// The merchant's number.
    pub number: Option<String>,
    /// `draft`, `open`, `partially_paid`, `uncollectible`, `credited`, `void`, `paid` or another word of the provider.
    pub status: Option<String>,
    pub order_id: Option<String>,
    pub customer_id: Option<String>,
    pub subscription_id: Option<String>,
    pub currency: Option<String>,
    pub total: Option<i64>,
    pub outstanding: Option<i64>,
    #[cfg_attr(feature = "schema", schemars(schema_with = "super::time"))]
    pub due_at: Option<Timestamp>,
    /// The first failure of a payment.
    #[cfg_attr(feature = "schema", schemars(schema_with = "super::time"))]
    pub failed_at: Option<Timestamp>,
}

/// A checkout session.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SessionSummary {
    pub checkout_session_id: String,
    /// `open`, `paid`, `partly_paid`, `superseded`, `paid_elsewhere`, `voided`, `repriced`, `abandoned`,
    /// `closed_by_merchant` or `unclear`.
    pub end: String,
    /// True if the buyer can be brought back: abandoned, and with a contact or an order.
    pub is_recoverable: bool,
    pub order_id: Option<String>,
    pub invoice_id: Option<String>,
    /// The session that replaces this one.
    pub successor: Option<String>,
    #[cfg_attr(feature = "schema", schemars(schema_with = "super::time"))]
    pub ended_at: Option<Timestamp>,
}

/// A saved payment method.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PaymentMethodSummary {
    pub payment_method_id: String,
    pub customer_id: Option<String>,
    /// The type in the provider's word, such as `card`.
    pub method: Option<String>,
    /// `pending`, `active`, `expired`, `failed`, `removed` or another word of the provider.
    pub status: Option<String>,
    /// True if a renewal can be charged to it.
    pub is_usable_off_session: bool,
    pub failure_code: Option<String>,
}

/// A merchant's readiness at the provider, in the provider's words.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MerchantSummary {
    pub merchant_id: String,
    /// The readiness to take payments.
    pub payments: Option<String>,
    /// The readiness to receive payouts.
    pub payouts: Option<String>,
    /// What the merchant must do by now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub past_due: Vec<String>,
    /// What the merchant must do next.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub currently_due: Vec<String>,
    /// The status of each capability.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub capabilities: BTreeMap<String, String>,
}

fn text<T: ToString>(value: &Latest<T>) -> Option<String> {
    value.get().map(ToString::to_string)
}

impl InvoiceSummary {
    /// The summary of an invoice's row.
    #[must_use]
    pub fn of(row: &Invoice) -> Self {
        Self {
            invoice_id: row.id.to_string(),
            number: row.number.get().cloned(),
            status: row.status.get().map(|status| status.as_str().to_owned()),
            order_id: text(&row.order_id),
            customer_id: text(&row.customer_id),
            subscription_id: text(&row.subscription_id),
            currency: row
                .currency
                .get()
                .map(|currency| currency.code().to_owned()),
            total: row.total.get().copied(),
            outstanding: row.outstanding.get().copied(),
            due_at: row.due_at.get().copied().map(whole_second),
            failed_at: row.failed_at.map(whole_second),
        }
    }

    fn kind(before: Option<&Self>, after: &Self) -> Kind {
        let (was, is) = (
            before.and_then(|row| row.status.as_deref()),
            after.status.as_deref(),
        );
        if was == is {
            Kind::InvoiceChanged
        } else if is == Some(InvoiceStatus::Open.as_str()) {
            Kind::InvoiceDue
        } else if is == Some(InvoiceStatus::Paid.as_str()) {
            Kind::InvoicePaid
        } else if is == Some(InvoiceStatus::Uncollectible.as_str()) {
            Kind::InvoiceUncollectible
        } else {
            Kind::InvoiceChanged
        }
    }
}

impl SessionSummary {
    /// The summary of a session's row.
    #[must_use]
    pub fn of(row: &CheckoutSession) -> Self {
        let end = match row.end() {
            SessionEnd::Open => "open",
            SessionEnd::Paid => "paid",
            SessionEnd::PartlyPaid => "partly_paid",
            SessionEnd::Superseded(_) => "superseded",
            SessionEnd::PaidElsewhere => "paid_elsewhere",
            SessionEnd::Voided => "voided",
            SessionEnd::Repriced => "repriced",
            SessionEnd::Abandoned => "abandoned",
            SessionEnd::ClosedByMerchant => "closed_by_merchant",
            SessionEnd::Unclear => "unclear",
        };
        Self {
            checkout_session_id: row.id.to_string(),
            end: end.to_owned(),
            is_recoverable: row.is_recoverable(),
            order_id: text(&row.order_id),
            invoice_id: text(&row.invoice_id),
            successor: text(&row.successor),
            ended_at: row.ended_at.map(whole_second),
        }
    }

    fn kind(before: Option<&Self>, after: &Self) -> Kind {
        let newly = |is_so: fn(&Self) -> bool| is_so(after) && !before.is_some_and(is_so);
        if newly(|session| session.end == "paid") {
            Kind::CheckoutConverted
        } else if newly(|session| session.is_recoverable) {
            Kind::CheckoutAbandoned
        } else {
            Kind::CheckoutChanged
        }
    }
}

impl PaymentMethodSummary {
    /// The summary of a payment method's row.
    #[must_use]
    pub fn of(row: &PaymentMethod) -> Self {
        Self {
            payment_method_id: row.id.to_string(),
            customer_id: text(&row.customer_id),
            method: row.method.get().cloned(),
            status: row.status.get().map(|status| status.as_str().to_owned()),
            is_usable_off_session: row.is_usable_off_session(),
            failure_code: row.failure_code.get().cloned(),
        }
    }

    fn kind(before: Option<&Self>, after: &Self) -> Kind {
        use PaymentMethodStatus as Status;
        if before.and_then(|row| row.status.as_ref()) == after.status.as_ref() {
            return Kind::PaymentMethodChanged;
        }
        match after.status.as_deref().map(Status::from) {
            Some(Status::Active) => Kind::PaymentMethodReady,
            Some(Status::Failed | Status::Expired) => Kind::PaymentMethodFailed,
            Some(Status::Removed) => Kind::PaymentMethodRemoved,
            Some(Status::Pending | Status::Other(_)) | None => Kind::PaymentMethodChanged,
        }
    }
}

impl MerchantSummary {
    /// The summary of a merchant's row.
    #[must_use]
    pub fn of(row: &Merchant) -> Self {
        let word = |readiness: &Latest<Readiness>| {
            readiness
                .get()
                .map(|readiness| readiness.status.as_str().to_owned())
        };
        let requirements = row.requirements.get();
        let capabilities = row.capabilities.iter().filter_map(|(name, capability)| {
            Some((name.clone(), capability.get()?.status.as_str().to_owned()))
        });
        Self {
            merchant_id: row.id.to_string(),
            payments: word(&row.payments),
            payouts: word(&row.payouts),
            past_due: requirements
                .iter()
                .flat_map(|all| all.past_due.clone())
                .collect(),
            currently_due: requirements
                .iter()
                .flat_map(|all| all.currently_due.clone())
                .collect(),
            capabilities: capabilities.collect(),
        }
    }

    fn kind(_: Option<&Self>, _: &Self) -> Kind {
        Kind::MerchantReadinessChanged
    }
}

/// The announcements of a mirrored thing's change; none if its summary stays.
#[must_use]
pub fn changed(before: Option<&Resource>, after: &Resource, cause: Cause<'_>) -> Vec<Announcement> {
    /// The announcements of a row, compared with the row before if that is of the same kind.
    macro_rules! announcements {
        ($row:ident: $kind:ident, $summary:ident, $id:ident) => {{
            let before = match before {
                Some(Resource::$kind(before)) => Some($summary::of(before)),
                _ => None,
            };
            let summary = $summary::of($row);
            let id = summary.$id.clone();
            match change(before.as_ref(), &summary, $summary::kind) {
                Some(change) => {
                    let state = State::$kind(summary.into());
                    cause.announce(&id, after.version(), change, &state)
                }
                None => Vec::new(),
            }
        }};
    }
    match after {
        Resource::Transaction(_) => Vec::new(),
        Resource::Invoice(row) => announcements!(row: Invoice, InvoiceSummary, invoice_id),
        Resource::CheckoutSession(row) => {
            announcements!(row: CheckoutSession, SessionSummary, checkout_session_id)
        }
        Resource::PaymentMethod(row) => {
            announcements!(row: PaymentMethod, PaymentMethodSummary, payment_method_id)
        }
        Resource::Merchant(row) => announcements!(row: Merchant, MerchantSummary, merchant_id),
    }
}

/// The change of a summary; `None` if it stays.
fn change<S: Serialize + PartialEq>(
    before: Option<&S>,
    after: &S,
    kind: impl Fn(Option<&S>, &S) -> Kind,
) -> Option<Change> {
    (before != Some(after)).then(|| Change {
        kinds: vec![kind(before, after)],
        changed: fields::changed(before, after),
    })
}

/// For tests: the state of a mirrored thing that is announced, by its type and id.
#[cfg(any(test, feature = "testing"))]
pub(crate) fn state(row: &Resource) -> Option<((ThingType, String), State)> {
    let (thing_type, state) = match row {
        Resource::Transaction(_) => return None,
        Resource::Invoice(row) => (
            ThingType::Invoice,
            State::Invoice(InvoiceSummary::of(row).into()),
        ),
        Resource::CheckoutSession(row) => {
            let state = State::CheckoutSession(SessionSummary::of(row).into());
            (ThingType::CheckoutSession, state)
        }
        Resource::PaymentMethod(row) => {
            let state = State::PaymentMethod(PaymentMethodSummary::of(row));
            (ThingType::PaymentMethod, state)
        }
        Resource::Merchant(row) => (
            ThingType::Merchant,
            State::Merchant(MerchantSummary::of(row)),
        ),
    };
    let id = row.id();
    let (_, id) = id.parts();
    Some(((thing_type, id.to_owned()), state))
}
