//! Conditional writes of one row, alone or as an action of a transaction.

use crate::{
    failure::{classified, past_conflicts, unbuildable},
    row,
};
use aws_sdk_dynamodb::{
    Client,
    error::SdkError,
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

/// Sends an update. A failed condition is a result; a conflict with a transaction is retried.
pub(crate) async fn guarded(update: UpdateItemFluentBuilder) -> Result<Changed, RetryableError> {
    match past_conflicts(|| update.clone().send()).await {
        Ok(_) => Ok(Changed::Now),
        Err(SdkError::ServiceError(refusal))
            if refusal.err().is_conditional_check_failed_exception() =>
        {
            Ok(Changed::Raced)
        }
        Err(error) => Err(classified("DynamoDB", &error)),
    }
}

/// Sends a put with its condition. A failed condition is a result; a conflict with a transaction is retried.
pub(crate) async fn put_if(client: &Client, put: Put) -> Result<Changed, RetryableError> {
    let put = client
        .put_item()
        .table_name(put.table_name)
        .set_item(Some(put.item))
        .set_condition_expression(put.condition_expression)
        .set_expression_attribute_names(put.expression_attribute_names)
        .set_expression_attribute_values(put.expression_attribute_values);
    match past_conflicts(|| put.clone().send()).await {
        Ok(_) => Ok(Changed::Now),
        Err(SdkError::ServiceError(refusal))
            if refusal.err().is_conditional_check_failed_exception() =>
        {
            Ok(Changed::Raced)
        }
        Err(error) => Err(classified("DynamoDB", &error)),
    }
}

/// Puts a row if there is none, and returns the existing row otherwise.
pub(crate) async fn put_first<T: DeserializeOwned>(
    table: &'static str,
    put: PutItemFluentBuilder,
) -> Result<Option<T>, RetryableError> {
    // The refusal contains the existing item, which saves a read.
    let put =
        put.return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
    match past_conflicts(|| put.clone().send()).await {
        Ok(_) => Ok(None),
        Err(SdkError::ServiceError(refusal))
            if refusal.err().is_conditional_check_failed_exception() =>
        {
            let PutItemError::ConditionalCheckFailedException(refusal) = refusal.into_err() else {
                return Err(RetryableError::Fault(
                    "a refused condition without its type".to_owned(),
                ));
            };
            row::from_item(table, refusal.item.unwrap_or_default()).map(Some)
        }
        Err(error) => Err(classified("DynamoDB", &error)),
    }
}
