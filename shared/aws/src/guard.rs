//! Conditional writes of one row, alone or as an action of a transaction.

use crate::{
    failure::{classified, past_conflicts, unbuildable},
    row,
    store::DYNAMODB,
};
use aws_sdk_dynamodb::{
    Client,
    error::{ProvideErrorMetadata, SdkError},
    operation::{
        put_item::{PutItemError, builders::PutItemFluentBuilder},
        update_item::builders::UpdateItemFluentBuilder,
    },
    types::{Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update},
};
use domain::{ports::Changed, values::outcome::RetryableError};
use serde::de::DeserializeOwned;

/// The action of an update, for a transaction.
pub(crate) fn update_of(
    update: &UpdateItemFluentBuilder,
) -> Result<TransactWriteItem, RetryableError> {
    let update = update.as_input();
    let action = Update::builder()
        .set_table_name(update.get_table_name().clone())
        .set_key(update.get_key().clone())
        .set_update_expression(update.get_update_expression().clone())
        .set_condition_expression(update.get_condition_expression().clone())
        .set_expression_attribute_names(update.get_expression_attribute_names().clone())
        .set_expression_attribute_values(update.get_expression_attribute_values().clone())
        .build()
        .map_err(|error| unbuildable(&error))?;
    Ok(TransactWriteItem::builder().update(action).build())
}

/// True if the condition of a write failed.
pub(crate) fn is_refused(error: &impl ProvideErrorMetadata) -> bool {
    error.code() == Some("ConditionalCheckFailedException")
}

/// The result of a conditional write, of which a failed condition is one.
fn changed<T, E: ProvideErrorMetadata>(
    sent: Result<T, SdkError<E>>,
) -> Result<Changed, RetryableError> {
    match sent {
        Ok(_) => Ok(Changed::Now),
        Err(error) if is_refused(&error) => Ok(Changed::Raced),
        Err(error) => Err(classified(DYNAMODB, &error)),
    }
}

/// Sends an update. A failed condition is a result; a conflict with a transaction is retried.
pub(crate) async fn guarded(update: UpdateItemFluentBuilder) -> Result<Changed, RetryableError> {
    changed(past_conflicts(|| update.clone().send()).await)
}

fn request(client: &Client, put: Put) -> PutItemFluentBuilder {
    client
        .put_item()
        .table_name(put.table_name)
        .set_item(Some(put.item))
        .set_condition_expression(put.condition_expression)
        .set_expression_attribute_names(put.expression_attribute_names)
        .set_expression_attribute_values(put.expression_attribute_values)
}

/// Sends a put with its condition. A failed condition is a result; a conflict with a transaction is retried.
pub(crate) async fn put_if(client: &Client, put: Put) -> Result<Changed, RetryableError> {
    let put = request(client, put);
    changed(past_conflicts(|| put.clone().send()).await)
}

/// Puts a row if there is none, and returns the existing row otherwise.
pub(crate) async fn put_first<T: DeserializeOwned>(
    client: &Client,
    table: &'static str,
    put: Put,
) -> Result<Option<T>, RetryableError> {
    // The refusal contains the existing item, which saves a read.
    let put = request(client, put)
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
    let Err(error) = past_conflicts(|| put.clone().send()).await else {
        return Ok(None);
    };
    let why = classified(DYNAMODB, &error);
    match error.into_service_error() {
        PutItemError::ConditionalCheckFailedException(refusal) => {
            row::from_item(table, refusal.item.unwrap_or_default()).map(Some)
        }
        _ => Err(why),
    }
}
