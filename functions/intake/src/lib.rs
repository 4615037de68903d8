//! Edge of the intake function.
