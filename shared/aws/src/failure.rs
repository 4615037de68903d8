//! Sorts SDK errors by their types: an unavailable service or a wrong set-up.

use aws_sdk_dynamodb::error::{BuildError, ProvideErrorMetadata};
use aws_smithy_runtime_api::client::{orchestrator::HttpResponse, result::SdkError};
use domain::values::outcome::RetryableError;
use std::time::Duration;

/// The codes of AWS services for wrong credentials, permissions or names. A retry does not help; an operator must act.
const SET_UP: [&str; 12] = [
    "AccessDenied",
    "AccessDeniedException",
    "AuthFailure",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "MissingAuthenticationToken",
    "NotAuthorized",
    "ResourceNotFoundException",
    "QueueDoesNotExist",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
    "ValidationException",
];

/// The retryable error for an SDK error.
///
/// Its text has the service's error code and never its message, which may quote stored data.
pub fn classified<E: ProvideErrorMetadata>(
    service: &'static str,
    error: &SdkError<E, HttpResponse>,
) -> RetryableError {
    let away = |cause: &str| RetryableError::Away {
        service,
        cause: cause.to_owned(),
        retry_after: None,
    };
    match error {
        SdkError::ServiceError(service_error) => {
            let code = service_error.err().code().unwrap_or("no error code");
            if SET_UP.contains(&code) {
                RetryableError::SetUp {
                    service,
                    cause: code.to_owned(),
                }
            } else {
                away(code)
            }
        }
        SdkError::TimeoutError(_) => away("no answer in time"),
        SdkError::DispatchFailure(failure) if failure.is_timeout() => away("no answer in time"),
        SdkError::DispatchFailure(_) => away("no connection"),
        SdkError::ResponseError(_) => away("an answer that is not understood"),
        SdkError::ConstructionFailure(_) => RetryableError::SetUp {
            service,
            cause: "the request could not be built (credentials or region)".to_owned(),
        },
        _ => away("a failure of a new kind"),
    }
}

/// The number of tries of a conflicting or throttled call before the job goes back to the queue.
pub(crate) const MOST_TRIES: u32 = 6;

/// Waits before try `n` (from 1), up to 50 ms, 100 ms, 200 ms…. The wait is random, so rivals do not meet again.
pub(crate) async fn jitter(n: u32) {
    let most = 25_u64.saturating_mul(1 << n.min(6));
    tokio::time::sleep(Duration::from_millis(rand::random_range(1..=most))).await;
}

/// Sends a write, and retries it while a transaction on the same row is in progress. The SDK does not retry these.
pub(crate) async fn past_conflicts<T, E, F>(
    send: impl Fn() -> F,
) -> Result<T, SdkError<E, HttpResponse>>
where
    E: ProvideErrorMetadata,
    F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
{
    for n in 1..MOST_TRIES {
        match send().await {
            Err(error) if error.code() == Some("TransactionConflictException") => jitter(n).await,
            answered => return answered,
        }
    }
    send().await
}

/// The error for a request that lacks a required part: a bug.
pub(crate) fn unbuildable(error: &BuildError) -> RetryableError {
    RetryableError::Fault(format!("a request could not be built: {error}"))
}
