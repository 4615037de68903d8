//! One row changed under a condition.

use crate::failure::{past_conflicts, setback};
use aws_sdk_dynamodb::{error::SdkError, operation::update_item::builders::UpdateItemFluentBuilder};
use domain::{outcome::Setback, ports::Changed};

/// Sends an update; a condition that fails is an answer, and a conflict with a transaction is tried again.
pub(crate) async fn guarded(update: UpdateItemFluentBuilder) -> Result<Changed, Setback> {
    match past_conflicts(|| update.clone().send()).await {
        Ok(_) => Ok(Changed::Now),
        Err(SdkError::ServiceError(refusal)) if refusal.err().is_conditional_check_failed_exception() => {
            Ok(Changed::Raced)
        }
        Err(error) => Err(setback("DynamoDB", &error)),
    }
}
