//! Flint's API, read only: the current state of things.
//!
//! Paths and shapes: <https://github.com/flint-pay/flint-cli>, `internal/spec/openapi.json`, API version 2026-09-07.

use crate::{
    SERVICE, secret,
    translate::{payment, refund, resource, sale, shipment, subscription},
    wire,
};
use domain::{
    access::subscription::SubscriptionChange,
    delivery::{answer::Refunds, secrets::ApiKey},
    resource::{ResourceChange, ResourceId},
    sale::{
        payment::PaymentChange, refund::RefundChange, shipment::FulfillmentChange, statement::Sale,
    },
    values::{
        ids::{FulfillmentId, InvoiceId, OrderId, PaymentIntentId, RefundId, SubscriptionId},
        mode::Mode,
        outcome::{ReadError, RetryableError},
    },
};
use futures_util::future::try_join_all;
use jiff::Timestamp;
use reading::{Field, Identified, Readable, Reference};
use rest::{
    BadSetUp, Client, Dialect, HeaderMap, InMemory, Limits, NotUnderstood, Url, asked_for,
    resource, unless_refused,
};
use serde_json::Value;
use std::sync::Arc;

/// The version of the API that this crate reads. Flint encodes its answers in it.
pub(crate) const VERSION: &str = "2026-09-07";

/// The largest page of a list. Flint refuses a larger one.
pub(crate) const PAGE: usize = 100;

/// The most pages of the things of one order or invoice.
const MOST_PAGES: usize = 10;

/// The most payments or refunds of one order that are read: no order has as many.
const MOST_SINGLE: usize = 50;

const DIALECT: Dialect = Dialect {
    service: SERVICE,
    user_agent: concat!("flint-webhooks/", env!("CARGO_PKG_VERSION")),
    root: "v1",
    headers: &[("flint-version", VERSION)],
    check: mode_agrees,
    retryable: Some("/error/remediation/retryable"),
};

/// Refuses an answer of the other mode. The key alone selects the mode, so the address leads to another service.
fn mode_agrees(key: &ApiKey, headers: &HeaderMap) -> Result<(), RetryableError> {
    let stated = headers.get("flint-mode").map(|mode| mode.to_str().ok());
    let (Some(stated), Some(own)) = (stated, secret::key_mode(key)) else {
        return Ok(());
    };
    if stated.and_then(|mode| mode.parse().ok()) == Some(own) {
        return Ok(());
    }
    let cause = format!(
        "it answered in another mode to a {own} key: set the API's base URL to Flint's own address"
    );
    let service = SERVICE;
    Err(RetryableError::SetUp { service, cause })
}

/// The mode of what a key reads: Flint's things state none.
pub(crate) fn mode_of(key: &ApiKey) -> Result<Mode, ReadError> {
    let cause = "the API key is neither `flint_test_…` nor `flint_live_…`: copy a secret key from the dashboard";
    secret::key_mode(key).ok_or_else(|| {
        let cause = cause.to_owned();
        let service = SERVICE;
        RetryableError::SetUp { service, cause }.into()
    })
}

/// A client of Flint's API. Create it once and keep it, because it holds the connections.
#[derive(Debug, Clone)]
pub struct Api {
    pub(crate) client: Client,
}

impl Api {
    /// Creates a client with these limits for the API at this address, such as `https://api.withflintpay.com`.
    pub fn with_limits(base_url: &str, limits: Limits) -> Result<Self, BadSetUp> {
        let client = Client::new(base_url, limits, DIALECT)?;
        Ok(Self { client })
    }

    /// Creates a client for an API in memory, for simulations.
    pub fn in_memory(api: Arc<dyn InMemory>) -> Result<Self, BadSetUp> {
        let client = Client::in_memory(api, DIALECT)?;
        Ok(Self { client })
    }

    /// Reads an order with its payments and its customer. Whatever the answer leaves out is read singly: a hold on a
    /// payment must not be missed.
    pub async fn sale(
        &self,
        key: &ApiKey,
        id: &OrderId,
        asked_at: Timestamp,
    ) -> Result<Sale, ReadError> {
        let mode = mode_of(key)?;
        let order = self.order(key, id).await?;
        let (payments, customer) =
            tokio::try_join!(self.payments(key, &order), self.customer(key, &order))?;
        Ok(sale::sale(sale::Parts {
            order: &order,
            payments: &payments,
            customer: customer.as_ref(),
            mode,
            asked_at,
        })?)
    }

