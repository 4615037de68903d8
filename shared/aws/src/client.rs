//! The SDK's shared configuration: one TLS stack, and time limits shorter than any function's.

pub use aws_config::SdkConfig;
use aws_config::{
    BehaviorVersion, ConfigLoader, environment::EnvironmentVariableCredentialsProvider,
    retry::RetryConfig, timeout::TimeoutConfig,
};
use aws_sdk_dynamodb::config::ConfigBag;
use aws_smithy_http_client::{
    Builder,
    tls::{Provider, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        connector_metadata::ConnectorMetadata,
        http::{HttpClient, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector},
        runtime_components::{RuntimeComponents, RuntimeComponentsBuilder},
    },
};
use std::{sync::Once, time::Duration};

/// Loads the configuration from the environment that Lambda gives (`AWS_ENDPOINT_URL` counts too).
///
/// Lambda gives the credentials as variables. The SDK's own search for them makes a client of STS.
pub async fn config() -> SdkConfig {
    let credentials = EnvironmentVariableCredentialsProvider::new();
    loader().credentials_provider(credentials).load().await
}

const TLS: Provider = Provider::Rustls(CryptoMode::Ring);

/// Parses the root certificates for the first client of a process and not for each.
#[derive(Debug)]
struct Shared {
    client: SharedHttpClient,
    is_parsed: Once,
}

impl HttpClient for Shared {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        self.client.http_connector(settings, components)
    }

    /// The SDK calls this for each of its clients. The HTTP client then reads the certificates, so that the cost is a
    /// part of the start and not of the first event.
    fn validate_base_client_config(
        &self,
        components: &RuntimeComponentsBuilder,
        config: &ConfigBag,
    ) -> Result<(), BoxError> {
        let mut result = Ok(());
        self.is_parsed.call_once(|| {
            result = self.client.validate_base_client_config(components, config);
        });
        result
    }

    fn connector_metadata(&self) -> Option<ConnectorMetadata> {
        self.client.connector_metadata()
    }
}

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
    let http = SharedHttpClient::new(Shared {
        client: Builder::new().tls_provider(TLS).build_https(),
        is_parsed: Once::new(),
    });
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
