//! What the merchant's other systems have learned of the story, by the event bus.

use crate::{DemoError, Story};
use kit::{play::Play, shop::Purchase, subscriber::Subscriber};
use serde_json::Value;
use std::collections::BTreeMap;

impl Story {
    /// Prints every announcement in its order.
    pub(crate) async fn announcements(
        &self,
        play: &Play,
        purchase: &Purchase,
        subscriber: &mut Subscriber,
    ) -> Result<(), DemoError> {
        println!(
            "\n{}",
            self.bold("What other systems have learned, by EventBridge")
        );
        subscriber.receive_all(play).await?;
        let mut told: Vec<&Value> = subscriber.told.values().collect();
        told.sort_by_key(|event| (text(event, "/detail/occurred_at"), version(event)));
        for event in &told {
            let (kind, thing) = (text(event, "/detail-type"), text(event, "/detail/thing/id"));
            println!("   {kind:<26} {thing} {}", says(event));
        }
        let mut last: BTreeMap<(&str, &str), u64> = BTreeMap::new();
        let mut goes_back = false;
        for event in &told {
            let thing = (
                text(event, "/detail/thing/type"),
                text(event, "/detail/thing/id"),
            );
            let before = last.insert(thing, version(event)).unwrap_or_default();
            goes_back |= before > version(event);
        }
        self.claim(
            !told.is_empty() && !goes_back,
            &format!(
                "{} announcements, those of a thing in the order of its versions",
                told.len()
            ),
        );
        let of_order = |event: &&&Value| text(event, "/detail/thing/id") == purchase.order_id();
        let paid = |event: &&&Value| text(event, "/detail-type") == "order.paid";
        let times = told.iter().filter(of_order).filter(paid).count();
        self.claim(
            times == 1,
            "the sale is announced as paid once, for all its deliveries",
        );
        let order = play.order(purchase.order_id()).await?;
        let order = order.ok_or(DemoError::Missing("there is no order"))?;
        let newest = told
            .iter()
            .filter(of_order)
            .max_by_key(|event| version(event));
        let refunded = newest.and_then(|event| event.pointer("/detail/order/amounts/refunded"));
        self.claim(
            refunded.and_then(Value::as_i64) == Some(order.refunded()),
            "the newest announcement of the order has the state of its row",
        );
        Ok(())
    }
}

fn text<'a>(event: &'a Value, path: &str) -> &'a str {
    event
        .pointer(path)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

fn version(event: &Value) -> u64 {
    let version = event.pointer("/detail/thing/version");
    version.and_then(Value::as_u64).unwrap_or_default()
}

/// The main fact of an announcement.
fn says(event: &Value) -> String {
    let state = |path| event.pointer(path).map(ToString::to_string);
    let facts = [
        "/detail/order/state",
        "/detail/receipt/status",
        "/detail/stock/on_hand",
        "/detail/entitlement/access_until",
        "/detail/invoice/status",
        "/detail/checkout_session/end",
        "/detail/payment_method/status",
        "/detail/event/state",
        "/detail/merchant/payments",
    ];
    let fact = facts.into_iter().find_map(state).unwrap_or_default();
    fact.trim_matches('"').to_owned()
}