    /// Reads an order, expanded if the API does so.
    async fn order(&self, key: &ApiKey, id: &OrderId) -> Result<wire::Order, ReadError> {
        let url = self.client.url(&["orders", id.as_str()]);
        let expanded = &["customer", "payment_intents"];
        let order: wire::Order = self.read_expanded(key, url, expanded, "order").await?;
        asked_for(sale::id(&order), |read| read == id, "order")?;
        Ok(order)
    }

    /// The payments that an order names and does not have in full.
    async fn payments(
        &self,
        key: &ApiKey,
        order: &wire::Order,
    ) -> Result<Vec<wire::PaymentIntent>, ReadError> {
        let mut missing = sale::payment_ids(order).map_err(NotUnderstood::from)?;
        let known: Vec<_> = sale::expanded(order)
            .filter_map(|own| payment::id(own).ok())
            .collect();
        missing.retain(|id| !known.contains(id));
        at_most(missing.len(), "payment intents")?;
        try_join_all(missing.iter().map(|id| self.intent(key, id))).await
    }

    async fn intent(
        &self,
        key: &ApiKey,
        id: &PaymentIntentId,
    ) -> Result<wire::PaymentIntent, ReadError> {
        let url = self.client.url(&["payment-intents", id.as_str()]);
        let intent: wire::PaymentIntent = self.read(key, url, "payment_intent").await?;
        asked_for(payment::id(&intent), |read| read == id, "payment intent")?;
        Ok(intent)
    }

    /// Reads the customer that an order names without details. If Flint knows none, the receipt lacks the name, and
    /// perhaps the address.
    async fn customer(
        &self,
        key: &ApiKey,
        order: &wire::Order,
    ) -> Result<Option<wire::Customer>, ReadError> {
        if let Field::Understood(Reference::Object(_)) = &order.customer {
            return Ok(None);
        }
        let ids = [order.customer_id.id(), order.customer.id()];
        // The translation names the member that is not understood.
        let Ok(Some(id)) = reading::first(ids, "customer_id") else {
            return Ok(None);
        };
        let url = self.client.url(&["customers", &id]);
        unless_refused(self.read(key, url, "customer").await)
    }

    /// Reads a payment.
    pub async fn payment(
        &self,
        key: &ApiKey,
        id: &PaymentIntentId,
    ) -> Result<PaymentChange, ReadError> {
        let intent = self.intent(key, id).await?;
        Ok(payment::payment(&intent, mode_of(key)?).map_err(NotUnderstood::from)?)
    }

    /// The order of a payment; `None` if the payment names none, or if this key has no such payment.
    pub async fn sale_of(
        &self,
        key: &ApiKey,
        id: &PaymentIntentId,
    ) -> Result<Option<OrderId>, ReadError> {
        match self.intent(key, id).await {
            Err(ReadError::Permanent { status: 404, .. }) => Ok(None),
            intent => Ok(payment::order_id(&intent?).map_err(NotUnderstood::from)?),
        }
    }

    /// Reads a refund.
    pub async fn refund(&self, key: &ApiKey, id: &RefundId) -> Result<RefundChange, ReadError> {
        let url = self.client.url(&["refunds", id.as_str()]);
        let read: wire::Refund = self.read(key, url, "refund").await?;
        let payment = self.refunded(key, &read).await?;
        let change = refund::refund(&read, payment, mode_of(key)?);
        Ok(asked_for(
            change,
            |change| change.refund_id == *id,
            "refund",
        )?)
    }

    /// The payment of a refund: its own, else the only one of its order.
    async fn refunded(
        &self,
        key: &ApiKey,
        read: &wire::Refund,
    ) -> Result<PaymentIntentId, ReadError> {
        let order_id = match refund::source(read).map_err(NotUnderstood::from)? {
            refund::Source::Payment(id) => return Ok(id),
            refund::Source::Order(id) => id,
            refund::Source::Invoice(id) => {
                let invoice: wire::Invoice = self.read_invoice(key, &id).await?;
                let order = invoice.order_id.id();
                reading::own_id(order, OrderId::new, "order_id").map_err(NotUnderstood::from)?
            }
        };
        let order = self.order(key, &order_id).await?;
        let payments = sale::payment_ids(&order).map_err(NotUnderstood::from)?;
        let missing = reading::NotUnderstood::Missing("payment_intent_id");
        match payments.as_slice() {
            [only] => Ok(only.clone()),
            _ => Err(NotUnderstood::from(missing).into()),
        }
    }

