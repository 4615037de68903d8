//! The sale: an order with its lines, payments, refunds, disputes and stock.

pub mod amounts;
pub mod columns;
pub mod counter_change;
pub mod delivery_failure;
pub mod details;
pub mod dispute;
pub mod event_history;
pub mod hold;
pub mod mapping;
pub mod merchant_reference;
pub mod order;
pub mod payment;
pub mod refund;
pub mod reservation;
pub mod restock;
pub mod shipment;
pub mod shop;
pub mod statement;
pub mod stock;
