//! The settings of announcements.

use aws::{
    Queues, Store, Tables,
    bus::Bus,
    client::SdkConfig,
    settings::{self, Problems, Settings, days},
};
use domain::values::mode::Mode;

/// The settings of announcements, read from the environment.
#[derive(Debug)]
pub struct Config {
    pub store: Store,
    pub bus: Bus,
    pub mode: Mode,
    /// True if a paid order's announcement has the customer's contact and address.
    pub announces_contacts: bool,
}

impl Config {
    /// Reads all settings, or reports and logs all problems.
    pub fn load(sdk: &SdkConfig) -> Result<Self, Problems> {
        let mut settings = Settings::from(&settings::environment);
        let tables = Tables {
            announcements: settings.resource("ANNOUNCEMENTS_TABLE"),
            orders: settings.resource("ORDERS_TABLE"),
            stock: settings.resource("STOCK_TABLE"),
            ..Tables::default()
        };
        let bus = Bus::new(sdk, settings.resource("EVENT_BUS"));
        let mode = settings.choice("MODE");
        let announces_contacts = settings.switch("ANNOUNCE_PERSONAL_DATA");
        let retention_days = settings.parsed("ANNOUNCEMENT_RETENTION_DAYS");
        settings.finish(|| {
            let store = Store::new(sdk, tables, Queues::default());
            Some(Self {
                store: store.with_retention(days(retention_days?)),
                bus,
                mode: mode?,
                announces_contacts: announces_contacts?,
            })
        })
    }
}
