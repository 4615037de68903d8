//! The calls of the ports: counted, disturbed by faults, and interrupted.

use super::{Kept, World};
use domain::values::outcome::RetryableError;
use std::{sync::PoisonError, time::Duration};

/// A fault at a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It fails and has no effect.
    FailBefore,
    /// It has its effect, and the answer is lost.
    FailAfter,
    /// The process stops before it has any effect.
    StopBefore,
    /// The process stops right after its effect.
    StopAfter,
    /// It is throttled with a time to come again, and has no effect.
    Throttled,
    /// Another transaction on the same rows was in the way, up to the last try: it has no effect.
    Conflict,
    /// It has its effect, its answer is lost, and the SDK sends it again. The caller gets the second answer. This fault
    /// applies only if the real adapter leaves retries to the SDK.
    Twice,
}

/// The next step of a waiting call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// It goes through, unless [`Kept::faults`] has something for it.
    Goes,
    /// It goes on waiting.
    Waits,
    /// The fault strikes.
    Strikes(Fault),
}

/// The effect of a call on the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// It changes nothing.
    Reads,
    /// It may change something, and the SDK does not send it again.
    Writes,
    /// It may change something, and the SDK sends it again when its answer is lost.
    Repeats,
}

/// A call of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call {
    pub name: &'static str,
    pub manner: Manner,
}

impl Manner {
    pub(super) fn of(self, name: &'static str) -> Call {
        Call { name, manner: self }
    }
}

/// Decides over every call of a world. It may change the world, such as the next answer of SES.
pub trait Fate: std::fmt::Debug + Send {
    /// The next step of this call.
    fn turn(&mut self, call: Call, kept: &mut Kept) -> Turn;
}

impl World {
    /// The next step of a call.
    fn turn(&self, call: Call, kept: &mut Kept) -> Turn {
        let mut fate = self.fate.lock().unwrap_or_else(PoisonError::into_inner);
        fate.as_mut()
            .map_or(Turn::Goes, |fate| fate.turn(call, kept))
    }

    /// Runs a piece of work until it ends, or until the process "stops" in one of its calls: `None`.
    pub async fn run<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            done = work => Some(done),
            () = self.stopped.notified() => None,
        }
    }

    /// A call that changes nothing.
    pub(super) async fn look_up<T>(
        &self,
        name: &'static str,
        found: impl FnOnce(&Kept) -> T,
    ) -> Result<T, RetryableError> {
        self.make(Manner::Reads.of(name), |kept| found(kept)).await
    }

    /// A call that may change something.
    pub(super) async fn call<T>(
        &self,
        name: &'static str,
        effect: impl FnOnce(&mut Kept) -> T,
    ) -> Result<T, RetryableError> {
        self.make(Manner::Writes.of(name), effect).await
    }

    /// A call that the SDK may send a second time, when its first answer is lost.
    pub(super) async fn repeatable<T>(
        &self,
        name: &'static str,
        effect: impl Fn(&mut Kept) -> T,
    ) -> Result<T, RetryableError> {
        let twice = |kept: &mut Kept| {
            let answer = effect(kept);
            if std::mem::take(&mut kept.repeats) {
                effect(kept)
            } else {
                answer
            }
        };
        self.make(Manner::Repeats.of(name), twice).await
    }

    /// One port call: counted, and disturbed if it is its turn.
    pub(super) async fn make<T>(
        &self,
        call: Call,
        effect: impl FnOnce(&mut Kept) -> T,
    ) -> Result<T, RetryableError> {
        let (fault, answer) = loop {
            // A suspension point, as every real call is one: calls of concurrent work interleave.
            let lasts = self.kept().call_lasts;
            if lasts.is_zero() {
                tokio::task::yield_now().await;
            } else {
                tokio::time::sleep(lasts).await;
            }
            let mut kept = self.kept();
            let turn = self.turn(call, &mut kept);
            if turn == Turn::Waits {
                continue;
            }
            let n = kept.calls.len();
            kept.calls.push(call.name);
            let fault = match turn {
                Turn::Strikes(fault) => Some(fault),
                Turn::Goes | Turn::Waits => kept.faults.remove(&n),
            };
            let has_effect = matches!(
                fault,
                None | Some(Fault::FailAfter | Fault::StopAfter | Fault::Twice)
            );
            kept.repeats = fault == Some(Fault::Twice);
            break (fault, has_effect.then(|| effect(&mut kept)));
        };
        let away = |cause: &str, retry_after| RetryableError::Away {
            service: call.name,
            cause: cause.to_owned(),
            retry_after,
        };
        match (fault, answer) {
            (None | Some(Fault::Twice), Some(answer)) => Ok(answer),
            (Some(Fault::Conflict), _) => Err(RetryableError::Raced {
                what: "the transaction",
                tries: 6,
            }),
            (Some(Fault::Throttled), _) => Err(away("throttled", Some(Duration::from_secs(40)))),
            (Some(Fault::StopBefore | Fault::StopAfter), _) => {
                self.stopped.notify_one();
                std::future::pending().await
            }
            _ => Err(away("told to fail", None)),
        }
    }
}
