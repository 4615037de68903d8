//! The seam for a new provider, proven by one that exists only here. Acme's events are thin: each names a thing and its
//! version, and states no facts. Acme signs with the headers of the specification, knows no HSA/FSA, and lists nothing.

use domain::{
    delivery::{
        answer::Answer,
        event::{Change, Event, Unreadable},
        reference::Reference,
        secrets::ApiKey,
        signature::{self, BadKey, Key, Refusal, Signed, Unverified},
    },
    ports::{Answering, Headers, Provider},
    sale::refund::{RefundChange, RefundFacts, RefundStatus},
    upkeep::reconcile::{Ask, Found, Page},
    values::{
        facts::Stamp,
        provider::{EligibilityPolicy, Party, ProviderPolicies},
        scope::Scope,
    },
};
use kit::prelude::*;
use kit::{fakes::FixedKey, signed::signed_as, story::SECRET, sweeping::sweep_over};
use std::sync::{Arc, Mutex};

/// Acme leaves mails and stock to us.
const ACME: ProviderPolicies = ProviderPolicies {
    eligibility: EligibilityPolicy::Omitted,
    receipts: Party::Us,
    stock: Party::Us,
    ..ProviderPolicies::OURS
};

/// Acme's shop, behind its API.
#[derive(Debug)]
struct Acme {
    policies: ProviderPolicies,
    orders: Mutex<BTreeMap<OrderId, Sale>>,
    refunds: Mutex<BTreeMap<RefundId, RefundChange>>,
    fetched: Mutex<Vec<String>>,
}

impl Acme {
    fn new(policies: ProviderPolicies) -> Self {
        Self {
            policies,
            orders: Mutex::default(),
            refunds: Mutex::default(),
            fetched: Mutex::default(),
        }
    }

    /// From now on its API knows this order.
    fn has(&self, order: &Sale) {
        let mut orders = self.orders.lock().unwrap();
        orders.insert(order.order_id.clone(), order.clone());
    }

    /// From now on its API knows the refund `ref_1` of all of the order's money.
    fn refunds(&self, order: &Sale) {
        let refund_id = RefundId::new("ref_1").unwrap();
        let refund = RefundChange {
            refund_id: refund_id.clone(),
            mode: Some(Mode::Live),
            facts: RefundFacts {
                status: RefundStatus::Succeeded,
                word: "done".to_owned(),
                amount: order.totals.total,
                currency: order.currency,
                payment_intent_id: order.payment_intents[0].clone(),
                goods: Vec::new(),
                goods_unclear: false,
                invoice_id: None,
                made_at: None,
            }
            .into(),
            subscription_id: None,
        };
        self.refunds.lock().unwrap().insert(refund_id, refund);
    }
}

impl Provider for Acme {
    fn policies(&self) -> ProviderPolicies {
        self.policies
    }

    fn check<'body>(
        &self,
        headers: &Headers<'_>,
        body: &'body [u8],
        now: Timestamp,
    ) -> Result<Unverified<'body>, Refusal> {
        let header = |name| headers(name).ok_or(Refusal::Missing);
        let signed = Signed {
            id: header("webhook-id")?,
            timestamp: header("webhook-timestamp")?,
            signatures: header("webhook-signature")?,
            body,
        };
        signature::check(&signed, now)
    }

    /// `{"id": "ev_1", "thing": "order", "name": "ord_1", "version": 3}`
    fn read(&self, body: &[u8]) -> Reading {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        let Ok(event_id) = EventId::new(text("id")) else {
            return Reading::Unreadable(Unreadable::Missing("id"));
        };
        let change = match (text("thing").as_str(), text("name")) {
            ("order", id) => OrderId::new(id).map(|id| Change::Fetch(Reference::Sale(id))),
            ("refund", id) => RefundId::new(id).map(|id| Change::Fetch(Reference::Refund(id))),
            _ => Ok(Change::Unhandled),
        };
        let Ok(change) = change else {
            return Reading::Unreadable(Unreadable::Missing("name"));
        };
        Reading::Event(Box::new(Event {
            event_id,
            event_type: format!("{}.changed", text("thing")),
            occurred_at: None,
            scope: Scope::UNSTATED,
            stamp: body["version"].as_u64().map(stamp),
            change,
        }))
    }

    fn fetch<'a>(
        &'a self,
        _: &'a ApiKey,
        reference: &'a Reference,
        _: Timestamp,
    ) -> Answering<'a, Result<Answer, ReadError>> {
        self.fetched.lock().unwrap().push(reference.to_string());
        let unknown = || ReadError::Permanent {
            status: 404,
            code: None,
        };
        let answer = match reference {
            Reference::Sale(id) => {
                let found = self.orders.lock().unwrap().get(id).cloned();
                found.map(|order| Answer::Sale(Box::new(order)))
            }
            Reference::Refund(id) => {
                let found = self.refunds.lock().unwrap().get(id).cloned();
                found.map(|refund| Answer::Change(Box::new(Change::Refund(refund))))
            }
            _ => None,
        };
        Box::pin(async move { answer.ok_or_else(unknown) })
    }

    fn lists(&self) -> &'static [&'static str] {
        &[]
    }

    fn list<'a>(&'a self, _: &'a ApiKey, _: Ask<'a>) -> Answering<'a, Result<Page, ReadError>> {
        Box::pin(async { Ok(Page::default()) })
    }

    fn recovered(&self, found: &Found, _: &EventId, _: Timestamp, _: bool) -> Vec<u8> {
        found.object.clone()
    }

    fn stub(&self, _: &str, _: Option<&str>) -> Vec<u8> {
        Vec::new()
    }

    fn signing_key(&self, secret: &str) -> Result<Key, BadKey> {
        Key::from_base64(secret)
    }

    fn key_mode(&self, _: &ApiKey) -> Option<Mode> {
        Some(Mode::Live)
    }
}

