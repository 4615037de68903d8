//! Integration tests.

mod contract;
// `cfg(test)` tells clippy that the helpers beside the tests are tests as well.
#[cfg(test)]
mod interruption;
#[cfg(test)]
mod template;
