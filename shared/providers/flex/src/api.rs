//! Flex's API, read only: the current state of things.

use crate::{
    SERVICE,
    listing::{self, List},
    translate::{self, NotUnderstood},
    wire,
};
use domain::{
    access::{
        renewal::Renewal,
        subscription::{Source, SubscriptionChange},
    },
    delivery::{answer::Refunds, secrets::ApiKey},
    sale::statement::Sale,
    upkeep::reconcile::{Ask, Page},
    values::{
        ids::{OrderId, PaymentIntentId, RefundId, SubscriptionId},
        outcome::ReadError,
    },
};
use futures_util::future::try_join_all;
use reading::{Field, Identified, Readable};
use rest::{
    BadSetUp, Client, Dialect, Limits, Url, asked_for, list::id_of, resource, unless_refused,
};
use serde_json::Value;

/// The largest page of a list
/// (<https://docs.withflex.com/api-reference/checkout-sessions/list-checkout-sessions>).
pub(crate) const PAGE: usize = 100;
/// The most pages of refunds for one order: no order has a thousand refunds.
pub(crate) const MOST_PAGES: usize = 10;

/// Whose refunds to read.
#[derive(Debug, Clone, Copy)]
pub enum RefundsOf<'a> {
    Sale(&'a OrderId),
    Payment(&'a PaymentIntentId),
}

const DIALECT: Dialect = Dialect {
    service: SERVICE,
    user_agent: concat!("flex-webhooks/", env!("CARGO_PKG_VERSION")),
    root: "v1",
    headers: &[],
    check: |_, _| Ok(()),
    retryable: None,
};

/// A client of Flex's API. Create it once and keep it, because it holds the connections.
#[derive(Debug, Clone)]
pub struct Api {
    pub(crate) client: Client,
}

impl Api {
    /// Creates a client for the API at this address, such as `https://api.withflex.com`.
    pub fn new(base_url: &str) -> Result<Self, BadSetUp> {
        Self::with_limits(base_url, Limits::default())
    }

    /// Creates a client with other limits, for tests.
    pub fn with_limits(base_url: &str, limits: Limits) -> Result<Self, BadSetUp> {
        let client = Client::new(base_url, limits, DIALECT)?;
        Ok(Self { client })
    }

    /// Reads a checkout: the session with its customer, its lines, and its payments, in parallel.
    ///
    /// <https://docs.withflex.com/api-reference/checkout-sessions/get-checkout-session>,
    /// <https://docs.withflex.com/api-reference/checkout-sessions/get-line-items>,
    /// <https://docs.withflex.com/api-reference/payment-intents/list-payment-intents>
    pub async fn sale(&self, key: &ApiKey, order_id: &OrderId) -> Result<Sale, ReadError> {
        let mut session = self
            .client
            .url(&["checkout", "sessions", order_id.as_str()]);
        session
            .query_pairs_mut()
            .append_pair("expand_customer", "true");
        let lines = self
            .client
            .url(&["checkout", "sessions", order_id.as_str(), "line_items"]);
        let (session, lines, payments) = tokio::try_join!(
            self.read::<wire::Session>(key, session, "checkout_session"),
            self.read(key, lines, "line_items"),
            self.payments(key, order_id)
        )?;
        let lines = Field::Understood(lines);
        let customer = self.customer_of(key, &session).await?;
        let sale = translate::sale(&session, &lines, customer.as_ref());
        let mut sale = asked_for(sale, |sale| sale.order_id == *order_id, "session")?;
        translate::add_payments(&mut sale, &payments);
        Ok(sale)
    }

    /// Reads a checkout's payments. They add detail to the session, so an order does not wait for
    /// them if Flex refuses the read or the answer is not understood.
    async fn payments(
        &self,
        key: &ApiKey,
        order_id: &OrderId,
    ) -> Result<Vec<Field<wire::PaymentIntent>>, ReadError> {
        let url = self.list_of(
            &["payment_intents"],
            ("checkout_session", order_id.as_str()),
        );
        match self.read(key, url, "payment_intents").await {
            Err(ReadError::Permanent { .. } | ReadError::NotUnderstood(_)) => Ok(Vec::new()),
            read => read,
        }
    }

    /// Finds the checkout of a payment; `None` if there is none. No member of a payment names it
    /// (<https://docs.withflex.com/expanding-resources>,
    /// <https://docs.withflex.com/api-reference/checkout-sessions/list-checkout-sessions>).
    pub async fn sale_of(
        &self,
        key: &ApiKey,
        payment: &PaymentIntentId,
    ) -> Result<Option<OrderId>, ReadError> {
        let url = self.list_of(
            &["checkout", "sessions"],
            ("payment_intent", payment.as_str()),
        );
        match self.read::<Vec<_>>(key, url, "checkout_sessions").await {
            // This key has no such payment.
            Err(ReadError::Permanent { status: 404, .. }) => Ok(None),
            sessions => Ok(translate::session_of(&sessions?, payment)?),
        }
    }

    /// Reads all refunds of a checkout or of a payment
    /// (<https://docs.withflex.com/api-reference/refunds/list-refunds>).
    pub async fn refunds(&self, key: &ApiKey, of: RefundsOf<'_>) -> Result<Refunds, ReadError> {
        let wanted = match of {
            RefundsOf::Sale(order_id) => ("checkout_session", order_id.as_str()),
            RefundsOf::Payment(id) => ("payment_intent", id.as_str()),
        };
        let mut refunds = self.client.in_time(self.pages(key, wanted)).await?;
        // If the API ignores the parameter, other payments' refunds are dropped here.
        if let RefundsOf::Payment(id) = of {
            refunds
                .understood
                .retain(|refund| refund.facts.payment_intent_id == *id);
        }
        Ok(refunds)
    }

    /// Reads a list of refunds page by page. No member announces a next page, so a full page may be
    /// followed by another.
    async fn pages(&self, key: &ApiKey, wanted: (&str, &str)) -> Result<Refunds, ReadError> {
        let mut all = Refunds::default();
        let mut last: Option<RefundId> = None;
        for _ in 0..MOST_PAGES {
            let mut url = self.list_of(&["refunds"], wanted);
            if let Some(last) = &last {
                url.query_pairs_mut()
                    .append_pair("starting_after", last.as_str());
            }
            let page: Vec<Field<wire::Refund>> = self.read(key, url, "refunds").await?;
            let is_full = page.len() >= PAGE;
            let newest = page.iter().rev().find_map(translate::refund::id_of);
            // A page that ends like the one before is the same page again.
            let is_last = !is_full || newest.is_none() || newest == last;
            last = newest;
            for refund in &page {
                translate::refund::add(&mut all, refund);
            }
            if is_last {
                return Ok(all);
            }
        }
        Err(NotUnderstood::Endless("refunds").into())
    }

    /// Reads a subscription with its customer, then the products of its items in parallel. The items name products, but do
    /// not describe them.
    ///
    /// <https://docs.withflex.com/api-reference/subscriptions/get-subscription>,
    /// <https://docs.withflex.com/api-reference/products/get-product>,
    /// <https://docs.withflex.com/api-reference/customers/get-customer>
    pub async fn renewal(&self, key: &ApiKey, id: &SubscriptionId) -> Result<Renewal, ReadError> {
        let mut url = self.client.url(&["subscriptions", id.as_str()]);
        url.query_pairs_mut().append_pair("expand_customer", "true");
        let subscription = self.read_subscription(key, url).await?;
        let products = translate::renewal::products(&subscription);
        let (customer, products) = tokio::try_join!(
            self.customer(key, &subscription.customer, &subscription.customer_id),
            try_join_all(products.iter().map(|id| self.product(key, id)))
        )?;
        let products: Vec<wire::Product> = products.into_iter().flatten().collect();
        let renewal = translate::renewal::renewal(&subscription, &products, customer.as_ref());
        let is_it = |renewal: &Renewal| renewal.change.subscription_id == *id;
        Ok(asked_for(renewal, is_it, "subscription")?)
    }

    /// Reads a product. If Flex refuses, the line lacks its text and eligibility, which no receipt then claims.
    async fn product(&self, key: &ApiKey, id: &str) -> Result<Option<wire::Product>, ReadError> {
        let url = self.client.url(&["products", id]);
        unless_refused(self.read(key, url, "product").await)
    }

    /// Reads a subscription
    /// (<https://docs.withflex.com/api-reference/subscriptions/get-subscription>). The reference
    /// shows the answer both with and without its wrapper.
    pub async fn subscription(
        &self,
        key: &ApiKey,
        id: &SubscriptionId,
    ) -> Result<SubscriptionChange, ReadError> {
        let url = self.client.url(&["subscriptions", id.as_str()]);
        let subscription = self.read_subscription(key, url).await?;
        let change = translate::subscription::subscription(&subscription, Source::Read);
        let is_it = |change: &SubscriptionChange| change.subscription_id == *id;
        Ok(asked_for(change, is_it, "subscription")?)
    }

    async fn read_subscription(
        &self,
        key: &ApiKey,
        url: Url,
    ) -> Result<wire::Subscription, ReadError> {
        const NAME: &str = "subscription";
        let mut body = self.client.answer(key, url, NAME).await?;
        let body = body.get_mut(NAME).map(Value::take).unwrap_or(body);
        wire::Subscription::read(body).ok_or_else(|| NotUnderstood::Resource(NAME).into())
    }

    /// Reads a page of a list. No member announces a next page, so a full page may be followed by
    /// another
    /// (<https://docs.withflex.com/api-reference/checkout-sessions/list-checkout-sessions>).
    pub async fn list(&self, key: &ApiKey, ask: &Ask<'_>) -> Result<Page, ReadError> {
        let of = List::of(ask.list);
        let mut url = self.client.url(of.path);
        url.query_pairs_mut()
            .extend_pairs(List::filter(ask))
            .append_pair("limit", &PAGE.to_string())
            .extend_pairs(ask.after.map(|last| ("starting_after", last)));
        let mut page = self.things(key, url, of.name).await?;
        self.name_subscriptions(key, ask, &mut page).await?;
        let is_full = page.len() >= PAGE;
        // One item without an id must not end the list.
        let cursor = page.iter().rev().find_map(|thing| id_of(thing, of.id));
        if is_full && cursor.is_none() {
            let missing = reading::NotUnderstood::Missing(of.id);
            return Err(NotUnderstood::Member(missing).into());
        }
        // A page that ends like the page before is the same page again.
        let has_more = is_full && cursor.as_deref() != ask.after && !listing::is_past(ask, &page);
        Ok(Page {
            listed: page
                .iter()
                .filter_map(|object| listing::listed(ask, object))
                .collect(),
            length: page.len(),
            next: cursor.filter(|_| has_more),
        })
    }

    /// The things of a list as they are, each to be read alone.
    async fn things(
        &self,
        key: &ApiKey,
        url: Url,
        name: &'static str,
    ) -> Result<Vec<Value>, ReadError> {
        let mut body = self.client.answer(key, url, name).await?;
        match body.get_mut(name).map(Value::take) {
            Some(Value::Array(things)) => Ok(things),
            _ => Err(NotUnderstood::Resource(name).into()),
        }
    }

    /// Reads the customer of a session.
    ///
    /// If Flex no longer knows the customer, the receipt lacks the name, and perhaps the address. A
    /// missing address fails the receipt, but does not delay the goods. An answer that is not
    /// understood may come from a gateway: it is ignored only if the session has an address.
    async fn customer_of(
        &self,
        key: &ApiKey,
        session: &wire::Session,
    ) -> Result<Option<wire::Customer>, ReadError> {
        let read = self.customer(key, &session.customer, &session.customer_id);
        match read.await {
            Err(ReadError::NotUnderstood(_)) if translate::has_address(session) => Ok(None),
            read => read,
        }
    }

    /// The customer that a resource names, read unless it is expanded
    /// (<https://docs.withflex.com/api-reference/customers/get-customer>).
    async fn customer(
        &self,
        key: &ApiKey,
        named: &Field<wire::Reference<wire::Customer>>,
        id: &Field<String>,
    ) -> Result<Option<wire::Customer>, ReadError> {
        if let Field::Understood(wire::Reference::Object(customer)) = named {
            return Ok(Some((**customer).clone()));
        }
        // The translation names the member that is not understood.
        let Ok(Some(id)) = reading::first([named.id(), id.id()], "customer") else {
            return Ok(None);
        };
        let url = self.client.url(&["customers", &id]);
        unless_refused(self.read(key, url, "customer").await)
    }

    /// The URL of a filtered list with the largest page size.
    fn list_of(&self, segments: &[&str], (of, id): (&str, &str)) -> Url {
        let mut url = self.client.url(segments);
        url.query_pairs_mut()
            .append_pair(of, id)
            .append_pair("limit", &PAGE.to_string());
        url
    }

    /// Reads a resource that Flex wraps in its name.
    pub(crate) async fn read<T: Readable>(
        &self,
        key: &ApiKey,
        url: Url,
        name: &'static str,
    ) -> Result<T, ReadError> {
        let body = self.client.answer(key, url, name).await?;
        Ok(resource(body, name, name)?)
    }
}