/// The example shop, which sells through Acme as well.
fn shop() -> (Bundle, Arc<Acme>) {
    shop_of(Acme::new(ACME))
}

fn shop_of(acme: Acme) -> (Bundle, Arc<Acme>) {
    let (mut bundle, acme) = (open_shop(OnUnknown::Resend), Arc::new(acme));
    let id = "acme".parse().unwrap();
    let provider: Arc<dyn Provider> = acme.clone();
    let providers = bundle.world.providers();
    let providers = providers.with(id, provider, Some(Arc::new(FixedKey)));
    bundle.intake.providers = providers.clone();
    bundle.fulfillment.providers = providers;
    (bundle, acme)
}

/// The stamp of a version.
fn stamp(version: u64) -> Stamp {
    Stamp {
        version,
        at: Timestamp::UNIX_EPOCH,
        rank: 0,
    }
}

/// A sale of the example shop, as Acme's, in its third version.
fn order() -> Sale {
    let mut order = sale(&purchase(1));
    order.order_id = OrderId::new("ord_1").unwrap();
    order.stamp = Some(stamp(3));
    for line in &mut order.lines {
        line.eligibility = None;
    }
    order
}

/// Posts one thin event, and works the queues off.
async fn deliver(bundle: &Bundle, id: &str, thing: &str, name: &str, version: u32) -> u16 {
    let body = json!({"id": id, "thing": thing, "name": name, "version": version}).to_string();
    let signed = signed_as(&format!("msg_{id}"), SECRET, &body, bundle.world.now());
    let header = |name: &str| {
        if name == "content-type" {
            Some("application/json")
        } else {
            let svix = name.replace("webhook-", "svix-");
            let found = signed.iter().find(|(known, _)| *known == svix);
            found.map(|(_, value)| value.as_str())
        }
    };
    let incoming = intake::request::Incoming {
        method: "POST",
        provider: "acme",
        header: &header,
        body: body.as_bytes(),
    };
    let status = bundle.intake.take(&incoming).await.reply().status;
    bundle.drain().await;
    status
}

/// The number of pieces of each product.
fn counters(bundle: &Bundle) -> BTreeMap<Sku, i64> {
    bundle.world.kept().counters.clone()
}

#[tokio::test]
async fn a_thin_event_of_a_third_provider_becomes_an_order_and_a_receipt_once() {
    let (bundle, acme) = shop();
    let sold = order();
    acme.has(&sold);
    let before = counters(&bundle);
    // The newest event comes first, then an older one, then the newest again under another id, which is fetched again.
    for (id, version) in [("ev_3", 3), ("ev_2", 2), ("ev_4", 3), ("ev_3", 3)] {
        assert_eq!(deliver(&bundle, id, "order", "ord_1", version).await, 200);
    }
    let stored = bundle.world.kept().orders[&sold.order_id].clone();
    assert_eq!(stored.provider.as_str(), "acme");
    assert_eq!(stored.state(), OrderState::Paid);
    assert_eq!(bundle.mails(), 1);
    let after = counters(&bundle);
    let moved: i64 = (before.iter()).map(|(sku, count)| count - after[sku]).sum();
    let pieces: i64 = sold.lines.iter().map(|line| i64::from(line.quantity)).sum();
    assert_eq!(moved, pieces);
    assert_eq!(*acme.fetched.lock().unwrap(), ["sale ord_1"; 2]);
}

