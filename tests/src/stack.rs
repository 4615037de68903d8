//! The local stack that `local/stack.py` has started, as its stack file describes it, and clients for it.

use aws::{Queues, Store, Tables};
use aws_config::{Region, SdkConfig};
use aws_sdk_dynamodb::{
    config::Credentials,
    types::{AttributeValue, BillingMode, GlobalSecondaryIndex},
};
use domain::{sale::mapping::MappingKey, values::ids::Sku};
use serde::Deserialize;
use std::{collections::BTreeMap, env, fs, time::Duration};

#[derive(Debug, Clone, Deserialize)]
pub struct Stack {
    pub endpoint: String,
    pub region: String,
    pub webhook_url: String,
    pub webhook_secret: String,
    pub flint_webhook_url: String,
    pub flint_webhook_secret: String,
    pub flint_stand_in_url: String,
    pub flex_base_url: String,
    /// The stand-in for it, unless it is Flex itself.
    pub stand_in_url: Option<String>,
    pub tables: TableNames,
    pub queues: QueueUrls,
    /// The functions' physical names, by their own.
    pub functions: BTreeMap<String, String>,
    pub event_bus: String,
    pub secrets: Vec<String>,
    /// The template's parameters as deployed, those with a default only if another value was given.
    pub parameters: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct TableNames {
    pub events: String,
    pub orders: String,
    pub links: String,
    pub stock: String,
    pub entitlements: String,
    pub receipts: String,
    pub resources: String,
    pub announcements: String,
}

impl TableNames {
    fn all_mut(&mut self) -> [&mut String; 8] {
        let Self {
            events,
            orders,
            links,
            stock,
            entitlements,
            receipts,
            resources,
            announcements,
        } = self;
        [
            events,
            orders,
            links,
            stock,
            entitlements,
            receipts,
            resources,
            announcements,
        ]
    }

    /// The functions' settings that name them.
    pub fn settings(&self) -> [(&'static str, &str); 8] {
        let Self {
            events,
            orders,
            links,
            stock,
            entitlements,
            receipts,
            resources,
            announcements,
        } = self;
        [
            ("EVENTS_TABLE", events),
            ("ORDERS_TABLE", orders),
            ("LINKS_TABLE", links),
            ("STOCK_TABLE", stock),
            ("ENTITLEMENTS_TABLE", entitlements),
            ("RECEIPTS_TABLE", receipts),
            ("RESOURCES_TABLE", resources),
            ("ANNOUNCEMENTS_TABLE", announcements),
        ]
    }
}

#[derive(Debug, Clone, Deserialize)]
pub struct QueueUrls {
    pub fulfillment: String,
    pub fulfillment_dead_letter: String,
    pub receipt: String,
    pub receipt_dead_letter: String,
    pub feedback: String,
    pub feedback_dead_letter: String,
}

/// There is no local stack to talk to.
#[derive(Debug, thiserror::Error)]
pub enum NoStack {
    #[error(
        "STACK_FILE is not set: run this by `make test` or `make demo`, which start the local stack"
    )]
    NotNamed,
    /// The file has an unexpected form.
    #[error("the stack file {0} cannot be read: {1}")]
    Unreadable(String, String),
}

impl Stack {
    /// The stack that `STACK_FILE` names.
    pub fn named() -> Result<Self, NoStack> {
        let path = env::var("STACK_FILE").map_err(|_| NoStack::NotNamed)?;
        let text = fs::read_to_string(&path)
            .map_err(|why| NoStack::Unreadable(path.clone(), why.to_string()))?;
        serde_json::from_str(&text).map_err(|why| NoStack::Unreadable(path, why.to_string()))
    }

    /// An SDK configuration for it: the functions' own, but for the endpoint.
    pub async fn config(&self) -> SdkConfig {
        aws::client::loader()
            .endpoint_url(&self.endpoint)
            .region(Region::new(self.region.clone()))
            .credentials_provider(Credentials::new("test", "test", None, None, "local"))
            .load()
            .await
    }

    /// The same stack with empty copies of its tables, which no deployed function reads.
    #[expect(clippy::expect_used, reason = "a test kit")]
    pub async fn with_copied_tables(&self, suffix: &str) -> Self {
        let client = aws_sdk_dynamodb::Client::new(&self.config().await);
        let mut copy = self.clone();
        for name in copy.tables.all_mut() {
            let described = client.describe_table().table_name(&*name).send().await;
            let table = described
                .expect("a deployed table")
                .table
                .expect("its description");
            name.push_str(suffix);
            let indexes = table.global_secondary_indexes().iter().map(|index| {
                GlobalSecondaryIndex::builder()
                    .index_name(index.index_name().expect("a name"))
                    .set_key_schema(index.key_schema.clone())
                    .set_projection(index.projection.clone())
                    .build()
                    .expect("a whole index")
            });
            let create = client.create_table().table_name(&*name);
            let create = create.set_attribute_definitions(table.attribute_definitions.clone());
            let create = create.set_key_schema(table.key_schema.clone());
            let create = create.set_global_secondary_indexes(
                Some(indexes.collect()).filter(|all: &Vec<_>| !all.is_empty()),
            );
            create
                .billing_mode(BillingMode::PayPerRequest)
                .send()
                .await
                .expect("a copied table");
        }
        copy
    }

