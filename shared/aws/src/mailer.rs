//! Hands a composed mail over to SES as raw MIME, once.

use crate::{
    client,
    failure::{classified, unbuildable},
};
use aws_sdk_ses::{
    Client,
    config::{retry::RetryConfig, timeout::TimeoutConfig},
    error::{BuildError, ProvideErrorMetadata, SdkError},
    operation::send_raw_email::SendRawEmailError,
    primitives::Blob,
    types::{MessageTag, RawMessage},
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use domain::{
    receipt::feedback::{TAG, tag_value},
    values::{ids::MessageId, outcome::RetryableError},
};
use mail::{Address, Email, SendError};
use mail_builder::MessageBuilder;
use std::{error::Error, io, time::Duration};

const SERVICE: &str = "SES";

/// The time limit for the answer of SES.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// A throttled mail is retried for this long. SES counts the rate per second
/// (<https://docs.aws.amazon.com/ses/latest/dg/manage-sending-quotas.html>), so there is soon room again.
const THROTTLED_FOR: Duration = Duration::from_secs(3);

/// A mailer on SES.
#[derive(Debug, Clone)]
pub struct Mailer {
    client: Client,
    configuration_set: String,
}

impl Mailer {
    /// A mailer whose mails are reported through the configuration set.
    ///
    /// The SDK does not retry: SES has no idempotency key, so a retry could be a second mail. The mailer keeps no
    /// connections. A connection that died while the function was frozen breaks during a request, and the outcome of
    /// that mail is unknown.
    #[must_use]
    pub fn new(config: &aws_config::SdkConfig, configuration_set: impl Into<String>) -> Self {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(2))
            .operation_attempt_timeout(ANSWER_WITHIN)
            .operation_timeout(ANSWER_WITHIN)
            .build();
        let config = aws_sdk_ses::config::Builder::from(config)
            .http_client(client::without_kept_connections())
            .timeout_config(timeouts)
            .retry_config(RetryConfig::disabled())
            .build();
        Self {
            client: Client::from_conf(config),
            configuration_set: configuration_set.into(),
        }
    }

    async fn hand_over(
        &self,
        email: &Email,
        message: &RawMessage,
        tags: &[MessageTag],
    ) -> Result<MessageId, Sorted> {
        let sent = self
            .client
            .send_raw_email()
            .source(email.from.as_str())
            .destinations(email.to.as_str())
            .raw_message(message.clone())
            .configuration_set_name(&self.configuration_set)
            .set_tags(Some(tags.to_vec()))
            .send()
            .await
            .map_err(|error| sort(&error, email))?;
        MessageId::new(sent.message_id).map_err(|_| {
            Sorted::End(SendError::Unknown(
                "SES took the mail and gave it no id".to_owned(),
            ))
        })
    }
}

/// The mail as MIME: HTML and text as alternatives, names and subject encoded.
pub fn mime(email: &Email) -> io::Result<Vec<u8>> {
    let to_name = email.to_name.as_deref().unwrap_or_default();
    MessageBuilder::new()
        .from((email.from_name.as_str(), email.from.as_str()))
        .reply_to(email.reply_to.as_str())
        .to((to_name, email.to.as_str()))
        .subject(email.subject.as_str())
        // SES replaces it. This one keeps the host's name out, and its encoding keeps `<`, `>` and `@` out.
        .message_id(format!(
            "{}@{}",
            tag_value(&email.receipt_id),
            domain_of(email.from.as_str())
        ))
        .text_body(email.text.as_str())
        .html_body(email.html.as_str())
        .write_to_vec()
}

fn domain_of(address: &str) -> &str {
    address
        .rsplit_once('@')
        .map_or(address, |(_, domain)| domain)
}

/// The tags of a mail. Both values have only characters that a tag takes.
fn tags(email: &Email) -> Result<Vec<MessageTag>, BuildError> {
    [
        (TAG, tag_value(&email.receipt_id)),
        ("kind", email.kind.name().to_owned()),
    ]
    .into_iter()
    .map(|(name, value)| MessageTag::builder().name(name).value(value).build())
    .collect()
}

impl mail::Mailer for Mailer {
    async fn send(&self, email: &Email) -> Result<MessageId, SendError> {
        let mime = mime(email).map_err(|error| {
            RetryableError::Fault(format!("the mail could not be built: {:?}", error.kind()))
        })?;
        let message = RawMessage::builder()
            .data(Blob::new(mime))
            .build()
            .map_err(|error| unbuildable(&error))?;
        let tags = tags(email).map_err(|error| unbuildable(&error))?;
        unless_throttled(|| self.hand_over(email, &message, &tags)).await
    }
}

