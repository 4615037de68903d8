//! The settings of fulfillment, the providers' API keys, and the stack's mode.

use crate::AT_ONCE;
use aws::{
    Queues, Store, Tables,
    batch::Rules,
    client::SdkConfig,
    settings::{self, Problems, Settings, days, shop},
};
use domain::{access::purchase::AccessPolicies, fulfillment::Policy, values::mode::Mode};
use jiff::SignedDuration;
use providers::Providers;

/// The settings of fulfillment, read from the environment and Secrets Manager.
#[derive(Debug)]
pub struct Config {
    pub store: Store,
    pub providers: Providers,
    pub policy: Policy,
    pub rules: Rules,
}

impl Config {
    /// Reads all settings, or reports and logs all problems.
    ///
    /// Without a problem, the mode becomes the stack's first mode unless there is one. After a first start that failed,
    /// the owner can still correct the mode.
    pub async fn load(sdk: &SdkConfig) -> Result<Self, Problems> {
        let mut settings = Settings::from(&settings::environment);
        let store = Store::new(sdk, tables(&mut settings), queues(&mut settings));
        let retention_days = settings.parsed("EVENT_RETENTION_DAYS");
        let rules = Rules::read(&mut settings, AT_ONCE);
        let mode = settings.choice("MODE");
        let policy = policy(&mut settings, mode);
        let providers = providers::open_apis(&mut settings, sdk, mode, None).await;
        if let Some(mode) = mode
            && store.may_begin_in_mode(mode, &mut settings).await
            && settings.are_good()
        {
            settings.noted(store.begin_in_mode(mode).await);
        }
        settings.finish(|| {
            Some(Self {
                store: store.with_retention(days(retention_days?)),
                providers,
                policy: policy?,
                rules: rules?,
            })
        })
    }
}

fn tables(settings: &mut Settings<'_>) -> Tables {
    Tables {
        events: settings.resource("EVENTS_TABLE"),
        orders: settings.resource("ORDERS_TABLE"),
        stock: settings.resource("STOCK_TABLE"),
        receipts: settings.resource("RECEIPTS_TABLE"),
        links: settings.resource("LINKS_TABLE"),
        entitlements: settings.resource("ENTITLEMENTS_TABLE"),
        resources: settings.resource("RESOURCES_TABLE"),
        announcements: settings.resource("ANNOUNCEMENTS_TABLE"),
    }
}

fn queues(settings: &mut Settings<'_>) -> Queues {
    let own = settings.resource("FULFILLMENT_QUEUE_URL");
    Queues {
        source: own.clone(),
        fulfillment: own,
        receipts: settings.resource("RECEIPT_QUEUE_URL"),
    }
}

fn policy(settings: &mut Settings<'_>, mode: Option<Mode>) -> Option<Policy> {
    let shop = shop(settings);
    let merchant_id = settings.optional("MERCHANT_ID");
    let restock = settings.choice("RESTOCK");
    let part_payment = settings.choice("PART_PAYMENT");
    let on_full_refund = settings.choice("ON_FULL_REFUND");
    let on_lost_dispute = settings.choice("ON_LOST_DISPUTE");
    let renewal_stock = settings.choice("RENEWAL_STOCK");
    let reserve_stock = settings.switch("RESERVE_STOCK");
    let grace_days = settings.parsed::<u32>("GRACE_DAYS");
    let payment_failed_mail = settings.switch("PAYMENT_FAILED_MAIL");
    let shipment_mail = settings.switch("SHIPMENT_MAIL");
    let trial_ends_mail = settings.switch("TRIAL_ENDS_MAIL");
    Some(Policy {
        mode: mode?,
        merchant_id,
        shop: shop?,
        restock: restock?,
        part_payment: part_payment?,
        access: AccessPolicies {
            on_full_refund: on_full_refund?,
            on_lost_dispute: on_lost_dispute?,
        },
        renewal_stock: renewal_stock?,
        reserve_stock: reserve_stock?,
        grace: SignedDuration::from_hours(24 * i64::from(grace_days?)),
        payment_failed_mail: payment_failed_mail?,
        shipment_mail: shipment_mail?,
        trial_ends_mail: trial_ends_mail?,
        bundle: env!("CARGO_PKG_VERSION"),
    })
}
