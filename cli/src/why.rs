//! Why something is not done, what will happen by itself, and what a person can do. Pure.

use crate::time;
use domain::{
    delivery::stored_event::{EventState, StoredEvent},
    receipt::{Receipt, ReceiptState},
    values::class::Class,
};
use jiff::{Timestamp, tz::TimeZone};
use schemars::JsonSchema;
use serde::Serialize;

/// The explanation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Why {
    pub id: String,
    /// The state's word.
    pub state: String,
    pub class: Option<String>,
    /// One sentence: the thing, its state and the reason.
    pub sentence: String,
    /// The next step of the software.
    pub automatic: String,
    /// The next step of a person; empty if nothing is needed.
    pub action: String,
    pub commands: Vec<String>,
    /// When it is too late, in words.
    pub deadline: String,
}

/// Automatic repair and a person's action, for a parked event of a class.
fn parked(class: Option<Class>) -> (&'static str, &'static str) {
    const RECONCILE: &str = "Reconcile retries it once if the provider lists its thing.";
    const NOTHING: &str = "Nothing: it waits for a person.";
    match class {
        Some(Class::NotComplete) => (
            "Reconcile retries it once the provider lists the sale as complete.",
            "Look at the sale in the provider's dashboard, and release the event once the sale is complete.",
        ),
        Some(Class::OrderUnknown | Class::Missing) => (
            "It goes on by itself once its order exists and the provider lists it.",
            "Look the payment up at the provider. Release the order's own event first if that is parked. If it was sold \
             elsewhere, or before this stack, drop this one.",
        ),
        Some(Class::NoRefund) => (
            RECONCILE,
            "Look at the refund in the dashboard; release the event once it is there.",
        ),
        Some(Class::Contradicted) => (
            NOTHING,
            "The event says that the subscription ended, and the API says otherwise. Compare at the provider: release it \
             once it ended there too, or drop it.",
        ),
        Some(Class::OtherMode) => (
            NOTHING,
            "The endpoint at the provider sends events of the other mode. Correct the endpoint, then drop the event.",
        ),
        Some(Class::NotFulfilled) => (
            NOTHING,
            "This kind of sale is not fulfilled here: handle it by hand, and drop it.",
        ),
        Some(Class::Exception) => (
            NOTHING,
            "Goods and receipt wait. Solve it in the provider's dashboard, or decide that the goods go out; then release \
             the event.",
        ),
        Some(Class::OtherBody) => (
            NOTHING,
            "Two bodies came under one event id. Compare them. If both say the same, drop this one; if both count, \
             release it.",
        ),
        Some(Class::Unreadable | Class::TooLarge | Class::BadId | Class::NoSubject) => (
            NOTHING,
            "This version does not understand it. Handle it by hand and drop it, or release it under a newer version.",
        ),
        Some(Class::OtherCurrency) => (
            NOTHING,
            "The money has another currency than the order: handle it by hand, and drop it.",
        ),
        Some(Class::NotRead) => (
            RECONCILE,
            "The provider refuses to show it. Look it up there; release it once it is right.",
        ),
        Some(
            Class::Away
            | Class::SetUp
            | Class::Contended
            | Class::MailUnknown
            | Class::OutOfTime
            | Class::TooEarly
            | Class::Fault
            | Class::Other,
        )
        | None => (
            RECONCILE,
            "Release it once the reason is gone, or drop it if you handle it by hand.",
        ),
    }
}

/// Explains an event.
#[must_use]
pub fn event(event: &StoredEvent, zone: &TimeZone, now: Timestamp) -> Why {
    let id = event.event_id.to_string();
    let kind = event.event_type.as_deref().unwrap_or("An unreadable event");
    let received = format!(
        "{kind}, received {} ago ({})",
        time::age(event.received_at, now),
        time::full(event.received_at, zone)
    );
    let reason = event.reason.as_deref();
    let because = reason.map_or_else(String::new, |reason| format!(": {reason}"));
    let tries = match event.attempts {
        0 => String::new(),
        tries => format!(
            " after {}",
            crate::style::count(tries as usize, "failed try").replace("trys", "tries")
        ),
    };
    let done = |state: &str, automatic: &str| Why {
        id: id.clone(),
        state: event.state.to_string(),
        class: event.class.map(|class| class.to_string()),
        sentence: format!("{received}, {state}{because}."),
        automatic: automatic.to_owned(),
        action: String::new(),
        commands: Vec::new(),
        deadline: "None.".to_owned(),
    };
    match event.state {
        EventState::Parked => {
            let (automatic, action) = parked(event.class);
            Why {
                sentence: format!("{received}, parked{tries}{because}."),
                action: action.to_owned(),
                commands: vec![
                    format!("till event release {id} --why \"…\""),
                    format!("till event drop {id} --why \"…\""),
                ],
                deadline: "None. It is kept until you release or drop it.".to_owned(),
                ..done("parked", automatic)
            }
        }
        EventState::Stored => stored(event, done(&format!("not done yet{tries}"), "")),
        EventState::Committed => done(
            "committed: its effects are written, and a message may be unsent",
            "Its message goes on within minutes, else sweep does within twenty.",
        ),
        EventState::Processed => done("processed", "Nothing is left to do."),
        EventState::NotNeeded => done("not needed: this type has no effect here", "Nothing."),
        EventState::Unhandled => done("of a type that this version does not know", "Nothing."),
        EventState::Dropped => Why {
            commands: vec![format!("till event replay {id} --why \"…\"")],
            ..done("dropped by a person", "Nothing.")
        },
        EventState::Unreadable => Why {
            action: "Look it up in the provider's dashboard and handle it by hand, or replay it under a version that \
                     reads it."
                .to_owned(),
            commands: vec![format!("till event replay {id} --why \"…\"")],
            ..done("not understood", "Nothing.")
        },
    }
}

