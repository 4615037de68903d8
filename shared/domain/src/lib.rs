//! What should happen: the rules of fulfillment as pure functions over plain values.
//!
//! In reading order: a provider's request is proven by [`signature`] and becomes a [`delivery`]; its body
//! says what happened ([`event`]); the provider's API says what is true ([`checkout`]). Both are [`facts`], which merge
//! in any order: of an [`order`] and its [`payment`]s, [`refund`]s and [`dispute`]s, of a [`subscription`] and the
//! [`entitlement`]s that follow from it, of a customer's [`contact`]. [`fulfillment`] decides what that means for them
//! and for the [`stock`], and the [`ledger`] writes it; the [`receipt`] row is claimed, rendered and mailed. [`job`] is
//! what travels between the functions, [`ports`] what the rules ask of the world, [`outcome`] the four ends that any
//! piece of work can come to, [`class`] the word for what kept it from its end.
//!
//! Nothing in here waits, reads a clock or an environment variable, or knows AWS, HTTP or one provider's JSON.

pub mod checkout;
pub mod class;
pub mod contact;
pub mod delivery;
pub mod dispute;
pub mod entitlement;
pub mod event;
pub mod facts;
pub mod fulfillment;
pub mod ids;
pub mod job;
pub mod ledger;
pub mod mode;
pub mod money;
pub mod order;
pub mod outcome;
pub mod payment;
pub mod ports;
pub mod receipt;
pub mod reconcile;
pub mod refund;
pub mod secrets;
pub mod signature;
pub mod stock;
pub mod subscription;
pub mod sweep;
