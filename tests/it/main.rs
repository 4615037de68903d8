//! Integration tests.

mod contract;
mod interruption;
// `cfg(test)` tells clippy that the helpers beside the tests are tests as well.
#[cfg(test)]
mod template;
