//! A payment intent, alone or as part of its checkout.

use super::{cents, currency, details, filled, known_text, own_id, status, word};
use crate::wire::{PaymentIntent, Session};
use domain::{
    sale::{payment::PaymentFacts, statement::Sale},
    values::{facts::Stated, ids::PaymentIntentId},
};
use reading::{Field, Identified, NotUnderstood, stated};
use std::collections::{BTreeMap, BTreeSet};

/// The longest list that can belong to one checkout. A full page of a hundred comes from the whole
/// account: the API has ignored the filter.
const MOST_PAYMENTS: usize = 99;

/// Translates an intent. The word `otherwise` replaces a missing status.
pub(crate) fn facts(
    intent: &PaymentIntent,
    otherwise: Option<&str>,
) -> Result<Option<Stated<PaymentFacts>>, NotUnderstood> {
    let status = filled(&intent.status, "object.payment_intent.status")?;
    let Some(status) = status.or(otherwise).map(status::payment) else {
        return Ok(None);
    };
    let facts = PaymentFacts {
        status: status.known,
        word: status.word,
        currency: currency(&intent.currency, "object.payment_intent.currency")?,
        received: cents(
            &intent.amount_received,
            "object.payment_intent.amount_received",
        )?,
        amount: cents(&intent.amount, "object.payment_intent.amount")?,
        capturable: cents(
            &intent.amount_capturable,
            "object.payment_intent.amount_capturable",
        )?,
        made_at: stated(&intent.created_at, "object.payment_intent.created_at")?,
        card: known_text(&intent.payment_card_type).map(word),
        failure: None,
        is_held: false,
    };
    Ok(Some(Stated::ranked(status.rank, facts)))
}

/// The expanded payments of a session.
pub(super) fn expanded(session: &Session) -> BTreeMap<PaymentIntentId, Stated<PaymentFacts>> {
    let all = objects(session).filter_map(known);
    all.filter_map(|(id, facts)| Some((id, facts?))).collect()
}

/// The expanded payments of a session that are not understood.
pub(super) fn unclear(session: &Session) -> BTreeSet<PaymentIntentId> {
    objects(session).filter_map(unclear_id).collect()
}

fn objects(session: &Session) -> impl Iterator<Item = &PaymentIntent> {
    let listed = session.payment_intents.known().into_iter().flatten();
    let all = listed.chain([&session.payment_intent]);
    all.filter_map(|reference| reference.known()?.object())
}

/// Adds separately read payments to a checkout. A payment that the session does not name is
/// included if the list looks like the list of one checkout.
pub fn add_payments(sale: &mut Sale, intents: &[Field<PaymentIntent>]) {
    let read = intents.iter().filter_map(|intent| known(intent.known()?));
    let read: Vec<_> = read.collect();
    let named = |id: &PaymentIntentId| sale.payment_intents.contains(id);
    let is_its_own = intents.len() <= MOST_PAYMENTS
        && (sale.payment_intents.is_empty() || read.iter().any(|(id, _)| named(id)));
    for (id, facts) in read {
        if !sale.payment_intents.contains(&id) {
            if !is_its_own {
                continue;
            }
            sale.payment_intents.push(id.clone());
        }
        if let Some(facts) = facts {
            sale.payments.insert(id, facts);
        }
    }
    let unclear = intents
        .iter()
        .filter_map(|intent| unclear_id(intent.known()?));
    let unclear = unclear.filter(|id| sale.payment_intents.contains(id));
    sale.details.unclear_payments.extend(unclear);
    let is_nameless = |intent: &Field<PaymentIntent>| intent.known().and_then(known).is_none();
    if intents.iter().any(is_nameless) {
        // It may be any of those that are named and not read.
        let named = sale.payment_intents.iter();
        let unread = named.filter(|id| !sale.payments.contains_key(*id)).cloned();
        sale.details.unclear_payments.extend(unread);
    }
    let methods = intents.iter().filter_map(Field::known);
    let methods = methods.filter_map(details::method_of);
    let own = methods.filter(|(id, _)| sale.payment_intents.contains(id));
    sale.details.payment_methods.extend(own);
}

/// A payment of a list, with its facts if all of them are understood. They add detail to the session, so one that is not
/// understood does not stop the order: it is noted, and a person looks at it.
fn known(intent: &PaymentIntent) -> Option<(PaymentIntentId, Option<Stated<PaymentFacts>>)> {
    let id = own_id(intent.payment_intent_id.id(), PaymentIntentId::new, "").ok()?;
    Some((id, facts(intent, None).ok().flatten()))
}

