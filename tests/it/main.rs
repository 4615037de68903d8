//! Integration tests.

// `cfg(test)` tells clippy that the helpers beside the tests are tests as well.
#[cfg(test)]
mod access;
#[cfg(test)]
mod adapters;
#[cfg(test)]
mod backlog;
#[cfg(test)]
mod contract;
#[cfg(test)]
mod documents;
#[cfg(test)]
mod encryption;
#[cfg(test)]
mod events;
#[cfg(test)]
mod feedback;
#[cfg(test)]
mod flow;
#[cfg(test)]
mod fulfillment;
#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod gateway;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod intake;
#[cfg(test)]
mod interruption;
#[cfg(test)]
mod language;
#[cfg(test)]
mod local;
#[cfg(test)]
mod log;
#[cfg(test)]
mod news;
#[cfg(test)]
mod operator;
#[cfg(test)]
mod receipts;
#[cfg(test)]
mod reconcile;
#[cfg(test)]
mod restore;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod start;
#[cfg(test)]
mod sweep;
#[cfg(test)]
mod template;
#[cfg(test)]
mod tls;
#[cfg(test)]
mod toolchain;