    /// Reads all refunds of an order. One that is not understood hides no other.
    pub async fn refunds(&self, key: &ApiKey, id: &OrderId) -> Result<Refunds, ReadError> {
        let order = self.order(key, id).await?;
        let ids = sale::refund_ids(&order).map_err(NotUnderstood::from)?;
        at_most(ids.len(), "refunds")?;
        let each = |id: RefundId| async move {
            match self.refund(key, &id).await {
                Err(ReadError::NotUnderstood(_)) => Ok(Err(id)),
                read => read.map(Ok),
            }
        };
        let read: Vec<Result<RefundChange, RefundId>> =
            try_join_all(ids.into_iter().map(each)).await?;
        Ok(refund::list(read))
    }

    /// Reads all refunds of a payment, by its order.
    pub async fn refunds_of_payment(
        &self,
        key: &ApiKey,
        id: &PaymentIntentId,
    ) -> Result<Refunds, ReadError> {
        let Some(order_id) = self.sale_of(key, id).await? else {
            return Ok(Refunds::default());
        };
        let mut refunds = self.refunds(key, &order_id).await?;
        let is_own = |refund: &RefundChange| refund.facts.payment_intent_id == *id;
        refunds.understood.retain(is_own);
        Ok(refunds)
    }

    /// Reads a subscription.
    pub async fn subscription(
        &self,
        key: &ApiKey,
        id: &SubscriptionId,
    ) -> Result<SubscriptionChange, ReadError> {
        let url = self.client.url(&["subscriptions", id.as_str()]);
        let read = self.read(key, url, "subscription").await?;
        let change = subscription::subscription(&read, mode_of(key)?);
        let is_it = |change: &SubscriptionChange| change.subscription_id == *id;
        Ok(asked_for(change, is_it, "subscription")?)
    }

    /// Reads a fulfillment of an order.
    pub async fn fulfillment(
        &self,
        key: &ApiKey,
        id: &FulfillmentId,
    ) -> Result<FulfillmentChange, ReadError> {
        let url = self.client.url(&["fulfillments", id.as_str()]);
        let read = self
            .read_expanded(key, url, &["packages"], "fulfillment")
            .await?;
        let change = shipment::fulfillment(&read, mode_of(key)?);
        let is_it = |change: &FulfillmentChange| change.fulfillment_id == *id;
        Ok(asked_for(change, is_it, "fulfillment")?)
    }

    /// Reads a thing that is mirrored.
    pub async fn resource(
        &self,
        key: &ApiKey,
        id: &ResourceId,
    ) -> Result<ResourceChange, ReadError> {
        let mode = mode_of(key)?;
        let (kind, own) = id.parts();
        let change = match id {
            ResourceId::Transaction(_) => {
                let url = self.client.url(&["balance-transactions", own]);
                let read = self.read(key, url, "balance_transaction").await?;
                resource::transaction(&read, mode)
            }
            ResourceId::PaymentMethod(_) => {
                let url = self.client.url(&["payment-methods", own]);
                let read = self.read(key, url, "payment_method").await?;
                resource::payment_method(&read, mode)
            }
            ResourceId::CheckoutSession(_) => {
                let url = self.client.url(&["checkout-sessions", own]);
                let read = self.read(key, url, "checkout_session").await?;
                resource::checkout_session(&read, mode)
            }
            ResourceId::Invoice(id) => {
                let (read, attempts) =
                    tokio::try_join!(self.read_invoice(key, id), self.attempts(key, id))?;
                resource::invoice(&read, &attempts, mode)
            }
            ResourceId::Merchant(_) => {
                let url = self.client.url(&["merchants", own]);
                let (read, capabilities) =
                    tokio::try_join!(self.read(key, url, "merchant"), self.capabilities(key, own))?;
                resource::merchant(&read, &capabilities, mode)
            }
        };
        Ok(asked_for(change, |change| change.id() == *id, kind)?)
    }

