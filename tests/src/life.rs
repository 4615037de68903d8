//! The events of a subscription's life at Flex: incomplete, paid, renewed, failed once, recovered, cancelled, ended.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a sample that is not as it should be must stop the test"
)]

use crate::{
    shop::{Purchase, event, id, product_of, sample, subscription},
    story::Delivery,
};
use jiff::Timestamp;
use serde_json::{Value, json};

#[derive(Debug, Clone)]
pub struct Moment {
    pub what: &'static str,
    pub at: Timestamp,
    pub event_id: String,
    pub body: Vec<u8>,
}

impl Moment {
    /// The delivery of its event.
    pub fn delivery(&self) -> Delivery {
        Delivery::with_body(&self.event_id, self.body.clone())
    }
}

/// A subscription with its own customer.
#[derive(Debug, Clone)]
pub struct Life {
    /// The sale that it begins with.
    pub purchase: Purchase,
    /// The subscription in Flex's API: its last state.
    pub subscription: Value,
    /// Everything that happens, in true order.
    pub moments: Vec<Moment>,
    number: u64,
}

fn at(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

impl Life {
    /// The life of that number: a month from January 10, 2026, three renewals, the second of which fails at first.
    pub fn of(n: u64) -> Self {
        Self::in_mode(n, true)
    }

    /// The same with real money.
    pub fn live(n: u64) -> Self {
        Self::in_mode(n, false)
    }

    fn in_mode(n: u64, test_mode: bool) -> Self {
        let mut purchase = Purchase::subscription(n);
        let customer = id("fcus", n);
        purchase.session["customer"] = json!(customer);
        if purchase.session.get("customer_id").is_some() {
            purchase.session["customer_id"] = json!(customer);
        }
        purchase.customer["customer_id"] = json!(customer);
        let mut life = Self {
            purchase,
            subscription: subscription(n),
            moments: Vec::new(),
            number: n,
        };
        life.subscription["customer"] = json!(customer);
        life.subscription["created_at"] = json!("2026-01-10T09:00:00Z");
        for thing in [
            &mut life.purchase.session,
            &mut life.purchase.customer,
            &mut life.subscription,
        ] {
            thing["test_mode"] = json!(test_mode);
        }

        life.subscription(
            "2026-01-10T09:00:00Z",
            "it is created, incomplete",
            "created",
            "incomplete",
            1,
            false,
        );
        let sale = life.purchase.session.clone();
        life.tell(
            "2026-01-10T09:00:02Z",
            "its sale is completed",
            "checkout.session.completed",
            ("checkout_session", &sale),
        );
        life.invoice(
            "2026-01-10T09:00:03Z",
            "its first invoice is paid",
            "paid",
            0,
        );
        life.invoice("2026-02-10T10:00:00Z", "it renews", "payment_succeeded", 1);
        life.invoice(
            "2026-03-10T10:00:00Z",
            "the next renewal fails",
            "payment_failed",
            2,
        );
        life.subscription(
            "2026-03-10T10:00:01Z",
            "it is past due",
            "updated",
            "past_due",
            3,
            false,
        );
        life.invoice(
            "2026-03-12T08:00:00Z",
            "the customer's bank lets it through",
            "paid",
            2,
        );
        life.subscription(
            "2026-03-12T08:00:01Z",
            "it is active again",
            "updated",
            "active",
            3,
            false,
        );
        life.subscription(
            "2026-03-20T18:30:00Z",
            "it is cancelled, at the period's end",
            "updated",
            "active",
            3,
            true,
        );
        life.subscription(
            "2026-04-10T09:00:00Z",
            "it ends",
            "deleted",
            "canceled",
            3,
            true,
        );
        life
    }

    pub fn customer_id(&self) -> String {
        id("fcus", self.number)
    }

    pub fn subscription_id(&self) -> String {
        id("fsub", self.number)
    }

    /// The product that it gives access to.
    pub fn product_id(&self) -> String {
        product_of(&self.subscription)
    }

    /// The invoice of that month, from 0: its first one is the sale's.
    pub fn invoice_id(&self, month: u8) -> String {
        id(
            "fin",
            if month == 0 {
                self.number
            } else {
                self.number * 16 + (1 << 40) + u64::from(month)
            },
        )
    }

    fn tell(
        &mut self,
        when: &str,
        what: &'static str,
        kind: &str,
        (name, resource): (&str, &Value),
    ) {
        let at = at(when);
        let count = u64::try_from(self.moments.len()).expect("a count");
        let event_id = id("fevt", self.number * 64 + (1 << 41) + count);
        let body = event(kind, &event_id, at.as_second(), name, resource);
        self.moments.push(Moment {
            what,
            at,
            event_id,
            body,
        });
    }

    fn subscription(
        &mut self,
        when: &str,
        what: &'static str,
        kind: &str,
        status: &str,
        month: u8,
        ends: bool,
    ) {
        let subscription = &mut self.subscription;
        subscription["status"] = json!(status);
        subscription["cancel_at_period_end"] = json!(ends);
        subscription["current_period_start"] = json!(format!("2026-{month:02}-10T09:00:00Z"));
        subscription["current_period_end"] = json!(format!("2026-{:02}-10T09:00:00Z", month + 1));
        let facts = subscription.clone();
        self.tell(
            when,
            what,
            &format!("customer.subscription.{kind}"),
            ("subscription", &facts),
        );
    }

    fn invoice(&mut self, when: &str, what: &'static str, kind: &str, month: u8) {
        let mut invoice = sample("invoice.paid")["object"]["invoice"].take();
        invoice["invoice_id"] = json!(self.invoice_id(month));
        invoice["subscription"] = json!(self.subscription_id());
        invoice["customer"] = json!(self.customer_id());
        invoice["test_mode"] = self.subscription["test_mode"].clone();
        let payment = if month == 0 {
            self.purchase.session["payment_intent"].clone()
        } else {
            json!(id("fpi", self.number * 16 + (1 << 42) + u64::from(month)))
        };
        invoice["payment_intent"] = payment;
        invoice["period_start"] = json!(format!("2026-{:02}-10T09:00:00Z", month + 1));
        invoice["period_end"] = json!(format!("2026-{:02}-10T09:00:00Z", month + 2));
        invoice["created_at"] = invoice["period_start"].clone();
        if kind == "payment_failed" {
            invoice["status"] = json!("open");
            invoice["amount_paid"] = json!(0);
        }
        self.tell(
            when,
            what,
            &format!("invoice.{kind}"),
            ("invoice", &invoice),
        );
    }
}
