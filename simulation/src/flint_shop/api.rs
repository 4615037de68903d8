//! Flint's API in memory: its things as JSON, behind the product's own client.

use domain::{
    delivery::secrets::ApiKey,
    ports::{Answering, ApiKeys, Provider},
    values::{
        outcome::ReadError,
        provider::{Party, ProviderId},
    },
};
use flint::{Flint, HeaderMap, InMemory, Url};
use kit::{fakes::World, flint_shop::flint_id};
use providers::Providers;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The things that Flint has, by the path of each: `orders/ord_1`.
#[derive(Debug, Default)]
pub struct Things {
    by_path: BTreeMap<String, Value>,
    /// An answer about an order has its payments in full.
    pub expands: bool,
}

/// A handle on the API. It answers as part of a world, which may disturb every request.
#[derive(Debug, Clone)]
pub struct FlintApi {
    world: World,
    things: Arc<Mutex<Things>>,
}

impl Things {
    /// The body of an answer; `None` for 404.
    fn answer(&self, path: &[&str]) -> Option<Value> {
        match path {
            ["v1", "invoices", _, "payment-attempts"] => Some(json!({"data": []})),
            ["v1", kind] => {
                let start = format!("{kind}/");
                let all = self.by_path.iter();
                let of = all.filter(|(path, _)| path.starts_with(&start));
                let of: Vec<&Value> = of.map(|(_, thing)| thing).collect();
                Some(json!({"data": of}))
            }
            ["v1", kind, id] => {
                let mut thing = self.by_path.get(&format!("{kind}/{id}"))?.clone();
                if *kind == "orders" && self.expands {
                    self.expand(&mut thing);
                }
                Some(json!({"data": thing}))
            }
            _ => None,
        }
    }

    fn expand(&self, order: &mut Value) {
        let ids = order.get("payment_intent_ids").and_then(Value::as_array);
        let ids = ids.into_iter().flatten().filter_map(Value::as_str);
        let paths = ids.map(|id| format!("payment-intents/{id}"));
        let intents: Vec<_> = paths.filter_map(|path| self.by_path.get(&path)).collect();
        let intents = json!(intents);
        if let Some(order) = order.as_object_mut() {
            order.insert("payment_intents".to_owned(), intents);
        }
    }
}

impl FlintApi {
    pub fn of(world: &World) -> Self {
        Self {
            world: world.clone(),
            things: Arc::default(),
        }
    }

    fn things(&self) -> MutexGuard<'_, Things> {
        self.things.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It forgets everything.
    pub fn begin_again(&self, expands: bool) {
        *self.things() = Things {
            expands,
            ..Things::default()
        };
    }

    /// From now on it has this thing at that path, in the place of an earlier one.
    pub fn has(&self, path: &str, thing: &Value) {
        self.things().by_path.insert(path.to_owned(), thing.clone());
    }

    /// From now on its list of failed deliveries has this event.
    pub fn could_not_deliver(&self, body: &str) {
        let payload: Value = serde_json::from_str(body).unwrap_or_default();
        let text = |name: &str| payload.get(name).and_then(Value::as_str);
        let id = text("webhook_event_id").unwrap_or_default();
        let event = json!({
            "webhook_event_id": id, "event_type": text("event_type"), "created_at": text("created_at"),
            "delivery_status": "failed", "payload": payload,
        });
        self.has(&format!("webhook-events/{id}"), &event);
    }

    /// These providers, and Flint with this API.
    #[expect(clippy::expect_used, reason = "a test kit")]
    pub fn beside(&self, others: Providers, receipts: Party) -> Providers {
        let api = flint::Api::in_memory(Arc::new(self.clone())).expect("a client");
        let api = Some(Arc::new(api) as _);
        let flint: Arc<dyn Provider> = Arc::new(Flint { api, receipts });
        let id: ProviderId = flint_id();
        others.with(id, flint, Some(Arc::new(LiveKey)))
    }
}

impl InMemory for FlintApi {
    fn get<'a>(&'a self, url: &'a Url) -> Answering<'a, Result<(HeaderMap, Vec<u8>), ReadError>> {
        Box::pin(async move {
            let answer = |_: &_| {
                let path: Vec<&str> = url.path_segments().into_iter().flatten().collect();
                let unknown = ReadError::Permanent {
                    status: 404,
                    code: Some("RESOURCE_NOT_FOUND".to_owned()),
                };
                self.things().answer(&path).ok_or(unknown)
            };
            let body = self.world.ask("api.flint", answer).await?;
            Ok((HeaderMap::new(), body.to_string().into_bytes()))
        })
    }
}

/// An API key that is never refused.
#[derive(Debug)]
struct LiveKey;

#[expect(clippy::expect_used, reason = "a test kit")]
impl ApiKeys for LiveKey {
    fn current(&self) -> Answering<'_, ApiKey> {
        Box::pin(async { ApiKey::new("flint_live_1").expect("a key") })
    }

    fn reread(&self) -> Answering<'_, Option<ApiKey>> {
        Box::pin(async { None })
    }
}
