//! The Orders table: key `order_id`; sparse index `client_reference_id`.

use crate::failure::{misshapen, setback};
use aws_sdk_dynamodb::{
    Client,
    error::BuildError,
    types::{AttributeValue, Put},
};
use domain::{ids::OrderId, order::Order, outcome::Setback, ports};
use std::collections::HashMap;

const TABLE: &str = "Orders";

/// The Orders table.
#[derive(Debug, Clone)]
pub struct Orders {
    client: Client,
    table: String,
}

impl Orders {
    /// The table of that name.
    #[must_use]
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        Self { client, table: table.into() }
    }
}

impl ports::Orders for Orders {
    async fn order(&self, id: &OrderId) -> Result<Option<Order>, Setback> {
        let found = self
            .client
            .get_item()
            .table_name(&self.table)
            .key("order_id", AttributeValue::S(id.to_string()))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| setback("DynamoDB", &error))?;
        found.item.map(serde_dynamo::from_item).transpose().map_err(|error| misshapen(TABLE, &error))
    }
}

/// The item of an order.
pub(crate) fn item(order: &Order) -> Result<HashMap<String, AttributeValue>, Setback> {
    serde_dynamo::to_item(order).map_err(|error| misshapen(TABLE, &error))
}

/// The part of a transaction that writes an order for the first and only time.
pub(crate) fn first(table: &str, item: HashMap<String, AttributeValue>) -> Result<Put, BuildError> {
    Put::builder()
        .table_name(table)
        .set_item(Some(item))
        .condition_expression("attribute_not_exists(order_id)")
        .build()
}