/// Hands a mail over, and retries for a short time while SES throttles it.
///
/// # Errors
///
/// The last error of SES or the network.
pub async fn unless_throttled<F: Future<Output = Result<MessageId, Sorted>> + Send>(
    hand_over: impl Fn() -> F + Send,
) -> Result<MessageId, SendError> {
    let began = tokio::time::Instant::now();
    loop {
        match hand_over().await {
            Ok(message_id) => return Ok(message_id),
            Err(Sorted::End(error)) => return Err(error),
            // Certainly not sent, so a retry is not a second mail.
            Err(Sorted::Throttled(error)) if began.elapsed() > THROTTLED_FOR => return Err(error),
            Err(Sorted::Throttled(_)) => {}
        }
        tokio::time::sleep(Duration::from_millis(rand::random_range(500..1000))).await;
    }
}

/// A failed hand-over, by what to do next.
#[derive(Debug)]
pub enum Sorted {
    /// Retry: the sending rate is too high.
    Throttled(SendError),
    End(SendError),
}

/// Sorts an error: throttled, refused, certainly not sent, or an unknown outcome.
fn sort(error: &SdkError<SendRawEmailError, HttpResponse>, email: &Email) -> Sorted {
    let not_sent = || SendError::NotSent(classified(SERVICE, error));
    Sorted::End(match error {
        SdkError::ConstructionFailure(_) => not_sent(),
        SdkError::DispatchFailure(failure) => {
            // Only connecting has a shorter time limit than the attempt.
            if failure.is_timeout()
                || failure
                    .as_connector_error()
                    .is_some_and(|error| never_connected(error))
            {
                not_sent()
            } else {
                SendError::Unknown("the connection broke".to_owned())
            }
        }
        SdkError::ServiceError(refusal) => {
            let code = refusal.err().code().unwrap_or_default();
            if code == "Throttling" || code == "ThrottlingException" {
                return Sorted::Throttled(not_sent());
            }
            let status = refusal.raw().status().as_u16();
            sort_refusal(refusal.err(), code, status, email).unwrap_or_else(not_sent)
        }
        // The request is out, without an answer.
        SdkError::TimeoutError(_) => SendError::Unknown("no answer in time".to_owned()),
        _ => SendError::Unknown("an answer that is not understood".to_owned()),
    })
}

/// Sorts a refusal by SES. `None`: the mail is certainly not sent.
fn sort_refusal(
    error: &SendRawEmailError,
    code: &str,
    status: u16,
    email: &Email,
) -> Option<SendError> {
    let set_up = |cause: String| {
        let service = SERVICE;
        Some(SendError::NotSent(RetryableError::SetUp { service, cause }))
    };
    match error {
        // The account, the sender or our set-up. The customer's receipt must not fail for these.
        SendRawEmailError::MessageRejected(_)
        | SendRawEmailError::AccountSendingPausedException(_)
        | SendRawEmailError::ConfigurationSetDoesNotExistException(_)
        | SendRawEmailError::ConfigurationSetSendingPausedException(_)
        | SendRawEmailError::MailFromDomainNotVerifiedException(_) => set_up(code.to_owned()),
        _ if code == "InvalidParameterValue" => {
            if blames_recipient(error.message().unwrap_or_default(), email) {
                let reason = format!("SES rejects the recipient's address ({code})");
                return Some(SendError::Refused(reason));
            }
            set_up(format!(
                "{code}: check the sender, the reply address and the configuration set"
            ))
        }
        // A success with an unreadable body, or a failure in SES or on the way: SES may have taken the mail before.
        _ if matches!(status, 200..300 | 500 | 502 | 504) => {
            Some(SendError::Unknown(format!("SES broke down ({code})")))
        }
        _ => None,
    }
}

/// The starts of SES's messages about the part of an address before the `@`. SES checks addresses by `JavaMail`'s
/// `InternetAddress` and answers with that class's message.
const MAILBOX_FAULTS: [&str; 2] = ["Local address ", "Missing local name"];
/// The starts of SES's messages about the part after the `@`.
const DOMAIN_FAULTS: [&str; 3] = ["Domain ", "Missing domain", "Missing final '@domain'"];

/// True if an `InvalidParameterValue` with this message can only be about the recipient's address.
///
/// The message does not name the address. The recipient is at fault only if its address is unusual in the part that
/// SES rejects and the merchant's addresses are not. Everything else is retried, because a wrong set-up must not lose a
/// receipt. Tags, headers and the configuration set have the same error code.
fn blames_recipient(message: &str, email: &Email) -> bool {
    let is_about = |faults: &[&str]| faults.iter().any(|fault| message.starts_with(fault));
    let is_usual = if is_about(&MAILBOX_FAULTS) {
        Address::has_usual_mailbox
    } else if is_about(&DOMAIN_FAULTS) {
        Address::has_usual_domain
    } else {
        return false;
    };
    is_usual(&email.from) && is_usual(&email.reply_to) && !is_usual(&email.to)
}

/// Returns true if the connection was never made (refused, no route, no such host, no TLS). Nothing can have been sent then.
fn never_connected(error: &(dyn Error + 'static)) -> bool {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<hyper_util::client::legacy::Error>() {
            return error.is_connect();
        }
        cause = error.source();
    }
    false
}
