//! One row changed under a condition.

use crate::{
    failure::{classified, past_conflicts},
    row,
};
use aws_sdk_dynamodb::{
    error::SdkError,
    operation::{
        put_item::{PutItemError, builders::PutItemFluentBuilder},
        update_item::builders::UpdateItemFluentBuilder,
    },
    types::ReturnValuesOnConditionCheckFailure,
};
use domain::{ports::Changed, values::outcome::RetryableError};
use serde::de::DeserializeOwned;

/// Sends an update; a condition that fails is an answer, and a conflict with a transaction is tried again.
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

/// Puts a row whose condition is that there is none yet, and returns the one that is there, if there is one.
pub(crate) async fn put_first<T: DeserializeOwned>(
    table: &'static str,
    put: PutItemFluentBuilder,
) -> Result<Option<T>, RetryableError> {
    // A refusal brings the item along, so that finding one costs no second read.
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