fn stored(event: &StoredEvent, why: Why) -> Why {
    let is_ours = matches!(event.class, Some(Class::SetUp | Class::Fault));
    Why {
        automatic: if event.attempts == 0 {
            "Fulfillment takes it within seconds. Sweep queues it again after fifteen minutes."
                .to_owned()
        } else {
            "It is retried after 1, 4, 16 and 60 minutes, then sweep queues it again within a day."
                .to_owned()
        },
        action: if is_ours {
            "Repair the permission, secret or software that the reason names; then redrive."
                .to_owned()
        } else {
            String::new()
        },
        commands: if is_ours {
            vec!["till redrive fulfillment --dry-run".to_owned()]
        } else {
            vec!["till sweep".to_owned()]
        },
        deadline: "None: the row is kept until it is done.".to_owned(),
        ..why
    }
}

/// A mail's state, the software's next step, a person's, and whether it can be sent or closed.
struct MailState {
    state: String,
    automatic: &'static str,
    action: &'static str,
    can_resend: bool,
    can_close: bool,
}

fn mail_state(receipt: &Receipt, zone: &TimeZone, now: Timestamp) -> MailState {
    let done = |state: String| MailState {
        state,
        automatic: "Nothing is left to do.",
        action: "",
        can_resend: false,
        can_close: false,
    };
    match &receipt.state {
        ReceiptState::Unsent { .. } if receipt.due_at > Some(now) => MailState {
            automatic: "Sweep queues it on its day, or up to three days late.",
            ..done(format!(
                "is due on {}",
                time::full(receipt.due_at.unwrap_or(now), zone)
            ))
        },
        ReceiptState::Unsent { reason } => {
            let because = reason
                .as_ref()
                .map_or_else(String::new, |reason| format!(": {reason}"));
            MailState {
                automatic: "It is retried, and sweep queues it again.",
                ..done(format!("is not sent yet{because}"))
            }
        }
        ReceiptState::Leased { .. } => MailState {
            automatic: "If the attempt stops, SES's feedback or the policy ReceiptOnUnknown decides.",
            ..done("is being sent now".to_owned())
        },
        ReceiptState::Held => MailState {
            automatic: "Feedback of SES settles it, usually within minutes.",
            action: "Wait some minutes, ask the customer, then send or close it.",
            can_resend: true,
            can_close: true,
            ..done("is held: it is unknown whether it was sent".to_owned())
        },
        ReceiptState::Failed { reason } => MailState {
            automatic: "Nothing: it waits for a person.",
            action: "Correct or clear the address, then send it; or close it.",
            can_resend: true,
            can_close: true,
            ..done(format!("cannot be sent: {reason}"))
        },
        ReceiptState::Sent { .. } => match receipt.delivery_failure() {
            None => done("was sent".to_owned()),
            Some(failure) => MailState {
                automatic: "Nothing.",
                action: "Reach the customer another way, or correct the address and send it again.",
                can_resend: true,
                ..done(format!("was sent and {failure}"))
            },
        },
        ReceiptState::Withdrawn { reason } => done(format!("was withdrawn: {reason}")),
    }
}

/// Explains a mail.
#[must_use]
pub fn mail(receipt: &Receipt, zone: &TimeZone, now: Timestamp) -> Why {
    let (id, version) = (&receipt.receipt_id, receipt.version);
    let name = crate::order::attention::mail_name(receipt);
    let of = mail_state(receipt, zone, now);
    let command = |verb: &str| format!("till mail {verb} {id} --version {version} --why \"…\"");
    let commands = [(of.can_resend, "resend"), (of.can_close, "close")];
    Why {
        id: id.to_string(),
        state: receipt.state.status().to_string(),
        class: None,
        sentence: format!(
            "The {name} of order {}, made {} ago, {}.",
            receipt.order_id,
            time::age(receipt.created_at, now),
            of.state
        ),
        automatic: of.automatic.to_owned(),
        action: of.action.to_owned(),
        commands: commands
            .into_iter()
            .filter(|(can, _)| *can)
            .map(|(_, verb)| command(verb))
            .collect(),
        deadline: "None: the row is kept.".to_owned(),
    }
}

/// The explanation as text.
#[must_use]
pub fn text(why: &Why, width: usize) -> String {
    const LABEL: usize = 15;
    let mut out = crate::style::wrapped(&why.sentence, width, 2) + "\n";
    let mut line = |label: &str, text: &str| {
        if !text.is_empty() {
            let label = format!("  {label}");
            out += &(crate::style::labeled(&label, LABEL, text, width) + "\n");
        }
    };
    line("Automatic", &why.automatic);
    line("Your action", &why.action);
    line("Deadline", &why.deadline);
    for (n, command) in why.commands.iter().enumerate() {
        out += &format!("{:LABEL$}{command}\n", if n == 0 { "  Run" } else { "" });
    }
    out
}
