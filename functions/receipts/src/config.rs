//! The settings of receipts, and the merchant's templates.

use crate::{AT_ONCE, templates};
use aws::{
    Queues, Store, Tables,
    batch::Rules,
    client::SdkConfig,
    mailer::Mailer,
    settings::{self, Problems, Settings},
};
use domain::receipt::OnUnknown;
use mail::{Merchant, Templates};
use std::path::Path;

/// The settings of receipts, read from the environment.
#[derive(Debug)]
pub struct Config {
    pub store: Store,
    pub rules: Rules,
    pub mailer: Mailer,
    pub merchant: Merchant,
    pub templates: Templates,
    pub on_unknown: OnUnknown,
}

impl Config {
    /// Reads all settings, or reports and logs all problems.
    pub fn load(sdk: &SdkConfig) -> Result<Self, Problems> {
        let mut settings = Settings::from(&settings::environment);
        let tables = Tables {
            announcements: settings.resource("ANNOUNCEMENTS_TABLE"),
            orders: settings.resource("ORDERS_TABLE"),
            entitlements: settings.resource("ENTITLEMENTS_TABLE"),
            links: settings.resource("LINKS_TABLE"),
            receipts: settings.resource("RECEIPTS_TABLE"),
            resources: settings.resource("RESOURCES_TABLE"),
            ..Tables::default()
        };
        let queues = Queues {
            source: settings.resource("RECEIPT_QUEUE_URL"),
            ..Queues::default()
        };
        let rules = Rules::read(&mut settings, AT_ONCE);
        let configuration_set = settings.resource("CONFIGURATION_SET");
        let merchant = merchant(&mut settings);
        let folder = settings.text("RECEIPT_TEMPLATES_DIR");
        let templates =
            folder.and_then(|folder| settings.noted(templates::load(Path::new(&folder))));
        let on_unknown = settings.choice("RECEIPT_ON_UNKNOWN");
        settings.finish(|| {
            Some(Self {
                store: Store::new(sdk, tables, queues),
                rules: rules?,
                mailer: Mailer::new(sdk, configuration_set),
                merchant: merchant?,
                templates: templates?,
                on_unknown: on_unknown?,
            })
        })
    }
}

/// The merchant, once all of its settings are there.
fn merchant(settings: &mut Settings<'_>) -> Option<Merchant> {
    let [
        name,
        address,
        support_email,
        sender,
        time_zone,
        test_recipient,
    ] = [
        "MERCHANT_NAME",
        "MERCHANT_ADDRESS",
        "SUPPORT_EMAIL",
        "RECEIPT_SENDER",
        "TIME_ZONE",
        "TEST_RECEIPT_RECIPIENT",
    ]
    .map(|name| settings.text(name));
    let merchant = Merchant::new(mail::Settings {
        name: &name?,
        address: &address?,
        support_email: &support_email?,
        sender: &sender?,
        time_zone: &time_zone?,
        test_recipient: Some(&test_recipient?),
    });
    settings.noted(merchant)
}
