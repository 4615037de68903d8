//! The settings of feedback.

use crate::AT_ONCE;
use aws::{
    Queues, Store, Tables,
    batch::Rules,
    client::SdkConfig,
    settings::{self, Problems, Settings},
};

/// The settings of feedback, read from the environment.
#[derive(Debug)]
pub struct Config {
    pub store: Store,
    pub rules: Rules,
}

impl Config {
    /// Reads all settings, or reports and logs all problems.
    pub fn load(sdk: &SdkConfig) -> Result<Self, Problems> {
        let mut settings = Settings::from(&settings::environment);
        let tables = Tables {
            announcements: settings.resource("ANNOUNCEMENTS_TABLE"),
            orders: settings.resource("ORDERS_TABLE"),
            links: settings.resource("LINKS_TABLE"),
            receipts: settings.resource("RECEIPTS_TABLE"),
            ..Tables::default()
        };
        let queues = Queues {
            source: settings.resource("FEEDBACK_QUEUE_URL"),
            ..Queues::default()
        };
        let rules = Rules::read(&mut settings, AT_ONCE);
        settings.finish(|| {
            Some(Self {
                store: Store::new(sdk, tables, queues),
                rules: rules?,
            })
        })
    }
}
