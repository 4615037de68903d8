//! The settings of intake, and the providers' signing keys.

use crate::secrets::Secrets;
use aws::{
    Queues, Store, SystemClock, Tables,
    client::SdkConfig,
    secrets::SecretsManager,
    settings::{self, Problems, Settings, days},
};
use providers::Providers;

/// The settings of intake, read from the environment and Secrets Manager.
#[derive(Debug)]
pub struct Config {
    pub store: Store,
    pub providers: Providers,
    pub keys: Secrets<SecretsManager, SystemClock>,
    pub max_body_bytes: usize,
}

impl Config {
    /// Reads all settings, or reports and logs all problems.
    pub async fn load(sdk: &SdkConfig) -> Result<Self, Problems> {
        let mut settings = Settings::from(&settings::environment);
        let tables = Tables {
            announcements: settings.resource("ANNOUNCEMENTS_TABLE"),
            events: settings.resource("EVENTS_TABLE"),
            ..Tables::default()
        };
        let queues = Queues {
            fulfillment: settings.resource("FULFILLMENT_QUEUE_URL"),
            ..Queues::default()
        };
        let max_body_bytes = settings.parsed("MAX_BODY_BYTES");
        let retention_days = settings.parsed("EVENT_RETENTION_DAYS");
        let (providers, keys) = providers::open_webhooks(&mut settings, sdk).await;
        settings.finish(|| {
            Some(Self {
                store: Store::new(sdk, tables, queues).with_retention(days(retention_days?)),
                providers,
                keys: Secrets(keys),
                max_body_bytes: max_body_bytes?,
            })
        })
    }
}
