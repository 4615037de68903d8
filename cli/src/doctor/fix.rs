//! `till doctor --fix`: harmless repairs, each after its own question. None changes the stack, a secret or an endpoint.

use super::{Check, Line, Status};
use crate::{
    Context,
    backend::{Backend, Function},
    commands::run_function,
    error::{Error, Exit},
    style::count,
};
use schemars::JsonSchema;
use serde::Serialize;
use std::pin::Pin;

/// The future of a repair: its result in words.
pub(super) type Repair<'a> = Pin<Box<dyn Future<Output = Result<String, Error>> + Send + 'a>>;

/// A repair of a check's problem.
pub(super) struct Fix<B> {
    /// What it does, in words that a question can hold.
    pub(super) does: &'static str,
    pub(super) run: for<'a> fn(&'a Context<'a, B>) -> Repair<'a>,
}

/// A repair that was offered.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Fixed {
    /// The check.
    pub id: &'static str,
    /// False if it was declined or failed.
    pub done: bool,
    pub text: String,
}

/// Offers the repair of each problem that has one.
///
/// # Errors
///
/// If no person can answer, and `yes` is not set.
pub(super) async fn offered<B: Backend>(
    on: &Context<'_, B>,
    checks: &[Check<B>],
    lines: &[Line],
    yes: bool,
) -> Result<Vec<Fixed>, Error> {
    let mut all = Vec::new();
    let is_problem = |line: &&Line| matches!(line.status, Status::Fail | Status::Warn);
    for line in lines.iter().filter(is_problem) {
        let check = checks.iter().find(|check| check.id == line.id);
        let Some(fix) = check.and_then(|check| check.fix.as_ref()) else {
            continue;
        };
        let (done, text) = if is_wanted(on, line, fix.does, yes)? {
            match (fix.run)(on).await {
                Ok(text) => (true, text),
                Err(error) => (false, format!("failed: {error}")),
            }
        } else {
            (false, "declined".to_owned())
        };
        all.push(Fixed {
            id: line.id,
            done,
            text,
        });
    }
    Ok(all)
}

fn is_wanted<B>(on: &Context<'_, B>, line: &Line, does: &str, yes: bool) -> Result<bool, Error> {
    if yes {
        return Ok(true);
    }
    if !on.terminal.is_interactive() {
        return Err(Error::new(
            Exit::Unconfirmed,
            "each fix needs a confirmation, and there is no terminal",
        )
        .cured_by("Nothing changed. Add --yes to confirm all fixes"));
    }
    let question = format!("{}: {}\n{does}? [y/N]", line.id, line.says);
    Ok(on.terminal.agrees(&question))
}

/// Turns the actions of all silent alarms on.
pub(super) async fn alarms<B: Backend>(on: &Context<'_, B>) -> Result<String, Error> {
    let platform = on.backend.platform();
    let alarms = platform.alarms().await?;
    let silent = alarms.into_iter().filter(|alarm| !alarm.notifies);
    let names: Vec<String> = silent.map(|alarm| alarm.name).collect();
    platform.enable_alarms(&names).await?;
    Ok(format!("{} may notify again", count(names.len(), "alarm")))
}

/// Lets SES mail the address of the sender, who presses the link.
pub(super) async fn sender<B: Backend>(on: &Context<'_, B>) -> Result<String, Error> {
    let sender = on.stack.parameter("ReceiptSender").unwrap_or_default();
    on.backend.platform().verify(sender).await?;
    Ok("SES has mailed the sender: press the link in it, then run this check again".to_owned())
}

pub(super) async fn sweep<B: Backend>(on: &Context<'_, B>) -> Result<String, Error> {
    run_function(on, Function::Sweep).await
}

pub(super) async fn reconcile<B: Backend>(on: &Context<'_, B>) -> Result<String, Error> {
    run_function(on, Function::Reconcile).await
}