/// The id of a payment whose facts are not understood.
fn unclear_id(intent: &PaymentIntent) -> Option<PaymentIntentId> {
    facts(intent, None).err()?;
    own_id(intent.payment_intent_id.id(), PaymentIntentId::new, "").ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{sale::payment::PaymentStatus, values::money::Currency};
    use serde_json::{Value, json};

    const SESSION: &str = include_str!("../../../../../events/flex/api/session.json");
    const FIRST: &str = "fpi_01K76N0000000000000000000D";
    const SECOND: &str = "fpi_01K76N0000000000000000000Z";

    fn sale(changes: &Value) -> Sale {
        let mut session: Value = serde_json::from_str(SESSION).unwrap();
        let mut session = session["checkout_session"].take();
        session
            .as_object_mut()
            .unwrap()
            .extend(changes.as_object().unwrap().clone());
        crate::sale(
            &serde_json::from_value(session).unwrap(),
            &Field::Absent,
            None,
        )
        .unwrap()
    }

    fn intent(intent: Value) -> PaymentIntent {
        serde_json::from_value(intent).unwrap()
    }

    fn listed(payment: Value) -> Field<PaymentIntent> {
        Field::of(payment)
    }

    fn succeeded(id: &str) -> Field<PaymentIntent> {
        listed(json!({"payment_intent_id": id, "status": "succeeded", "amount_received": 5}))
    }

    fn ids(sale: &Sale) -> (Vec<&str>, Vec<&str>) {
        let facts = sale.payments.keys().map(PaymentIntentId::as_str).collect();
        (
            sale.payment_intents
                .iter()
                .map(PaymentIntentId::as_str)
                .collect(),
            facts,
        )
    }

    #[test]
    fn an_intent_tells_its_status_amounts_and_card() {
        let whole = json!({
            "status": "requires_capture", "amount": 500, "amount_received": 0, "amount_capturable": 500,
            "created_at": "2025-10-10T09:52:50Z", "payment_card_type": "primary",
        });
        let expected = PaymentFacts {
            status: PaymentStatus::Authorized,
            word: "requires_capture".to_owned(),
            currency: Currency::USD,
            received: Some(0),
            amount: Some(500),
            capturable: Some(500),
            made_at: Some("2025-10-10T09:52:50Z".parse().unwrap()),
            card: Some("primary".to_owned()),
            failure: None,
            is_held: false,
        };
        assert_eq!(
            facts(&intent(whole), None),
            Ok(Some(Stated::ranked(5, expected)))
        );
    }

    #[test]
    fn what_an_intent_does_not_tell_is_not_guessed() {
        let odd = json!({"status": " ", "payment_card_type": 7});
        assert_eq!(facts(&intent(odd.clone()), None), Ok(None));
        let only = PaymentFacts::bare(PaymentStatus::Received, "succeeded", Currency::USD);
        let otherwise = Some("succeeded");
        let only = Stated::ranked(7, only);
        assert_eq!(facts(&intent(odd), otherwise), Ok(Some(only)));
        for (name, odd) in [
            ("amount", json!("5.00")),
            ("amount_received", json!(-1)),
            ("currency", json!("doubloon")),
            ("status", json!(7)),
            ("created_at", json!(true)),
        ] {
            let why = facts(&intent(json!({name: odd})), otherwise).unwrap_err();
            assert_eq!(why.place(), format!("object.payment_intent.{name}"));
        }
    }

    #[test]
    fn expanded_payments_count_as_told() {
        let sale = sale(&json!({
            "payment_intents": [FIRST, {"payment_intent_id": SECOND, "status": "succeeded"}],
            "payment_intent": {"payment_intent_id": FIRST},
        }));
        assert_eq!(ids(&sale), (vec![FIRST, SECOND], vec![SECOND]));
    }

    #[test]
    fn payments_of_the_list_are_added_to_those_of_the_session() {
        let mut sale = sale(&json!({}));
        add_payments(
            &mut sale,
            &[
                succeeded("fpi_3"),
                succeeded(FIRST),
                listed(json!({})),
                listed(json!("fpi_4")),
                listed(json!({"payment_intent_id": "fpi_5", "status": "succeeded", "amount": "5"})),
                succeeded(""),
            ],
        );
        let all = vec![FIRST, SECOND, "fpi_3", "fpi_5"];
        assert_eq!(ids(&sale), (all, vec![FIRST, "fpi_3"]));
        // The fifth is not understood. Two have no name: one of them may be the second, which the session names.
        let unclear = sale.details.unclear_payments.iter();
        let unclear: Vec<_> = unclear.map(PaymentIntentId::as_str).collect();
        assert_eq!(unclear, [SECOND, "fpi_5"]);
    }

    #[test]
    fn a_session_without_payments_has_those_of_the_list() {
        let none =
            json!({"payment_intents": [], "payment_intent": null, "payment_intent_id": null});
        let mut sale = sale(&none);
        add_payments(&mut sale, &[succeeded("fpi_3")]);
        assert_eq!(ids(&sale), (vec!["fpi_3"], vec!["fpi_3"]));
    }

    #[test]
    fn payments_of_somebody_else_are_not_added() {
        let mut of_another = sale(&json!({}));
        add_payments(&mut of_another, &[succeeded("fpi_3"), succeeded("fpi_4")]);
        assert_eq!(ids(&of_another), (vec![FIRST, SECOND], vec![]));

        let all: Vec<_> = (0..99)
            .map(|n| succeeded(&format!("fpi_{n}")))
            .chain([succeeded(FIRST)])
            .collect();
        let mut of_all = sale(&json!({}));
        add_payments(&mut of_all, &all);
        assert_eq!(ids(&of_all), (vec![FIRST, SECOND], vec![FIRST]));
    }
}
