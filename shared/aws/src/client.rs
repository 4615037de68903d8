//! The SDK's shared configuration: one TLS stack, and time limits shorter than any function's.

pub use aws_config::SdkConfig;
use aws_config::{BehaviorVersion, ConfigLoader, retry::RetryConfig, timeout::TimeoutConfig};
use aws_smithy_http_client::{
    Builder,
    tls::{Provider, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use std::time::Duration;

/// Loads the configuration from the environment that Lambda gives (`AWS_ENDPOINT_URL` counts too).
pub async fn config() -> SdkConfig {
    loader().load().await
}

const TLS: Provider = Provider::Rustls(CryptoMode::Ring);

/// An HTTP client that makes a connection for each request.
pub(crate) fn without_kept_connections() -> SharedHttpClient {
    Builder::new()
        .tls_provider(TLS)
        .pool_max_idle_per_host(0)
        .build_https()
}

/// The configuration that all clients share, in a function or elsewhere.
///
/// The time limits turn an outage into an answer before the process is killed. Intake has 10 s in all.
#[must_use]
pub fn loader() -> ConfigLoader {
    let http = Builder::new().tls_provider(TLS).build_https();
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(1))
        .operation_attempt_timeout(Duration::from_secs(3))
        .operation_timeout(Duration::from_secs(7))
        .build();
    aws_config::defaults(BehaviorVersion::latest())
        .http_client(http)
        .timeout_config(timeouts)
        .retry_config(RetryConfig::standard().with_max_attempts(3))
}