    async fn read_invoice(&self, key: &ApiKey, id: &InvoiceId) -> Result<wire::Invoice, ReadError> {
        let url = self.client.url(&["invoices", id.as_str()]);
        self.read(key, url, "invoice").await
    }

    /// The attempts to pay an invoice. A refusal means that there are none.
    async fn attempts(
        &self,
        key: &ApiKey,
        id: &InvoiceId,
    ) -> Result<Field<Vec<Field<wire::Attempt>>>, ReadError> {
        let url = self
            .client
            .url(&["invoices", id.as_str(), "payment-attempts"]);
        let pages = self.pages(key, url, "payment_attempts");
        let read = unless_refused(self.client.in_time(pages).await)?;
        Ok(read.map_or(Field::Absent, Field::Understood))
    }

    /// The capabilities of a merchant. The API has those of the key's merchant alone, so those of another one are
    /// unknown.
    async fn capabilities(
        &self,
        key: &ApiKey,
        merchant_id: &str,
    ) -> Result<Field<Vec<Field<wire::Capability>>>, ReadError> {
        let url = self.client.url(&["capabilities"]);
        let answer = self.client.whole_answer(key, url, "capabilities").await;
        let Some((headers, body)) = unless_refused(answer)? else {
            return Ok(Field::Absent);
        };
        let owner = headers.get("flint-merchant-id");
        if owner.is_none_or(|owner| owner.as_bytes() != merchant_id.as_bytes()) {
            return Ok(Field::Absent);
        }
        Ok(Field::Understood(resource(body, "data", "capabilities")?))
    }

    /// Reads a list page by page. All pages together have the time of one answer.
    async fn pages<T: Readable>(
        &self,
        key: &ApiKey,
        first: Url,
        name: &'static str,
    ) -> Result<Vec<Field<T>>, ReadError> {
        let mut all = Vec::new();
        let mut after: Option<String> = None;
        for _ in 0..MOST_PAGES {
            let (page, next) = self.page(key, &first, after.as_deref(), name).await?;
            all.extend(page.into_iter().map(Field::of));
            // A page that names itself as the next one is the last.
            if next.is_none() || next == after {
                return Ok(all);
            }
            after = next;
        }
        Err(NotUnderstood::Endless(name).into())
    }

    /// Reads a page of a list: its things as they are, and the token of the next page. `first` is the address of the
    /// first page. Flint wants the same query on each page.
    pub(crate) async fn page(
        &self,
        key: &ApiKey,
        first: &Url,
        after: Option<&str>,
        name: &'static str,
    ) -> Result<(Vec<Value>, Option<String>), ReadError> {
        let mut url = first.clone();
        let token = after.map(|token| ("page_token", token));
        let size = PAGE.to_string();
        url.query_pairs_mut()
            .append_pair("page_size", &size)
            .extend_pairs(token);
        let mut body = self.client.answer(key, url, name).await?;
        let Some(Value::Array(page)) = body.get_mut("data").map(Value::take) else {
            return Err(NotUnderstood::Resource(name).into());
        };
        let next = body.get("next_page_token").and_then(Value::as_str);
        Ok((
            page,
            next.filter(|token| !token.is_empty()).map(str::to_owned),
        ))
    }

    /// Reads a resource with these things in it, if the API expands them.
    async fn read_expanded<T: Readable>(
        &self,
        key: &ApiKey,
        bare: Url,
        things: &[&str],
        name: &'static str,
    ) -> Result<T, ReadError> {
        let mut url = bare.clone();
        for thing in things {
            url.query_pairs_mut().append_pair("expand", thing);
        }
        match self.read(key, url, name).await {
            // The form of a repeated parameter is not published.
            Err(ReadError::Permanent { status: 400, .. }) => self.read(key, bare, name).await,
            read => read,
        }
    }

    /// Reads a resource, which Flint wraps in `data`.
    pub(crate) async fn read<T: Readable>(
        &self,
        key: &ApiKey,
        url: Url,
        name: &'static str,
    ) -> Result<T, ReadError> {
        let body = self.client.answer(key, url, name).await?;
        Ok(resource(body, "data", name)?)
    }
}

/// Refuses a list that is longer than that of any real order.
fn at_most(length: usize, name: &'static str) -> Result<(), NotUnderstood> {
    if length <= MOST_SINGLE {
        Ok(())
    } else {
        Err(NotUnderstood::Endless(name))
    }
}
