//! The subscriptions of listed invoices, where the list leaves them out.
//!
//! The pages of the list and of one invoice differ in their members
//! (<https://docs.withflex.com/api-reference/invoices/list-invoices>,
//! <https://docs.withflex.com/api-reference/invoices/get-invoice>).

use crate::{
    api::{Api, MOST_PAGES, PAGE},
    listing::{self, List},
    wire::{Invoice, Subscription},
};
use domain::{delivery::secrets::ApiKey, upkeep::reconcile::Ask, values::outcome::ReadError};
use reading::{Field, Identified};
use rest::list::id_of;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The most invoices of a page that are read singly. The next run reads the others.
const MOST_SINGLE: usize = 20;

impl Api {
    /// Adds the subscription to the paid invoices of a page that leave it out: from the subscription
    /// whose newest invoice it is, else from the invoice read singly. One that nothing names stays
    /// as it is.
    pub(crate) async fn name_subscriptions(
        &self,
        key: &ApiKey,
        ask: &Ask<'_>,
        page: &mut [Value],
    ) -> Result<(), ReadError> {
        let is_unnamed = |invoice: &&mut Value| listing::is_unnamed(ask, invoice);
        let mut unnamed: Vec<&mut Value> = page.iter_mut().filter(is_unnamed).collect();
        if unnamed.is_empty() {
            return Ok(());
        }
        let list = List::of(ask.list);
        let known = self.client.in_time(self.newest_invoices(key)).await?;
        let mut singly = 0;
        for invoice in &mut unnamed {
            let Some(id) = id_of(invoice, list.id) else {
                continue;
            };
            let mut subscription = known.get(&id).cloned();
            if subscription.is_none() && singly < MOST_SINGLE {
                singly += 1;
                subscription = self.subscription_of(key, &id).await?;
            }
            if let (Some(members), Some(id)) = (invoice.as_object_mut(), subscription) {
                members.insert("subscription".to_owned(), json!(id));
            }
        }
        Ok(())
    }

    /// The subscriptions by their newest invoice.
    async fn newest_invoices(&self, key: &ApiKey) -> Result<BTreeMap<String, String>, ReadError> {
        let mut newest = BTreeMap::new();
        let mut after = None;
        for _ in 0..MOST_PAGES {
            let mut url = self.client.url(&["subscriptions"]);
            url.query_pairs_mut()
                .append_pair("limit", &PAGE.to_string())
                .extend_pairs(after.as_ref().map(|last| ("starting_after", last)));
            let page = self.read::<Vec<Field<Subscription>>>(key, url, "subscriptions");
            let page = match page.await {
                Err(ReadError::Permanent { .. } | ReadError::NotUnderstood(_)) => break,
                page => page?,
            };
            let (length, before) = (page.len(), newest.len());
            for subscription in page.iter().filter_map(Field::known) {
                let (id, invoice) = (subscription.id(), subscription.latest_invoice.id());
                after = id.known().cloned().or(after);
                if let (Field::Understood(id), Field::Understood(invoice)) = (id, invoice) {
                    newest.insert(invoice, id);
                }
            }
            if length < PAGE || newest.len() == before {
                break;
            }
        }
        Ok(newest)
    }

    /// The subscription of one invoice.
    async fn subscription_of(&self, key: &ApiKey, id: &str) -> Result<Option<String>, ReadError> {
        let url = self.client.url(&["invoices", id]);
        let invoice = match self.read::<Invoice>(key, url, "invoice").await {
            Err(ReadError::Permanent { .. } | ReadError::NotUnderstood(_)) => return Ok(None),
            invoice => invoice?,
        };
        let is_asked_for = invoice.id().known().is_some_and(|read| read == id);
        let named = [invoice.subscription.id(), invoice.subscription_id.id()];
        let named = reading::first(named, "invoice.subscription").ok().flatten();
        Ok(named.filter(|_| is_asked_for))
    }
}
