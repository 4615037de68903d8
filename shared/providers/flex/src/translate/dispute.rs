//! A dispute.

use super::{
    currency, known_text, mode_of, named, needed_cents, needed_text, own_id, status, word,
};
use crate::wire;
use domain::{
    sale::dispute::{DisputeChange, DisputeFacts, DisputeFunds},
    values::{
        facts::Stated,
        ids::{DisputeId, PaymentIntentId},
    },
};
use reading::{Identified, NotUnderstood};

/// Translates a dispute, with what the type of its event says: a movement of funds, or the end.
pub(crate) fn dispute(
    dispute: &wire::Dispute,
    funds: Option<DisputeFunds>,
    closed: bool,
) -> Result<DisputeChange, NotUnderstood> {
    const ID: &str = "object.dispute.dispute_id";
    const PAYMENT: &str = "object.dispute.payment_intent_id";
    let payments = [dispute.payment_intent_id.id(), dispute.payment_intent.id()];
    let status = status::dispute(
        needed_text(&dispute.status, "object.dispute.status")?,
        funds,
    );
    let evidence = dispute.evidence_details.known();
    Ok(DisputeChange {
        dispute_id: own_id(dispute.dispute_id.id(), DisputeId::new, ID)?,
        mode: mode_of(&dispute.test_mode, "object.dispute.test_mode")?,
        facts: Stated::ranked(
            status.rank,
            DisputeFacts {
                status: status.known,
                word: status.word,
                amount: needed_cents(&dispute.amount, "object.dispute.amount")?,
                currency: currency(&dispute.currency, "object.dispute.currency")?,
                payment_intent_id: named(payments, PaymentIntentId::new, PAYMENT)?
                    .ok_or(NotUnderstood::Missing(PAYMENT))?,
                reason: known_text(&dispute.reason).map(word),
                // It informs the merchant, who must hear of the dispute in any case.
                due_by: evidence.and_then(|evidence| evidence.due_by.known().copied()),
            },
        ),
        closed,
        funds,
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::assert_needed;
    use super::*;
    use domain::{
        sale::dispute::DisputeStatus,
        values::{mode::Mode, money::Currency},
    };
    use serde_json::{Value, json};

    fn sample() -> Value {
        json!({
            "dispute_id": "fdsp_1", "payment_intent_id": "fpi_1", "charge_id": "fch_1", "amount": 4999,
            "currency": "usd", "status": "needs_response", "reason": "fraudulent",
            "evidence_details": {"due_by": "2025-10-20T23:59:59Z", "submission_count": 0}, "test_mode": false,
        })
    }

    fn read(sample: Value) -> Result<DisputeChange, &'static str> {
        dispute(&serde_json::from_value(sample).unwrap(), None, false).map_err(NotUnderstood::place)
    }

    fn with(name: &str, value: Value) -> Result<DisputeChange, &'static str> {
        let mut sample = sample();
        sample[name] = value;
        read(sample)
    }

    #[test]
    fn a_dispute_tells_all_that_it_has() {
        let expected = DisputeChange {
            dispute_id: DisputeId::new("fdsp_1").unwrap(),
            mode: Some(Mode::Live),
            facts: Stated::ranked(
                12,
                DisputeFacts {
                    status: DisputeStatus::Open,
                    word: "needs_response".to_owned(),
                    amount: 4999,
                    currency: Currency::USD,
                    payment_intent_id: PaymentIntentId::new("fpi_1").unwrap(),
                    reason: Some("fraudulent".to_owned()),
                    due_by: Some("2025-10-20T23:59:59Z".parse().unwrap()),
                },
            ),
            closed: false,
            funds: None,
        };
        assert_eq!(read(sample()), Ok(expected));
    }

    #[test]
    fn a_dispute_is_of_no_use_without_these() {
        let members = ["dispute_id", "payment_intent_id", "amount", "status"];
        assert_needed(with, "dispute", &members);
    }

    #[test]
    fn a_member_without_effect_may_be_missing_or_odd() {
        for name in ["charge_id", "reason", "evidence_details"] {
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
        assert_eq!(currency(Value::Null), Currency::USD);
        for unknown in [json!("doubloon"), json!(840)] {
            assert_eq!(with("currency", unknown), Err("object.dispute.currency"));
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