#[tokio::test]
async fn a_thin_event_of_a_refund_is_fetched_and_receipted_without_a_word_of_eligibility() {
    let (bundle, acme) = shop();
    let sold = order();
    acme.has(&sold);
    deliver(&bundle, "ev_1", "order", "ord_1", 1).await;
    acme.refunds(&sold);
    for id in ["ev_2", "ev_3"] {
        assert_eq!(deliver(&bundle, id, "refund", "ref_1", 1).await, 200);
    }
    let stored = bundle.world.kept().orders[&sold.order_id].clone();
    assert_eq!(stored.state(), OrderState::Refunded);
    let mails = bundle.world.kept().mails.clone();
    assert_eq!(mails.len(), 2, "the sale's receipt and the refund's");
    for part in mails
        .into_iter()
        .flat_map(|mail| [mail.subject, mail.text, mail.html])
    {
        let read = part.to_lowercase();
        for word in ["hsa", "fsa", "eligib"] {
            assert!(!read.contains(word), "{word}: {part}");
        }
    }
}

#[tokio::test]
async fn what_a_provider_does_itself_is_not_done_again() {
    for (receipts, stock) in [
        (Party::Us, Party::Us),
        (Party::Provider, Party::Us),
        (Party::Us, Party::Provider),
        (Party::Provider, Party::Provider),
    ] {
        let policies = ProviderPolicies {
            receipts,
            stock,
            ..ACME
        };
        let (mut bundle, acme) = shop_of(Acme::new(policies));
        bundle.fulfillment.policy.restock = RestockPolicy::Full;
        // The brace has no counter, and the only tote is gone.
        bundle.world.kept().counters = [(sku("TOTE"), 0)].into();
        let (sold, id) = (order(), order().order_id);
        acme.has(&sold);
        deliver(&bundle, "ev_1", "order", "ord_1", 1).await;
        acme.refunds(&sold);
        let mails = |expected| match receipts {
            Party::Us => expected,
            Party::Provider => 0,
        };
        let we_count = stock == Party::Us;
        assert_eq!(bundle.mails(), mails(1), "{policies:?}");
        let (order, kept) = {
            let kept = bundle.world.kept();
            (kept.orders[&id].clone(), kept.tables.clone())
        };
        assert_eq!(order.state(), OrderState::Paid);
        assert_eq!(order.uncounted_lines(), usize::from(we_count));
        assert_eq!(order.shortfalls.len(), usize::from(we_count));
        assert_eq!(kept.movements.len(), usize::from(we_count));
        assert_eq!(kept.reported.len(), usize::from(we_count), "{policies:?}");
        // More goods come: only a shortfall takes one, and only what was taken comes back.
        bundle.world.kept().counters.insert(sku("TOTE"), 5);
        let swept = sweep_over(&bundle.world).run().await.unwrap();
        assert_eq!(swept.filled, usize::from(we_count));
        deliver(&bundle, "ev_2", "refund", "ref_1", 1).await;
        let refunded = bundle.world.kept().orders[&id].clone();
        assert_eq!(refunded.state(), OrderState::Refunded);
        assert_eq!(counters(&bundle)[&sku("TOTE")], 5, "{policies:?}");
        assert_eq!(bundle.mails(), mails(2), "{policies:?}");
        assert_eq!(bundle.world.kept().receipts.len(), mails(2));
    }
}

#[tokio::test]
async fn a_name_that_no_provider_has_is_refused_before_any_call() {
    let (bundle, _) = shop();
    let incoming = intake::request::Incoming {
        method: "POST",
        provider: "acne",
        header: &|_| Some("application/json"),
        body: b"{}",
    };
    let answer = bundle.intake.take(&incoming).await;
    assert_eq!(answer.reply().status, 404);
    assert!(bundle.world.kept().calls.is_empty());
}
