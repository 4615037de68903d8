//! A dispute.

use super::{Missing, cents, filled, first_id, mode, word};
use crate::{
    time::timestamp,
    wire::{self, Reference},
};
use domain::{
    sale::dispute::{DisputeChange, DisputeFacts, DisputeFunds, DisputeStatus},
    values::{
        ids::{DisputeId, PaymentIntentId},
        money::Currency,
    },
};

/// Translates a dispute, with the movement of funds that the event reports.
pub(crate) fn dispute(
    dispute: &wire::Dispute,
    funds: Option<DisputeFunds>,
) -> Result<DisputeChange, Missing> {
    let payment = dispute.payment_intent.as_ref().and_then(Reference::id);
    let status = filled(dispute.status.as_deref()).ok_or(Missing("object.dispute.status"))?;
    let currency = dispute
        .currency
        .as_deref()
        .and_then(|code| Currency::new(code).ok());
    Ok(DisputeChange {
        dispute_id: first_id([dispute.dispute_id.as_deref()], DisputeId::new)
            .ok_or(Missing("object.dispute"))?,
        mode: dispute.test_mode.map(mode),
        facts: DisputeFacts {
            status: DisputeStatus::from(word(status)),
            amount: cents(&dispute.amount).ok_or(Missing("object.dispute.amount"))?,
            // Flex sells in no other currency.
            currency: currency.unwrap_or(Currency::USD),
            payment_intent_id: first_id(
                [dispute.payment_intent_id.as_deref(), payment],
                PaymentIntentId::new,
            )
            .ok_or(Missing("object.dispute.payment_intent_id"))?,
            reason: filled(dispute.reason.as_deref()).map(word),
            due_by: dispute
                .evidence_details
                .as_ref()
                .and_then(|details| timestamp(&details.due_by)),
        },
        funds,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::values::mode::Mode;
    use serde_json::{Value, json};

    fn sample() -> Value {
        json!({
            "dispute_id": "fdsp_1", "payment_intent_id": "fpi_1", "charge_id": "fch_1", "amount": 4999,
            "currency": "usd", "status": "needs_response", "reason": "fraudulent",
            "evidence_details": {"due_by": "2025-10-20T23:59:59Z", "submission_count": 0}, "test_mode": false,
        })
    }

    fn read(sample: Value) -> Result<DisputeChange, Missing> {
        dispute(&serde_json::from_value(sample).unwrap(), None)
    }

    fn with(name: &str, value: Value) -> Result<DisputeChange, Missing> {
        let mut sample = sample();
        sample[name] = value;
        read(sample)
    }

    #[test]
    fn a_dispute_tells_all_that_it_has() {
        let expected = DisputeChange {
            dispute_id: DisputeId::new("fdsp_1").unwrap(),
            mode: Some(Mode::Live),
            facts: DisputeFacts {
                status: DisputeStatus::NeedsResponse,
                amount: 4999,
                currency: Currency::USD,
                payment_intent_id: PaymentIntentId::new("fpi_1").unwrap(),
                reason: Some("fraudulent".to_owned()),
                due_by: Some("2025-10-20T23:59:59Z".parse().unwrap()),
            },
            funds: None,
        };
        assert_eq!(read(sample()), Ok(expected));
    }

    #[test]
    fn a_dispute_is_of_no_use_without_these() {
        for (name, place) in [
            ("dispute_id", "object.dispute"),
            ("payment_intent_id", "object.dispute.payment_intent_id"),
            ("amount", "object.dispute.amount"),
            ("status", "object.dispute.status"),
        ] {
            for odd in [
                Value::Null,
                json!({}),
                json!(""),
                json!(-5),
                json!(1.5),
                json!([]),
            ] {
                assert_eq!(
                    with(name, odd.clone()),
                    Err(Missing(place)),
                    "{name}: {odd}"
                );
            }
        }
    }

    #[test]
    fn every_other_member_may_be_missing_or_odd() {
        for name in [
            "charge_id",
            "currency",
            "reason",
            "evidence_details",
            "test_mode",
        ] {
            for odd in [
                Value::Null,
                json!("two words"),
                json!(7),
                json!({}),
                json!([]),
            ] {
                assert!(with(name, odd.clone()).is_ok(), "{name}: {odd}");
            }
        }
    }

    #[test]
    fn a_currency_is_the_disputes_own_or_dollars() {
        let currency = |code: Value| with("currency", code).unwrap().facts.currency;
        assert_eq!(currency(json!("EUR")).code(), "EUR");
        for unknown in [Value::Null, json!("doubloon"), json!(840)] {
            assert_eq!(currency(unknown), Currency::USD);
        }
    }

    #[test]
    fn a_due_date_may_be_written_in_any_way() {
        let due = |due_by: Value| {
            with("evidence_details", json!({"due_by": due_by}))
                .unwrap()
                .facts
                .due_by
        };
        for due_by in [
            json!(1_761_004_799),
            json!("1761004799"),
            json!("2025-10-20T23:59:59Z"),
        ] {
            assert_eq!(due(due_by).unwrap().as_second(), 1_761_004_799);
        }
        assert_eq!(due(json!("soon")), None);
    }
}
