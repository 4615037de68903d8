//! A refund.

use super::{currency, details, mode_of, named, needed_cents, needed_text, status};
use crate::wire;
use domain::{
    delivery::answer::{Refunds, UnclearRefund},
    sale::refund::{Goods, RefundChange, RefundFacts},
    values::{
        facts::Stated,
        ids::{InvoiceId, PaymentIntentId, RefundId, Sku, SubscriptionId},
    },
};
use reading::{Field, Identified, NotUnderstood, stated, text};
use serde_json::Value;

/// The most kinds of goods in a refund: more than any cart that is returned.
const MOST_GOODS: usize = 50;

/// The refund's id, if it is understood.
pub(crate) fn id_of(refund: &Field<wire::Refund>) -> Option<RefundId> {
    let id = refund.known()?.refund_id.id();
    super::own_id(id, RefundId::new, "refund_id").ok()
}

/// Adds one refund of a list.
pub(crate) fn add(all: &mut Refunds, listed: &Field<wire::Refund>) {
    match listed.required("object.refund").and_then(refund) {
        Ok(refund)
            if all
                .understood
                .iter()
                .all(|one| one.refund_id != refund.refund_id) =>
        {
            all.understood.push(refund);
        }
        Ok(_) => {}
        Err(why) => {
            all.unclear.get_or_insert_with(|| UnclearRefund {
                refund_id: id_of(listed),
                why: super::unreadable(rest::in_answer(why)),
            });
        }
    }
}

/// Translates a refund.
pub(crate) fn refund(refund: &wire::Refund) -> Result<RefundChange, NotUnderstood> {
    const ID: &str = "object.refund.refund_id";
    const PAYMENT: &str = "object.refund.payment_intent_id";
    const INVOICE: &str = "object.refund.invoice_id";
    const SUBSCRIPTION: &str = "object.refund.subscription_id";
    let payments = [refund.payment_intent_id.id(), refund.payment_intent.id()];
    let status = status::refund(needed_text(&refund.status, "object.refund.status")?);
    let goods = goods(&refund.metadata);
    Ok(RefundChange {
        refund_id: super::own_id(refund.refund_id.id(), RefundId::new, ID)?,
        mode: mode_of(&refund.test_mode, "object.refund.test_mode")?,
        facts: Stated::ranked(
            status.rank,
            RefundFacts {
                status: status.known,
                word: status.word,
                currency: currency(&refund.currency, "object.refund.currency")?,
                amount: needed_cents(&refund.amount, "object.refund.amount")?,
                payment_intent_id: named(payments, PaymentIntentId::new, PAYMENT)?
                    .ok_or(NotUnderstood::Missing(PAYMENT))?,
                goods_unclear: goods.is_none(),
                goods: goods.unwrap_or_default(),
                invoice_id: named([refund.invoice_id.id()], InvoiceId::new, INVOICE)?,
                made_at: stated(&refund.created_at, "object.refund.created_at")?,
            },
        ),
        subscription_id: named(
            [refund.subscription_id.id()],
            SubscriptionId::new,
            SUBSCRIPTION,
        )?,
    })
}

/// The returned goods, from `restock` in the refund's metadata, such as `BRACE-M:2, TOTE`; a SKU without a number means
/// one unit. Empty without such an entry. `None` if any part is not understood: half of it would mislead.
fn goods(metadata: &Value) -> Option<Vec<Goods>> {
    let entries = details::entries(metadata);
    let entry = entries.known().and_then(|entries| entries.get("restock"));
    let text = match entry {
        None | Some(Value::Null) => return Some(Vec::new()),
        Some(entry) => entry.as_str()?,
    };
    if text.trim().is_empty() {
        return Some(Vec::new());
    }
    // One more than allowed, to limit the work on a long text.
    let goods: Vec<Goods> = text
        .split(',')
        .take(MOST_GOODS + 1)
        .map(some_goods)
        .collect::<Option<_>>()?;
    (goods.len() <= MOST_GOODS).then_some(goods)
}

