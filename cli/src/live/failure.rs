//! Errors of the SDK, with their cures.

use crate::error::{Error, Exit};
use aws_sdk_sts::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use std::error::Error as StdError;

/// The codes of AWS that mean: not allowed, or not signed in.
const DENIED: [&str; 8] = [
    "AccessDenied",
    "AccessDeniedException",
    "UnauthorizedOperation",
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidClientTokenId",
    "UnrecognizedClientException",
    "AuthorizationError",
];

/// The message of an error, in one line.
pub(super) fn text<E, R>(error: &SdkError<E, R>) -> String
where
    E: ProvideErrorMetadata + StdError + 'static,
    R: std::fmt::Debug,
{
    if let Some(service) = error.as_service_error() {
        let meta = service.meta();
        let code = meta.code().unwrap_or("an error without a code");
        return match meta.message() {
            Some(message) => format!("{code}: {message}"),
            None => code.to_owned(),
        };
    }
    let whole = DisplayErrorContext(error).to_string();
    // The context ends in a debug print of the whole error.
    whole.split(" (").next().unwrap_or_default().to_owned()
}

/// The error of a call to a service.
pub(super) fn error<E, R>(service: &str, error: &SdkError<E, R>) -> Error
where
    E: ProvideErrorMetadata + StdError + 'static,
    R: std::fmt::Debug,
{
    let cause = text(error);
    if error.as_service_error().is_none() && cause.contains("credential") {
        return Error::new(Exit::Denied, format!("{service}: no AWS credentials")).cured_by(
            "Sign in (aws sso login --profile NAME) and add --profile NAME. The SDK asks for no MFA code: use aws configure \
             export-credentials for such a profile.",
        );
    }
    let what = format!("{service}: {cause}");
    let code = error
        .as_service_error()
        .and_then(|error| error.meta().code());
    if code.is_some_and(|code| DENIED.contains(&code)) {
        return Error::new(Exit::Denied, what).cured_by(
            "Sign in (aws sso login), choose a profile (--profile), or ask for the permission.",
        );
    }
    if error.as_service_error().is_some() {
        return Error::new(Exit::Failed, what);
    }
    Error::new(Exit::Unavailable, what).cured_by(
        "Check the network and the credentials. The SDK asks for no MFA code: use aws sso login, or AWS_PROFILE.",
    )
}

/// The answer of a service; `None` for the refusal that is expected.
pub(super) fn unless<T, E, R>(
    answer: Result<T, SdkError<E, R>>,
    service: &str,
    is_expected: fn(&E) -> bool,
) -> Result<Option<T>, Error>
where
    E: ProvideErrorMetadata + StdError + 'static,
    R: std::fmt::Debug,
{
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(failed) if failed.as_service_error().is_some_and(is_expected) => Ok(None),
        Err(failed) => Err(error(service, &failed)),
    }
}
