//! The settings of sweep.

use aws::{
    Queues, Store, Tables,
    client::SdkConfig,
    queue::DeadLetters,
    settings::{self, Problems, Settings},
};
use domain::sale::restock::RestockPolicy;

/// The settings of sweep, read from the environment.
#[derive(Debug)]
pub struct Config {
    pub store: Store,
    pub dead_letters: [DeadLetters; 3],
    pub restock: RestockPolicy,
}

impl Config {
    /// Reads all settings, or reports and logs all problems.
    pub fn load(sdk: &SdkConfig) -> Result<Self, Problems> {
        let mut settings = Settings::from(&settings::environment);
        let tables = Tables {
            announcements: settings.resource("ANNOUNCEMENTS_TABLE"),
            events: settings.resource("EVENTS_TABLE"),
            receipts: settings.resource("RECEIPTS_TABLE"),
            orders: settings.resource("ORDERS_TABLE"),
            stock: settings.resource("STOCK_TABLE"),
            ..Tables::default()
        };
        let queues = Queues {
            fulfillment: settings.resource("FULFILLMENT_QUEUE_URL"),
            receipts: settings.resource("RECEIPT_QUEUE_URL"),
            ..Queues::default()
        };
        let dead_letters = [
            "FULFILLMENT_DEAD_LETTER_QUEUE_URL",
            "RECEIPT_DEAD_LETTER_QUEUE_URL",
            "FEEDBACK_DEAD_LETTER_QUEUE_URL",
        ]
        .map(|name| DeadLetters::new(sdk, settings.resource(name)));
        let restock = settings.choice("RESTOCK");
        settings.finish(|| {
            Some(Self {
                store: Store::new(sdk, tables, queues),
                dead_letters,
                restock: restock?,
            })
        })
    }
}
