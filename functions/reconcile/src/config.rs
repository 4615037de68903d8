//! The settings of reconcile, the providers' API keys, and the stack's mode.

use aws::{
    Queues, Store, Tables,
    client::SdkConfig,
    settings::{self, Problems, Settings, days, shop},
};
use domain::{sale::shop::ShopFilter, values::mode::Mode};
use jiff::SignedDuration;
use providers::Providers;

/// The largest answer: a hundred sales with all that they have.
const LARGEST_PAGE: usize = 8 * 1024 * 1024;

/// The settings of reconcile, read from the environment and Secrets Manager.
#[derive(Debug)]
pub struct Config {
    pub store: Store,
    pub providers: Providers,
    pub mode: Mode,
    pub shop: ShopFilter,
    pub look_back: SignedDuration,
}

impl Config {
    /// Reads all settings, or reports and logs all problems.
    pub async fn load(sdk: &SdkConfig) -> Result<Self, Problems> {
        let mut settings = Settings::from(&settings::environment);
        let tables = Tables {
            announcements: settings.resource("ANNOUNCEMENTS_TABLE"),
            events: settings.resource("EVENTS_TABLE"),
            orders: settings.resource("ORDERS_TABLE"),
            links: settings.resource("LINKS_TABLE"),
            entitlements: settings.resource("ENTITLEMENTS_TABLE"),
            ..Tables::default()
        };
        let queues = Queues {
            fulfillment: settings.resource("FULFILLMENT_QUEUE_URL"),
            ..Queues::default()
        };
        let store = Store::new(sdk, tables, queues);
        let retention_days = settings.parsed("EVENT_RETENTION_DAYS");
        let look_back_days = settings.parsed::<u32>("RECONCILE_DAYS");
        let mode = settings.choice("MODE");
        let shop = shop(&mut settings);
        let providers = providers::open_apis(&mut settings, sdk, mode, Some(LARGEST_PAGE)).await;
        if let Some(mode) = mode {
            store.may_begin_in_mode(mode, &mut settings).await;
        }
        settings.finish(|| {
            Some(Self {
                store: store.with_retention(days(retention_days?)),
                providers,
                mode: mode?,
                shop: shop?,
                look_back: SignedDuration::from_hours(24 * i64::from(look_back_days?)),
            })
        })
    }
}
