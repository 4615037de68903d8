//! The SDK's shared configuration: one TLS stack, and time limits shorter than any function's.

use crate::settings::environment;
pub use aws_config::SdkConfig;
use aws_config::{
    BehaviorVersion, ConfigLoader, Region, environment::EnvironmentVariableCredentialsProvider,
    retry::RetryConfig, timeout::TimeoutConfig,
};
use aws_sdk_dynamodb::config::{ConfigBag, SharedCredentialsProvider};
use aws_smithy_http_client::{
    Builder,
    tls::{Provider, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        connector_metadata::ConnectorMetadata,
        http::{
            HttpClient, HttpConnector as _, HttpConnectorSettings, SharedHttpClient,
            SharedHttpConnector,
        },
        orchestrator::HttpRequest,
        runtime_components::{RuntimeComponents, RuntimeComponentsBuilder},
    },
};
use aws_smithy_types::body::SdkBody;
use aws_types::service_config::{LoadServiceConfig, ServiceConfigKey};
use std::{sync::Once, time::Duration};

/// The configuration of a function, from the variables that Lambda sets. `AWS_ENDPOINT_URL` and, for one service,
/// `AWS_ENDPOINT_URL_SQS` and its like count too.
#[must_use]
pub fn config() -> SdkConfig {
    config_beside(&[])
}

/// The configuration of a function that reads a secret while it starts. Beside that first request, connections to these
/// services are opened, named as in their addresses. A start has more processor time than an event.
///
/// The SDK's own loader would also search files, containers and STS for credentials, and link what it needs for that.
#[must_use]
pub fn config_beside(services: &[&str]) -> SdkConfig {
    let region = environment("AWS_REGION").map(Region::new);
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(region)
        .credentials_provider(SharedCredentialsProvider::new(
            EnvironmentVariableCredentialsProvider::new(),
        ))
        .service_config(Variables)
        .http_client(http_client(addresses(services, environment)))
        .timeout_config(timeouts())
        .retry_config(retries())
        .build()
}

/// Each service's own settings. The SDK asks for the address alone.
#[derive(Debug)]
struct Variables;

impl LoadServiceConfig for Variables {
    fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
        setting(key.env(), key.service_id(), environment)
    }
}

/// The setting of a service, else of all. The variable has the service's id in capitals, with `_` for a space
/// (<https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html>).
fn setting(name: &str, service: &str, variable: impl Fn(&str) -> Option<String>) -> Option<String> {
    let service = service.replace([' ', '-'], "_").to_uppercase();
    variable(&format!("{name}_{service}")).or_else(|| variable(name))
}

/// Where the SDK will call these services. None if all services have one address.
fn addresses(services: &[&str], variable: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let all = variable(ADDRESS);
    let address = |service: &&str| {
        let address = setting(ADDRESS, service, &variable).or_else(|| {
            let region = variable("AWS_REGION")?;
            Some(format!("https://{service}.{region}.amazonaws.com"))
        })?;
        (all.as_ref() != Some(&address)).then_some(address)
    };
    services.iter().filter_map(address).collect()
}

const ADDRESS: &str = "AWS_ENDPOINT_URL";

const TLS: Provider = Provider::Rustls(CryptoMode::Ring);

/// Parses the root certificates for the first client of a process and not for each. With the first request, it opens
/// connections to the addresses of the next ones.
#[derive(Debug)]
struct Shared {
    client: SharedHttpClient,
    is_parsed: Once,
    addresses: Vec<String>,
    are_open: Once,
}

impl Shared {
    /// Opens the connections by a request that every service answers without a signature. No answer is an error: the next
    /// request opens its connection itself.
    fn open(&self, connector: &SharedHttpConnector) {
        for address in &self.addresses {
            let mut request = HttpRequest::new(SdkBody::empty());
            if request.set_uri(format!("{address}/")).is_ok() {
                tokio::spawn(connector.call(request));
            }
        }
    }
}

impl HttpClient for Shared {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let connector = self.client.http_connector(settings, components);
        self.are_open.call_once(|| self.open(&connector));
        connector
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

/// The SDK's loader with the limits and the HTTP client of the functions, for a program that runs elsewhere.
#[must_use]
pub fn loader() -> ConfigLoader {
    aws_config::defaults(BehaviorVersion::latest())
        .http_client(http_client(Vec::new()))
        .timeout_config(timeouts())
        .retry_config(retries())
}

fn http_client(addresses: Vec<String>) -> SharedHttpClient {
    SharedHttpClient::new(Shared {
        client: Builder::new().tls_provider(TLS).build_https(),
        is_parsed: Once::new(),
        addresses,
        are_open: Once::new(),
    })
}

/// They turn an outage into an answer before the process is killed. Intake has 10 s in all.
fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(1))
        .operation_attempt_timeout(Duration::from_secs(3))
        .operation_timeout(Duration::from_secs(7))
        .build()
}

fn retries() -> RetryConfig {
    RetryConfig::standard().with_max_attempts(3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_opened_where_the_sdk_calls_it() {
        let at = |set: &[(&str, &str)]| {
            let variable = |name: &str| {
                let found = set.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| (*value).to_owned())
            };
            addresses(&["dynamodb", "sqs"], variable)
        };
        let region = ("AWS_REGION", "eu-west-1");
        let on_aws = [
            "https://dynamodb.eu-west-1.amazonaws.com",
            "https://sqs.eu-west-1.amazonaws.com",
        ];
        assert_eq!(at(&[region]), on_aws);
        assert!(
            at(&[region, ("AWS_ENDPOINT_URL", "http://one")]).is_empty(),
            "it is open already"
        );
        let own = ("AWS_ENDPOINT_URL_SQS", "http://own");
        assert_eq!(at(&[region, own]), [on_aws[0], "http://own"]);
        assert!(at(&[]).is_empty());
        let of_secrets =
            |name: &str| (name == "AWS_ENDPOINT_URL_SECRETS_MANAGER").then(String::new);
        assert!(setting(ADDRESS, "Secrets Manager", of_secrets).is_some());
    }
}
