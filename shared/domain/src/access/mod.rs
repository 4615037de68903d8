//! What a customer may use, and how to reach the customer.

pub mod contact;
pub mod entitlement;
pub mod subscription;
