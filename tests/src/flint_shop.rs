//! The example shop that sells through Flint: the functions over a world in memory, the product's client of Flint, and
//! the stand-in for Flint's API behind it.
#![expect(
    clippy::expect_used,
    reason = "a shop that cannot be opened must stop the test"
)]

use crate::{
    drive::Bundle,
    fakes::World,
    signed::signed_by_flint,
    stand_in::{FlintStandIn, Kind, Mode as DataMode},
    story::{ON_HAND, sku},
};
use domain::{
    delivery::{secrets::ApiKey, stored_event::StoredEvent},
    ports::{Answering, ApiKeys, Clock as _},
    receipt::OnUnknown,
    values::{ids::EventId, mode::Mode, provider::ProviderId},
};
use intake::{answer::Answer, request::Incoming};
use jiff::Timestamp;
use providers::{Connection, Providers};
use serde_json::Value;
use std::{path::Path, sync::Arc};

/// The secret of the shop's webhook endpoint at Flint: the bytes 00 to 1f.
pub const FLINT_SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
/// The shop's id at Flint. The stand-in's keys are this merchant's.
pub const MERCHANT: &str = "mer_1";
/// The time at which the shop opens: after all times in the seed of the stand-in.
const OPENS: &str = "2026-04-01T00:00:00Z";

/// Flint's name.
pub fn flint_id() -> ProviderId {
    "flint".parse().expect("a good name")
}

/// The folder of the samples.
pub fn flint_samples() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../events/flint"))
}

/// A key of Flint's API that is never refused.
#[derive(Debug)]
pub struct FlintKey(pub &'static str);

impl ApiKeys for FlintKey {
    fn current(&self) -> Answering<'_, ApiKey> {
        Box::pin(async { ApiKey::new(self.0).expect("a key") })
    }

    fn reread(&self) -> Answering<'_, Option<ApiKey>> {
        Box::pin(async { None })
    }
}

/// The shop in test mode, with receipts by us, with [`ON_HAND`] pieces of each product and with nothing sold.
#[derive(Debug)]
pub struct FlintShop {
    pub bundle: Bundle,
    pub flint: Arc<FlintStandIn>,
}

/// The shop over a stand-in that knows the seed of the samples.
pub async fn flint_shop() -> FlintShop {
    let seed = flint_samples().join("stand-in.json");
    let flint = FlintStandIn::seeded(0, &seed).await;
    FlintShop::over(&Arc::new(flint.expect("a seeded stand-in")))
}

/// The shop over a stand-in that knows nothing.
pub async fn empty_flint_shop() -> FlintShop {
    let flint = FlintStandIn::start().await;
    FlintShop::over(&Arc::new(flint.expect("a stand-in")))
}

impl FlintShop {
    /// A newly opened shop over this stand-in.
    pub fn over(flint: &Arc<FlintStandIn>) -> Self {
        let connection = Connection {
            base_url: flint.url.clone(),
            max_bytes: None,
            receipts: Some(true),
        };
        let provider = providers::connected("flint", &connection).expect("Flint's client");
        let key = Arc::new(FlintKey("flint_test_1"));
        let providers = Providers::default().with(flint_id(), provider, Some(key));
        Self::with(flint, &providers)
    }

    /// The shop as it was when it opened, with the same client and the same stand-in.
    #[must_use]
    pub fn reopened(&self) -> Self {
        Self::with(&self.flint, &self.bundle.intake.providers)
    }

    fn with(flint: &Arc<FlintStandIn>, providers: &Providers) -> Self {
        let world = World::at(OPENS.parse().expect("a time"));
        world.kept().keys = vec![flint::secret::key(FLINT_SECRET).expect("a secret")];
        for name in ["BRACE-M", "TOTE"] {
            world.kept().counters.insert(sku(name), ON_HAND);
        }
        let mut bundle = Bundle::over(&world, Mode::Test, OnUnknown::Resend);
        bundle.intake.providers = providers.clone();
        bundle.fulfillment.providers = providers.clone();
        bundle.fulfillment.policy.merchant_id = Some(MERCHANT.to_owned());
        Self {
            bundle,
            flint: Arc::clone(flint),
        }
    }

    /// From now on Flint's API knows this thing.
    pub fn has(&self, kind: Kind, thing: Value) {
        self.flint.put(DataMode::Test, kind, thing);
    }

    /// Posts a body, signed now under this id.
    pub async fn post_as(&self, id: &str, body: &str) -> Answer {
        let now: Timestamp = self.bundle.world.now();
        let headers = signed_by_flint(id, FLINT_SECRET, body, now);
        let header = |name: &str| {
            let found = headers.iter().find(|(known, _)| *known == name);
            let found = found.map(|(_, value)| value.as_str());
            found.or((name == "content-type").then_some("application/json"))
        };
        let incoming = Incoming {
            method: "POST",
            provider: "flint",
            header: &header,
            body: body.as_bytes(),
        };
        self.bundle.intake.take(&incoming).await
    }

    /// Posts an event, signed now under its own id. The answer is that of intake; no queue is worked off.
    pub async fn post(&self, event: &Value) -> Answer {
        let id = event["webhook_event_id"]
            .as_str()
            .expect("an event has an id");
        self.post_as(id, &event.to_string()).await
    }

    /// The row of an event.
    pub fn event(&self, id: &str) -> StoredEvent {
        let id = EventId::new(id).expect("an id");
        let event = self.bundle.world.kept().events.get(&id).cloned();
        event.expect("a stored event")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::delivery::stored_event::EventState;
    use serde_json::json;

    #[tokio::test]
    async fn a_thin_event_is_taken_in_fetched_and_written() {
        let shop = empty_flint_shop().await;
        shop.has(
            Kind::PaymentMethods,
            json!({"payment_method_id": "pm_1", "customer_id": "cus_1", "status": "active"}),
        );
        let event = json!({
            "webhook_event_id": "whev_1", "event_type": "payment_method.saved", "payload_version": 1,
            "mode": "test", "merchant_id": MERCHANT, "created_at": "2026-03-01T00:00:00Z",
            "data": {"payment_method_id": "pm_1"},
        });
        assert_eq!(shop.post(&event).await.reply().status, 200);
        shop.bundle.drain().await;
        assert_eq!(shop.event("whev_1").state, EventState::Processed);
        assert_eq!(shop.flint.requests_for("/v1/payment-methods/pm_1"), 1);
        assert_eq!(shop.bundle.world.kept().tables.resources.len(), 1);
    }
}
