//! Which commands need a confirmation, and of which kind.
//!
//! A "yes" comes from a person at a terminal or from `--yes` in the call itself. No environment variable means yes:
//! a script under `CI` must not confirm an unread plan.

use crate::{
    Context,
    error::{Error, Exit},
};
use domain::values::mode::Mode;

/// The class of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Danger {
    /// Repeats no effect.
    Harmless,
    /// Many rows at once.
    Bulk,
    /// The customer notices.
    CustomerNotices,
    /// Cannot be undone, or stops work.
    Irreversible,
}

/// The question that a class asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Question {
    None,
    YesOrNo,
    StackName,
}

impl Danger {
    fn question(self, mode: Mode) -> Question {
        match (self, mode) {
            (Self::Harmless, Mode::Test) => Question::None,
            (Self::Harmless, Mode::Live)
            | (Self::CustomerNotices, _)
            | (Self::Bulk | Self::Irreversible, Mode::Test) => Question::YesOrNo,
            (Self::Bulk | Self::Irreversible, Mode::Live) => Question::StackName,
        }
    }
}

/// Shows the plan and asks for a confirmation, if the class needs one.
///
/// # Errors
///
/// Without a confirmation: [`Exit::Unconfirmed`].
pub fn confirm<B>(on: &Context<'_, B>, danger: Danger, yes: bool, plan: &str) -> Result<(), Error> {
    let stack = on.stack;
    let question = danger.question(stack.mode);
    if question == Question::None {
        return Ok(());
    }
    if yes {
        let needs_name = question == Question::StackName;
        if needs_name && on.options.stack.as_deref() != Some(&*stack.name) {
            return Err(unconfirmed("on a live stack, --yes needs the stack's name")
                .cured_by(format!("Add --stack {}", stack.name)));
        }
        return Ok(());
    }
    on.terminal.say(plan.trim_end());
    if !on.terminal.is_interactive() {
        let name = match question {
            Question::StackName => format!(" --stack {}", stack.name),
            _ => String::new(),
        };
        return Err(
            unconfirmed("this command needs confirmation, and there is no terminal")
                .cured_by(format!("Nothing changed. Add --yes{name}")),
        );
    }
    if is_confirmed(on, question) {
        Ok(())
    } else {
        Err(unconfirmed("not confirmed: nothing changed"))
    }
}

/// Asks the question. Returns true if the answer confirms the plan.
fn is_confirmed<B>(on: &Context<'_, B>, question: Question) -> bool {
    if question == Question::StackName {
        let name = &*on.stack.name;
        let asked = format!("This stack is LIVE. Type {name} to confirm:");
        return on.terminal.ask(&asked).as_deref() == Some(name);
    }
    on.terminal.agrees("Do it? [y/N]")
}

fn unconfirmed(what: &str) -> Error {
    Error::new(Exit::Unconfirmed, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_live_stack_asks_for_more() {
        use Danger::{Bulk, CustomerNotices, Harmless, Irreversible};
        use Question::{None, StackName, YesOrNo};
        for (danger, test, live) in [
            (Harmless, None, YesOrNo),
            (Bulk, YesOrNo, StackName),
            (CustomerNotices, YesOrNo, YesOrNo),
            (Irreversible, YesOrNo, StackName),
        ] {
            assert_eq!(danger.question(Mode::Test), test, "{danger:?}");
            assert_eq!(danger.question(Mode::Live), live, "{danger:?}");
        }
    }
}
