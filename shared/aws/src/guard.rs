//! One row changed under a condition.

use crate::failure::{MOST_TRIES, is_conflict, jitter, setback};
use aws_sdk_dynamodb::{error::SdkError, operation::update_item::builders::UpdateItemFluentBuilder};
use domain::{outcome::Setback, ports::Changed};

/// Sends an update; a condition that fails is an answer, and a conflict with a transaction is tried again.
pub(crate) async fn guarded(update: UpdateItemFluentBuilder) -> Result<Changed, Setback> {
    let mut n = 0;
    loop {
        n += 1;
        match update.clone().send().await {
            Ok(_) => return Ok(Changed::Now),
            Err(SdkError::ServiceError(refusal)) if refusal.err().is_conditional_check_failed_exception() => {
                return Ok(Changed::Raced);
            }
            Err(error) if is_conflict(&error) && n < MOST_TRIES => jitter(n).await,
            Err(error) => return Err(setback("DynamoDB", &error)),
        }
    }
}
