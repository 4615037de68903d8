//! A customer's entitlements, the subscriptions behind them, and the customer's contact data.

pub mod contact;
pub mod entitlement;
pub mod purchase;
pub mod renewal;
pub mod subscription;
