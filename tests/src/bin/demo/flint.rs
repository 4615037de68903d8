//! Act three: an order of the second provider, which is held, released, and announced at three levels.

use crate::{DemoError, Story, WITHIN, sku_of};
use domain::{
    delivery::stored_event::EventState,
    ports::ResourceLists as _,
    resource::{Resource, ResourceId, journal::journal},
    values::ids::TransactionId,
};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use kit::play::{Play, PlayError, until};
use serde_json::{Value, json};

const ORDER: &str = "ord_demo";
const PRICE: i64 = 4900;

fn money(amount: i64) -> Value {
    json!({"amount": amount, "currency": "USD"})
}

/// The payment of the order, held or not.
fn payment(hold: &str, at: Timestamp) -> Value {
    json!({
        "payment_intent_id": "pi_demo", "order_id": ORDER, "status": "succeeded", "payment_flow": "checkout",
        "amount_money": money(PRICE), "captured_money": money(PRICE), "last_payment_error": null,
        "fulfillment_hold": {"status": hold, "updated_at": at}, "updated_at": at,
    })
}

/// The order, paid in full.
fn order(at: Timestamp) -> Value {
    json!({
        "order_id": ORDER, "order_number": "1001", "origin": "checkout", "status": "closed", "payment_status": "paid",
        "refund_status": "none", "customer_id": "cus_demo", "payment_intent_ids": ["pi_demo"],
        "buyer_contact": {"email": "sam@example.com"},
        "line_items": [{
            "order_line_item_id": "li_demo", "name": "Canvas tote", "quantity": 1, "sku": "TOTE",
            "unit_price_money": money(PRICE), "subtotal_money": money(PRICE), "total_money": money(PRICE),
        }],
        "pricing_amounts": {"subtotal_money": money(PRICE), "total_money": money(PRICE)},
        "settlement_amounts": {"paid_money": money(PRICE), "outstanding_money": money(0)},
        "created_at": at, "updated_at": at,
    })
}

fn event(n: u32, event_type: &str, data: &Value, at: Timestamp) -> Value {
    json!({
        "webhook_event_id": format!("whev_demo_{n}"), "event_type": event_type, "payload_version": 1,
        "api_version": "2026-09-07", "mode": "test", "merchant_id": "mer_demo", "created_at": at, "request": null,
        "data": data,
    })
}

impl Story {
    pub(crate) async fn order_at_flint(&self, play: &Play) -> Result<(), DemoError> {
        println!(
            "\n{}",
            self.bold("Act three: an order of Flint, on the same stack")
        );
        let now = Timestamp::now();
        let before = self.totes(play).await?;
        self.held(play, now).await?;
        self.claim(
            self.totes(play).await? == before && play.mails(ORDER).await?.is_empty(),
            "no goods and no receipt yet",
        );
        self.released(play, now + SignedDuration::from_secs(1), before)
            .await?;
        self.other_levels(play, now, before - 1).await
    }

    async fn totes(&self, play: &Play) -> Result<i64, DemoError> {
        let on_hand = play.tables.stock_levels.on_hand(&sku_of("TOTE")?).await;
        Ok(on_hand.map_err(PlayError::from)?.unwrap_or_default())
    }

    async fn told(&self, play: &Play, event: &Value) -> Result<(), DemoError> {
        let answer = play.deliver_by_flint(event).await?;
        let id = event["webhook_event_id"].as_str().unwrap_or_default();
        let event_type = event["event_type"].as_str().unwrap_or_default();
        self.station(
            "delivery",
            &format!("{event_type}, answered {}", answer.status),
        );
        play.until_event(id, EventState::Processed, WITHIN).await?;
        Ok(())
    }

    async fn held(&self, play: &Play, at: Timestamp) -> Result<(), DemoError> {
        self.act(8, "Flint says that an order is paid, and holds its payment");
        play.flint_knows("payment-intents", &payment("active", at))
            .await?;
        play.flint_knows("orders", &order(at)).await?;
        self.told(
            play,
            &event(1, "order.paid", &json!({"order_id": ORDER}), at),
        )
        .await?;
        let order = play.order(ORDER).await?;
        let order = order.ok_or(DemoError::Missing("there is no order"))?;
        self.station("order", &format!("{}: {}", order.order_id, order.state()));
        self.claim(
            order.state().to_string() == "held",
            "the order is paid and held",
        );
        Ok(())
    }

    async fn released(&self, play: &Play, at: Timestamp, before: i64) -> Result<(), DemoError> {
        self.act(9, "Flint releases the payment");
        play.flint_knows("payment-intents", &payment("released", at))
            .await?;
        let data = json!({
            "payment_intent_id": "pi_demo", "order_id": ORDER,
            "fulfillment_hold": {"status": "released", "updated_at": at},
        });
        self.told(
            play,
            &event(2, "payment_intent.fulfillment_hold.updated", &data, at),
        )
        .await?;
        let after = self.totes(play).await?;
        self.station("stock", &format!("TOTE     {before:>3} → {after}"));
        self.claim(after == before - 1, "TOTE went down by 1");
        let mails = until("the receipt is mailed", WITHIN, async || {
            let mails = play.mails(ORDER).await?;
            Ok((!mails.is_empty()).then_some(mails))
        });
        if let [mail] = mails.await?.as_slice() {
            self.station("mail", &mail.subject);
            let names = ["HSA", "FSA"]
                .iter()
                .any(|word| mail.body_text.contains(word));
            self.claim(!names, "the receipt says nothing of HSA or FSA");
        }
        Ok(())
    }

    /// The same payment at two other levels, late and twice.
    async fn other_levels(&self, play: &Play, at: Timestamp, totes: i64) -> Result<(), DemoError> {
        self.act(
            10,
            "The same payment, announced at other levels, late and twice",
        );
        let transaction = json!({
            "balance_transaction_id": "btxn_demo", "type": "payment", "status": "pending", "order_id": ORDER,
            "amount_money": money(PRICE), "fee_money": money(172), "net_money": money(PRICE - 172), "occurred_at": at,
        });
        play.flint_knows("balance-transactions", &transaction)
            .await?;
        let payment = json!({"payment_intent_id": "pi_demo"});
        let transaction = json!({"balance_transaction_id": "btxn_demo"});
        for _ in 0..2 {
            self.told(
                play,
                &event(3, "balance_transaction.created", &transaction, at),
            )
            .await?;
            self.told(play, &event(4, "payment_intent.succeeded", &payment, at))
                .await?;
        }
        let id = TransactionId::new("btxn_demo").map_err(PlayError::from)?;
        let row = play
            .tables
            .store
            .resource(&ResourceId::Transaction(id))
            .await;
        let Some(Resource::Transaction(row)) = row.map_err(PlayError::from)? else {
            return Err(DemoError::Missing("there is no transaction"));
        };
        let day = SignedDuration::from_hours(24);
        let journal = journal([&*row], (at - day)..(at + day));
        for line in journal
            .text(&TimeZone::UTC)
            .lines()
            .filter(|line| line.contains("btxn_demo"))
        {
            self.station("journal", line);
        }
        self.claim(
            self.totes(play).await? == totes && play.mails(ORDER).await?.len() == 1,
            "one order, one stock movement, one receipt, one line in the journal",
        );
        Ok(())
    }
}
