//! The provider: its true state, its announcements with their times, and posts by strangers.
#![expect(
    clippy::indexing_slicing,
    reason = "a place in a list that was just looked up"
)]

use super::{Act, Delivery, Done, Errand, Run};
use crate::{later, plan::Truth};
use intake::request::Incoming;
use kit::prelude::*;
use kit::{
    drive::INTAKE_LASTS,
    flint_shop::FLINT_SECRET,
    signed::{Headers, signed_as, signed_by_flint},
    story::SECRET,
};
use std::num::NonZeroU64;

impl Run<'_> {
    /// Something is true at the provider's from now on, or is announced.
    pub(super) fn moment(&mut self, n: usize) {
        let Some(moment) = self.plan.moments.get(n) else {
            return;
        };
        match &moment.truth {
            None => {}
            Some(Truth::Sale(sale)) => {
                // Without money there is no second look, and the order keeps its state.
                let most = if sale.received > Some(0) {
                    self.weather.api_lag
                } else {
                    Duration::ZERO
                };
                let until = later(self.world.now(), self.dice.between(Duration::ZERO, most));
                self.world.kept().checkout_is(sale, until);
            }
            Some(Truth::Refund(refund)) => {
                self.stage
                    .bundle
                    .provider_has_refunds(std::slice::from_ref(refund));
            }
            Some(Truth::Subscription(change, ended_at)) => {
                let mut kept = self.world.kept();
                kept.subscriptions
                    .insert(change.subscription_id.clone(), (**change).clone());
                if let Some(ended_at) = ended_at {
                    kept.lists
                        .ended
                        .insert(change.subscription_id.clone(), *ended_at);
                }
            }
            Some(Truth::Invoice(change, made_at)) => {
                let listed = ((**change).clone(), *made_at);
                self.world
                    .kept()
                    .lists
                    .invoices
                    .insert(change.invoice_id.clone(), listed);
            }
            Some(Truth::Flint(path, thing)) => self.stage.flint.has(path, thing),
        }
        let Some(webhook) = &moment.webhook else {
            return;
        };
        self.stats.flint_events += u64::from(webhook.provider == "flint");
        self.stats.events += 1;
        let Ok(event_id) = EventId::new(webhook.event_id.as_str()) else {
            return;
        };
        let id = match webhook.provider {
            "flint" => event_id.to_string(),
            _ => format!("msg_{event_id}"),
        };
        let never = webhook.listed && self.dice.percent(self.weather.vanishes);
        let delivery = Delivery {
            provider: webhook.provider,
            id,
            event_id,
            body: webhook.body.clone(),
            tries: 0,
            accepted: never,
        };
        self.deliveries.push(delivery);
        if never {
            if webhook.provider == "flint" {
                self.stage.flint.could_not_deliver(&webhook.body);
            }
            self.count("webhooks that never came");
            self.needs.reconcile = true;
            return;
        }
        let n = self.deliveries.len() - 1;
        let wait = self.lateness();
        self.after(wait, Act::Post(n));
        // Repeated deliveries, more of them where the event may have expired.
        let twice = if self.weather.forgets && self.weather.retention < 10 {
            30
        } else {
            12
        };
        while self.dice.percent(twice) {
            let wait = self.lateness();
            self.after(wait, Act::Post(n));
        }
    }

    /// How late a delivery is: mostly seconds, sometimes days.
    pub(super) fn lateness(&mut self) -> Duration {
        if let Some(crowd) = NonZeroU64::new(self.weather.crowds * 24 * 3_600) {
            // All that has piled up comes at once, as after an outage.
            self.count("deliveries in a crowd");
            let now = u64::try_from(self.world.now().as_second()).unwrap_or_default();
            let wait = Duration::from_secs(crowd.get() - now % crowd);
            return wait
                + self
                    .dice
                    .between(Duration::ZERO, Duration::from_millis(300));
        }
        let most = match self.dice.below(20) {
            0..=11 => Duration::from_secs(20),
            12..=15 => Duration::from_mins(20),
            16..=18 => Duration::from_hours(12),
            _ => Duration::from_hours(20 * 24),
        };
        self.dice.between(Duration::ZERO, most)
    }

    pub(super) fn post(&mut self, n: usize) {
        let Delivery {
            provider,
            id,
            body,
            event_id,
            ..
        } = self.deliveries[n].clone();
        if self.seen.forgotten.contains(&event_id) && !self.calm {
            self.count("forgotten events that came again");
        }
        self.deliveries[n].tries += 1;
        let headers = self.signed(provider, &id, &body, secret_of(provider), 0);
        self.request(Errand::Post(n), provider, headers, body);
    }

    /// A delivery that is not the provider's: of another secret, changed on its way, or of long ago.
    pub(super) fn forge(&mut self) {
        let webhooks = self.plan.moments.iter();
        let webhooks: Vec<_> = webhooks
            .filter_map(|moment| moment.webhook.as_ref())
            .collect();
        let Some(webhook) = self.dice.pick(&webhooks) else {
            return;
        };
        let provider = webhook.provider;
        let forged = format!("fevt_forged{}", self.next);
        let body = webhook.body.replace(&webhook.event_id, &forged);
        let id = if provider == "flint" {
            forged.as_str()
        } else {
            "msg_forged"
        };
        self.count("forgeries");
        let own = secret_of(provider);
        let headers = match self.dice.below(3) {
            0 => {
                let other = match provider {
                    "flint" => "whsec_HxweHRwbGhkYFxYVFBMSERAPDg0MCwoJCAcGBQQDAgE=",
                    _ => "fwhsec_Zm9yZ2VkIGZvcmdlZCBmb3JnZWQgZm9yZ2Vk",
                };
                self.signed(provider, id, &body, other, 0)
            }
            1 => self.signed(provider, id, &webhook.body, own, 0),
            _ => self.signed(provider, id, &body, own, 600),
        };
        self.request(Errand::Forgery, provider, headers, body);
    }

    /// The headers of a body as of some seconds ago.
    fn signed(&self, provider: &str, id: &str, body: &str, secret: &str, ago: i64) -> Headers {
        let ago = SignedDuration::from_secs(ago);
        let then = self.world.now().saturating_sub(ago);
        let then = then.unwrap_or(Timestamp::MIN);
        match provider {
            "flint" => signed_by_flint(id, secret, body, then),
            _ => signed_as(id, secret, body, then),
        }
    }

    /// A request with a body under these headers.
    fn request(&mut self, errand: Errand, provider: &'static str, headers: Headers, body: String) {
        self.stats.deliveries += 1;
        let intake = &self.stage.bundle.intake;
        let future = Box::pin(async move {
            let header = |name: &str| match name {
                "content-type" => Some("application/json"),
                _ => headers
                    .iter()
                    .find(|(known, _)| *known == name)
                    .map(|(_, value)| value.as_str()),
            };
            let incoming = Incoming {
                method: "POST",
                provider,
                header: &header,
                body: body.as_bytes(),
            };
            Done::Answered(intake.take(&incoming).await.reply().status)
        });
        self.begin(errand, INTAKE_LASTS, future);
    }
}

/// The signing secret of the shop's endpoint.
fn secret_of(provider: &str) -> &'static str {
    match provider {
        "flint" => FLINT_SECRET,
        _ => SECRET,
    }
}
