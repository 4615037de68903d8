//! Edge of the fulfillment function.
