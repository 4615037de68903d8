//! A payment intent, alone or as part of its checkout.

use super::{cents, details, filled, first_id, word};
use crate::wire::{PaymentIntent, Reference, Session};
use domain::{
    sale::{
        checkout::Checkout,
        payment::{PaymentFacts, PaymentStatus},
    },
    values::ids::PaymentIntentId,
};
use std::collections::BTreeMap;

/// The longest list that can belong to one checkout. A full page of a hundred comes from the whole
/// account: the API has ignored the filter.
const MOST_PAYMENTS: usize = 99;

/// Translates an intent. `otherwise` replaces a missing status. An amount that is not a whole
/// number of cents counts as unknown, because no decision depends on it.
pub(crate) fn facts(
    intent: &PaymentIntent,
    otherwise: Option<PaymentStatus>,
) -> Option<PaymentFacts> {
    let status = filled(intent.status.as_deref()).map(|status| PaymentStatus::from(word(status)));
    Some(PaymentFacts {
        status: status.or(otherwise)?,
        received: cents(&intent.amount_received),
        amount: cents(&intent.amount),
        card: filled(intent.payment_card_type.as_deref()).map(word),
    })
}

/// The expanded payments of a session.
pub(super) fn expanded(session: &Session) -> BTreeMap<PaymentIntentId, PaymentFacts> {
    let all = session
        .payment_intents
        .iter()
        .flatten()
        .chain(&session.payment_intent);
    all.filter_map(Reference::object)
        .filter_map(known)
        .collect()
}

/// Adds separately read payments to a checkout. A payment that the session does not name is
/// included if the list looks like the list of one checkout.
pub fn add_payments(checkout: &mut Checkout, intents: &[PaymentIntent]) {
    let facts: Vec<(PaymentIntentId, PaymentFacts)> = intents.iter().filter_map(known).collect();
    let named = |id: &PaymentIntentId| checkout.payment_intents.contains(id);
    let is_its_own = intents.len() <= MOST_PAYMENTS
        && (checkout.payment_intents.is_empty() || facts.iter().any(|(id, _)| named(id)));
    for (id, facts) in facts {
        if !checkout.payment_intents.contains(&id) {
            if !is_its_own {
                continue;
            }
            checkout.payment_intents.push(id.clone());
        }
        checkout.payments.insert(id, facts);
    }
    let methods = intents.iter().filter_map(details::method_of);
    let own = methods.filter(|(id, _)| checkout.payment_intents.contains(id));
    checkout.details.payment_methods.extend(own);
}

fn known(intent: &PaymentIntent) -> Option<(PaymentIntentId, PaymentFacts)> {
    let id = first_id([intent.payment_intent_id.as_deref()], PaymentIntentId::new)?;
    Some((id, facts(intent, None)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const SESSION: &str = include_str!("../../../../../events/flex/api/session.json");
    const FIRST: &str = "fpi_01K76N0000000000000000000D";
    const SECOND: &str = "fpi_01K76N0000000000000000000Z";

    fn checkout(changes: &Value) -> Checkout {
        let mut session: Value = serde_json::from_str(SESSION).unwrap();
        let mut session = session["checkout_session"].take();
        session
            .as_object_mut()
            .unwrap()
            .extend(changes.as_object().unwrap().clone());
        crate::checkout(&serde_json::from_value(session).unwrap(), &[], None).unwrap()
    }

    fn intent(intent: Value) -> PaymentIntent {
        serde_json::from_value(intent).unwrap()
    }

    fn succeeded(id: &str) -> PaymentIntent {
        intent(json!({"payment_intent_id": id, "status": "succeeded", "amount_received": 5}))
    }

    fn ids(checkout: &Checkout) -> (Vec<&str>, Vec<&str>) {
        let facts = checkout
            .payments
            .keys()
            .map(PaymentIntentId::as_str)
            .collect();
        (
            checkout
                .payment_intents
                .iter()
                .map(PaymentIntentId::as_str)
                .collect(),
            facts,
        )
    }

    #[test]
    fn an_intent_tells_its_status_amounts_and_card() {
        let whole = json!({
            "status": "requires_capture", "amount": 500, "amount_received": 0, "payment_card_type": "primary",
        });
        let expected = PaymentFacts {
            status: PaymentStatus::RequiresCapture,
            received: Some(0),
            amount: Some(500),
            card: Some("primary".to_owned()),
        };
        assert_eq!(facts(&intent(whole), None), Some(expected));
    }

    #[test]
    fn what_an_intent_does_not_tell_is_not_guessed() {
        let odd =
            json!({"status": " ", "amount": "5.00", "amount_received": -1, "payment_card_type": 7});
        assert_eq!(facts(&intent(odd.clone()), None), None);
        let only = PaymentFacts {
            status: PaymentStatus::Succeeded,
            received: None,
            amount: None,
            card: None,
        };
        assert_eq!(
            facts(&intent(odd), Some(PaymentStatus::Succeeded)),
            Some(only)
        );
    }

    #[test]
    fn a_status_that_we_do_not_know_is_kept_and_has_an_end() {
        let status = |word: &str| {
            facts(&intent(json!({"status": word})), None)
                .unwrap()
                .status
        };
        assert_eq!(
            status("on_hold"),
            PaymentStatus::Other("on_hold".to_owned())
        );
        assert_eq!(
            status(&"x".repeat(500)),
            PaymentStatus::Other("x".repeat(64))
        );
    }

    #[test]
    fn expanded_payments_count_as_told() {
        let checkout = checkout(&json!({
            "payment_intents": [FIRST, {"payment_intent_id": SECOND, "status": "succeeded"}],
            "payment_intent": {"payment_intent_id": FIRST},
        }));
        assert_eq!(ids(&checkout), (vec![FIRST, SECOND], vec![SECOND]));
    }

    #[test]
    fn payments_of_the_list_are_added_to_those_of_the_session() {
        let mut checkout = checkout(&json!({}));
        add_payments(
            &mut checkout,
            &[
                succeeded("fpi_3"),
                succeeded(FIRST),
                intent(json!({})),
                succeeded(""),
            ],
        );
        assert_eq!(
            ids(&checkout),
            (vec![FIRST, SECOND, "fpi_3"], vec![FIRST, "fpi_3"])
        );
    }

    #[test]
    fn a_session_without_payments_has_those_of_the_list() {
        let none =
            json!({"payment_intents": [], "payment_intent": null, "payment_intent_id": null});
        let mut checkout = checkout(&none);
        add_payments(&mut checkout, &[succeeded("fpi_3")]);
        assert_eq!(ids(&checkout), (vec!["fpi_3"], vec!["fpi_3"]));
    }

    #[test]
    fn payments_of_somebody_else_are_not_added() {
        let mut of_another = checkout(&json!({}));
        add_payments(&mut of_another, &[succeeded("fpi_3"), succeeded("fpi_4")]);
        assert_eq!(ids(&of_another), (vec![FIRST, SECOND], vec![]));

        let all: Vec<_> = (0..99)
            .map(|n| succeeded(&format!("fpi_{n}")))
            .chain([succeeded(FIRST)])
            .collect();
        let mut of_all = checkout(&json!({}));
        add_payments(&mut of_all, &all);
        assert_eq!(ids(&of_all), (vec![FIRST, SECOND], vec![FIRST]));
    }
}
