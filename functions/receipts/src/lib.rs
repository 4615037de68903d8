//! Edge of the receipts function.