    pub async fn tables(&self) -> Ports {
        let config = self.config().await;
        let names = self.tables.clone();
        let stock = names.stock.clone();
        let tables = Tables {
            events: names.events,
            orders: names.orders,
            links: names.links,
            stock: names.stock,
            entitlements: names.entitlements,
            receipts: names.receipts,
            resources: names.resources,
            announcements: names.announcements,
        };
        let queues = Queues {
            fulfillment: self.queues.fulfillment.clone(),
            receipts: self.queues.receipt.clone(),
            ..Queues::default()
        };
        let store =
            Store::new(&config, tables, queues).with_retention(Duration::from_hours(24 * 90));
        Ports {
            store,
            stock_levels: StockTable {
                client: aws_sdk_dynamodb::Client::new(&config),
                table: stock,
            },
        }
    }
}

/// When an event's row may be forgotten, in Unix seconds, as it lies in the table: TTL is DynamoDB's business and in
/// no port.
pub async fn expires_at(stack: &Stack, event_id: &str) -> Option<i64> {
    let client = aws_sdk_dynamodb::Client::new(&stack.config().await);
    let get = client
        .get_item()
        .table_name(&stack.tables.events)
        .key("event_id", text(event_id));
    let item = get.consistent_read(true).send().await.ok()?.item?;
    item.get("expires_at")?.as_n().ok()?.parse().ok()
}

/// Has an event stand where no version that is known here could have put it.
#[expect(clippy::expect_used, reason = "a test kit")]
pub async fn set_state(stack: &Stack, event_id: &str, state: &str) {
    let client = aws_sdk_dynamodb::Client::new(&stack.config().await);
    let update = client
        .update_item()
        .table_name(&stack.tables.events)
        .key("event_id", text(event_id));
    let update = update
        .update_expression("SET #state = :state")
        .expression_attribute_names("#state", "state");
    update
        .expression_attribute_values(":state", text(state))
        .send()
        .await
        .expect("a row that can be changed");
}

/// The orders of a merchant's own reference, by the index.
pub async fn orders_of(stack: &Stack, client_reference_id: &str) -> Vec<String> {
    let client = aws_sdk_dynamodb::Client::new(&stack.config().await);
    let query = client
        .query()
        .table_name(&stack.tables.orders)
        .index_name("client_reference_id");
    let query = query.key_condition_expression("client_reference_id = :reference");
    let found = query
        .expression_attribute_values(":reference", text(client_reference_id))
        .send()
        .await;
    let items = found.ok().and_then(|found| found.items).unwrap_or_default();
    items
        .iter()
        .filter_map(|item| item.get("order_id")?.as_s().ok().cloned())
        .collect()
}

#[derive(Debug, Clone)]
pub struct Ports {
    /// All tables, as the functions use them.
    pub store: Store,
    /// The Stock table as a merchant fills it.
    pub stock_levels: StockTable,
}

/// The Stock table as a merchant fills it: counters and mapping rows.
#[derive(Debug, Clone)]
pub struct StockTable {
    client: aws_sdk_dynamodb::Client,
    table: String,
}

/// The table did not do as asked.
#[derive(Debug, thiserror::Error)]
#[error("the Stock table: {0}")]
pub struct StockError(String);

fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

impl StockTable {
    pub async fn put_counter(&self, sku: &Sku, on_hand: i64) -> Result<(), StockError> {
        let put = self.client.put_item().table_name(&self.table);
        let put = put
            .item("sku", text(sku.as_str()))
            .item("entry", text("counter"));
        let sent = put
            .item("on_hand", AttributeValue::N(on_hand.to_string()))
            .send()
            .await;
        sent.map(drop)
            .map_err(|error| StockError(format!("{error:?}")))
    }

    pub async fn remove_counter(&self, sku: &Sku) -> Result<(), StockError> {
        let delete = self.client.delete_item().table_name(&self.table);
        let sent = delete
            .key("sku", text(sku.as_str()))
            .key("entry", text("counter"))
            .send()
            .await;
        sent.map(drop)
            .map_err(|error| StockError(format!("{error:?}")))
    }

    /// Writes a mapping row with these attributes.
    pub async fn put_mapping(
        &self,
        from: &MappingKey,
        attributes: &[(&str, AttributeValue)],
    ) -> Result<(), StockError> {
        let from = match from {
            MappingKey::Product(id) => format!("product#{id}"),
            MappingKey::Price(id) => format!("price#{id}"),
        };
        let put = self.client.put_item().table_name(&self.table);
        let mut put = put.item("sku", text(from)).item("entry", text("mapping"));
        for (name, value) in attributes {
            put = put.item(*name, value.clone());
        }
        let sent = put.send().await;
        sent.map(drop)
            .map_err(|error| StockError(format!("{error:?}")))
    }

    pub async fn on_hand(&self, sku: &Sku) -> Result<Option<i64>, StockError> {
        let get = self
            .client
            .get_item()
            .table_name(&self.table)
            .consistent_read(true);
        let found = get
            .key("sku", text(sku.as_str()))
            .key("entry", text("counter"))
            .send()
            .await;
        let item = found
            .map_err(|error| StockError(format!("{error:?}")))?
            .item
            .unwrap_or_default();
        Ok(item
            .get("on_hand")
            .and_then(|count| count.as_n().ok())
            .and_then(|count| count.parse().ok()))
    }
}
