//! Reconcile over the world in memory, and the contents of the provider's lists.
#![expect(clippy::panic, reason = "a test kit")]

use crate::{drive::Bundle, fakes::World, life::Life, shop};
use domain::upkeep::recovery::Reconciled;
use domain::{
    delivery::event::{Change, Reading},
    sale::shop::ShopFilter,
    values::{mode::Mode, outcome::RetryableError},
};
use jiff::{SignedDuration, Timestamp};
use reconcile::Reconcile;
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};

/// Reconcile as it is scheduled on a live stack, but without a wait before the second look.
#[must_use]
pub fn reconcile_over(world: &World, days: i64) -> Reconcile<World> {
    Reconcile {
        store: world.clone(),
        providers: world.providers(),
        clock: Arc::new(world.clone()),
        mode: Mode::Live,
        shop: ShopFilter::default(),
        look_back: SignedDuration::from_hours(24 * days),
        reading_time: Duration::from_mins(3),
        second_look: Duration::ZERO,
    }
}

impl Bundle {
    /// One run that looks back that many days. `None` when the process stopped.
    pub async fn reconcile(&self, days: i64) -> Option<Result<Reconciled, RetryableError>> {
        let reconcile = reconcile_over(&self.world, days);
        // On the heap: a run holds the pages of every list.
        self.world.run(Box::pin(reconcile.run())).await
    }

    /// From now on the provider lists an invoice, in the provider's own words: paid, with real money.
    #[expect(
        clippy::indexing_slicing,
        reason = "indexing a `Value` to write makes the member"
    )]
    pub fn provider_has_invoice(&self, invoice: &Value) {
        let mut invoice = invoice.clone();
        invoice["test_mode"] = json!(false);
        let body = shop::event("invoice.paid", "fevt_0", 0, "invoice", &invoice);
        let Reading::Event(event) = flex::read(&body) else {
            panic!("no event: {invoice}")
        };
        let Change::Invoice(change) = event.change else {
            panic!("no invoice: {invoice}")
        };
        let created_at = invoice
            .get("created_at")
            .and_then(Value::as_str)
            .and_then(|text| text.parse().ok());
        let created_at = created_at.unwrap_or(Timestamp::UNIX_EPOCH);
        self.world
            .kept()
            .lists
            .invoices
            .insert(change.invoice_id.clone(), (change, created_at));
    }

    /// From now on the provider lists the invoices of a life that were paid.
    pub fn provider_has_invoices_of(&self, life: &Life) {
        for moment in &life.moments {
            let Ok(mut event) = serde_json::from_slice::<Value>(&moment.body) else {
                panic!("{}", moment.what)
            };
            let kind = event
                .get("event_type")
                .and_then(Value::as_str)
                .unwrap_or_default();
            if matches!(kind, "invoice.paid" | "invoice.payment_succeeded")
                && let Some(invoice) = event.pointer_mut("/object/invoice").map(Value::take)
            {
                self.provider_has_invoice(&invoice);
            }
        }
    }
}