fn some_goods(text: &str) -> Option<Goods> {
    let (sku, quantity) = match text.rsplit_once(':') {
        Some((sku, quantity)) => (sku, quantity.trim().parse().ok()?),
        None => (text, 1),
    };
    Some(Goods {
        sku: Sku::new(text::code(sku)).ok()?,
        quantity,
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{assert_needed, assert_optional};
    use super::*;
    use domain::{
        sale::refund::RefundStatus,
        values::{mode::Mode, money::Currency},
    };
    use serde_json::json;

    fn sample() -> Value {
        json!({
            "refund_id": "fre_1", "payment_intent_id": "fpi_1", "amount": 1500, "status": "pending",
            "created_at": "2025-10-10T12:40:00Z", "reason": "duplicate", "test_mode": true,
            "metadata": {"restock": "BRACE-M:2, TOTE"}, "subscription_id": "fsub_1", "invoice_id": "fin_1",
        })
    }

    /// The sample with one member changed.
    fn with(name: &str, value: Value) -> Result<RefundChange, &'static str> {
        let mut sample = sample();
        sample[name] = value;
        refund(&serde_json::from_value(sample).unwrap()).map_err(NotUnderstood::place)
    }

    fn restock(text: &str) -> Vec<(String, u32)> {
        let change = with("metadata", json!({"restock": text, "note": "x"})).unwrap();
        change
            .facts
            .value
            .goods
            .into_iter()
            .map(|goods| (goods.sku.into(), goods.quantity))
            .collect()
    }

    #[test]
    fn a_refund_tells_all_that_it_has() {
        let goods = |sku, quantity| Goods {
            sku: Sku::new(sku).unwrap(),
            quantity,
        };
        let expected = RefundChange {
            refund_id: RefundId::new("fre_1").unwrap(),
            mode: Some(Mode::Test),
            facts: Stated::ranked(
                1,
                RefundFacts {
                    status: RefundStatus::Pending,
                    word: "pending".to_owned(),
                    currency: Currency::USD,
                    amount: 1500,
                    payment_intent_id: PaymentIntentId::new("fpi_1").unwrap(),
                    goods: vec![goods("BRACE-M", 2), goods("TOTE", 1)],
                    goods_unclear: false,
                    invoice_id: Some(InvoiceId::new("fin_1").unwrap()),
                    made_at: Some("2025-10-10T12:40:00Z".parse().unwrap()),
                },
            ),
            subscription_id: Some(SubscriptionId::new("fsub_1").unwrap()),
        };
        assert_eq!(with("new", json!([1])), Ok(expected));
    }

    #[test]
    fn a_refund_is_of_no_use_without_these() {
        let members = ["refund_id", "payment_intent_id", "amount", "status"];
        assert_needed(with, "refund", &members);
    }

    #[test]
    fn a_member_without_effect_may_be_odd_and_any_other_may_be_missing() {
        for name in ["reason", "metadata"] {
            for odd in [json!("two words"), json!(7), json!({}), json!([])] {
                assert!(with(name, odd.clone()).is_ok(), "{name}: {odd}");
            }
        }
        let members = ["created_at", "test_mode", "subscription_id", "invoice_id"];
        assert_optional(with, "refund", &members);
    }

    #[test]
    fn the_payment_may_be_named_as_elsewhere() {
        for payment in [json!("fpi_2"), json!({"payment_intent_id": "fpi_2"})] {
            let mut other = sample();
            other["payment_intent_id"] = Value::Null;
            other["payment_intent"] = payment;
            let change = refund(&serde_json::from_value(other).unwrap()).unwrap();
            assert_eq!(change.facts.payment_intent_id.as_str(), "fpi_2");
        }
    }

    #[test]
    fn a_status_that_we_do_not_know_is_kept() {
        let status = |word: &str| with("status", json!(word)).unwrap().facts.status;
        assert_eq!(status("succeeded"), RefundStatus::Succeeded);
        assert_eq!(status("under_way"), RefundStatus::Unknown);
        let change = with("status", json!("under_way")).unwrap();
        assert_eq!(change.facts.word, "under_way");
    }

    #[test]
    fn the_merchants_word_on_what_came_back_is_read_as_people_type() {
        let one = |sku: &str, quantity| vec![(sku.to_owned(), quantity)];
        assert_eq!(restock("TOTE"), one("TOTE", 1));
        assert_eq!(restock(" TOTE : 2 "), one("TOTE", 2));
        assert_eq!(restock("KIT:7:2"), one("KIT:7", 2));
        // An explicit zero means that nothing came back, so nothing is guessed.
        assert_eq!(restock("TOTE:0"), one("TOTE", 0));
        assert_eq!(restock("A,B:3,\n C").len(), 3);
        assert_eq!(restock(&["SKU"; 50].join(",")).len(), 50);
    }

    #[test]
    fn a_word_that_is_not_understood_whole_names_no_goods_and_says_so() {
        let many = ["SKU"; 51].join(",");
        let read = |entry: Value| {
            let change = with("metadata", json!({"restock": entry})).unwrap();
            let facts = change.facts.value;
            (facts.goods.len(), facts.goods_unclear)
        };
        for text in [
            ",",
            "A,",
            "A:1,:2",
            "A:",
            "A:x",
            "A:-1",
            "A:1.5",
            "A:4294967296",
            &"A".repeat(1_001),
            &many,
        ] {
            assert_eq!(read(json!(text)), (0, true), "{text:?}");
        }
        for odd in [json!(7), json!(["TOTE"]), json!({"TOTE": 1})] {
            assert_eq!(read(odd), (0, true));
        }
        for none in [json!(""), json!(" "), Value::Null] {
            assert_eq!(read(none), (0, false));
        }
        let without = with("metadata", json!({"note": "x"})).unwrap();
        assert!(!without.facts.value.goods_unclear);
    }
}
