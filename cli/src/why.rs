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
fn steps(class: Option<Class>) -> (&'static str, &'static str) {
    const RECONCILE: &str = "Reconcile retries it once if the provider lists its thing.";
    if let Some(action) = class.and_then(by_hand) {
        return ("Nothing: it waits for a person.", action);
    }
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
        Some(Class::NotRead) => (
            RECONCILE,
            "The provider refuses to show it. Look it up there; release it once it is right.",
        ),
        _ => (
            RECONCILE,
            "Release it once the reason is gone, or drop it if you handle it by hand.",
        ),
    }
}

/// A person's action for a class without automatic repair; `None` for a class that reconcile retries.
fn by_hand(class: Class) -> Option<&'static str> {
    Some(match class {
        Class::Contradicted => {
            "The event says that the subscription ended, and the API says otherwise. Compare at the provider: release it \
             once it ended there too, or drop it."
        }
        Class::OtherMode => {
            "The endpoint at the provider sends events of the other mode. Correct the endpoint, then drop the event."
        }
        Class::NotFulfilled => "Such a sale is not fulfilled here: handle it by hand, and drop it.",
        Class::Exception => {
            "Goods and receipt wait. Solve it in the provider's dashboard, or decide that the goods go out; then release \
             the event."
        }
        Class::OtherBody => {
            "Two bodies came under one event id. Compare them. If both say the same, drop this one; if both count, \
             release it."
        }
        Class::Unreadable | Class::TooLarge | Class::BadId | Class::NoSubject => {
            "This version does not understand it. Handle it by hand and drop it, or release it under a newer version."
        }
        Class::OtherCurrency => {
            "The money has another currency than the order: handle it by hand, and drop it."
        }
        Class::Away
        | Class::SetUp
        | Class::Contended
        | Class::Missing
        | Class::MailUnknown
        | Class::OutOfTime
        | Class::TooEarly
        | Class::Fault
        | Class::NotComplete
        | Class::OrderUnknown
        | Class::NoRefund
        | Class::NotRead
        | Class::Other => return None,
    })
}

/// `: reason`; empty without one.
fn because(reason: Option<&str>) -> String {
    reason.map_or_else(String::new, |reason| format!(": {reason}"))
}

/// One sentence about an event: its type, its age, the state in words, and the reason.
fn sentence(event: &StoredEvent, state: &str, zone: &TimeZone, now: Timestamp) -> String {
    let at = event.received_at;
    format!(
        "{}, received {} ago ({}), {state}{}.",
        event.event_type.as_deref().unwrap_or("An unreadable event"),
        time::age(at, now),
        time::full(at, zone),
        because(event.reason.as_deref())
    )
}

/// Explains an event.
#[must_use]
pub fn event(event: &StoredEvent, zone: &TimeZone, now: Timestamp) -> Why {
    let tries = match event.attempts {
        0 => String::new(),
        1 => " after 1 failed try".to_owned(),
        tries => format!(" after {tries} failed tries"),
    };
    let replay = || vec![format!("till event replay {} --why \"…\"", event.event_id)];
    let done = |state: &str, automatic: &str| Why {
        id: event.event_id.to_string(),
        state: event.state.to_string(),
        class: event.class.map(|class| class.to_string()),
        sentence: sentence(event, state, zone, now),
        automatic: automatic.to_owned(),
        action: String::new(),
        commands: Vec::new(),
        deadline: "None.".to_owned(),
    };
    match event.state {
        EventState::Parked => parked(event, done(&format!("parked{tries}"), "")),
        EventState::Stored => stored(event, done(&format!("not done yet{tries}"), "")),
        EventState::Committed => done(
            "committed: its effects are written, and a message may be unsent",
            "Its message goes on within minutes, else sweep does within twenty.",
        ),
        EventState::Processed => done("processed", "Nothing is left to do."),
        EventState::NotNeeded => done("not needed: this type has no effect here", "Nothing."),
        EventState::Unhandled => done("of a type that this version does not know", "Nothing."),
        EventState::Dropped => Why {
            commands: replay(),
            ..done("dropped by a person", "Nothing.")
        },
        EventState::Unreadable => Why {
            action: "Look it up in the provider's dashboard and handle it by hand, or replay it under a version that \
                     reads it."
                .to_owned(),
            commands: replay(),
            ..done("not understood", "Nothing.")
        },
    }
}

/// The explanation of a parked event.
fn parked(event: &StoredEvent, why: Why) -> Why {
    let id = &event.event_id;
    let (automatic, action) = steps(event.class);
    Why {
        automatic: automatic.to_owned(),
        action: action.to_owned(),
        commands: vec![
            format!("till event release {id} --why \"…\""),
            format!("till event drop {id} --why \"…\""),
        ],
        deadline: "None. It is kept until you release or drop it.".to_owned(),
        ..why
    }
}

/// The explanation of an event that is not done.
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

impl MailState {
    /// A state that needs no step.
    fn settled(state: String) -> Self {
        Self {
            state,
            automatic: "Nothing is left to do.",
            action: "",
            can_resend: false,
            can_close: false,
        }
    }
}

/// The state of a mail before its first attempt, or between two.
fn unsent(receipt: &Receipt, reason: Option<&str>, zone: &TimeZone, now: Timestamp) -> MailState {
    let (automatic, state) = match receipt.due_at {
        Some(day) if day > now => (
            "Sweep queues it on its day, or up to three days late.",
            format!("is due on {}", time::full(day, zone)),
        ),
        _ => (
            "It is retried, and sweep queues it again.",
            format!("is not sent yet{}", because(reason)),
        ),
    };
    MailState {
        automatic,
        ..MailState::settled(state)
    }
}

fn mail_state(receipt: &Receipt, zone: &TimeZone, now: Timestamp) -> MailState {
    let settled = MailState::settled;
    match &receipt.state {
        ReceiptState::Unsent { reason } => unsent(receipt, reason.as_deref(), zone, now),
        ReceiptState::Leased { .. } => MailState {
            automatic: "If the attempt stops, SES's feedback or the policy ReceiptOnUnknown decides.",
            ..settled("is being sent now".to_owned())
        },
        ReceiptState::Held => MailState {
            automatic: "Feedback of SES settles it, usually within minutes.",
            action: "Wait some minutes, ask the customer, then send or close it.",
            can_resend: true,
            can_close: true,
            ..settled("is held: it is unknown whether it was sent".to_owned())
        },
        ReceiptState::Failed { reason } => MailState {
            automatic: "Nothing: it waits for a person.",
            action: "Correct or clear the address, then send it; or close it.",
            can_resend: true,
            can_close: true,
            ..settled(format!("cannot be sent: {reason}"))
        },
        ReceiptState::Sent { .. } => match receipt.delivery_failure() {
            None => settled("was sent".to_owned()),
            Some(failure) => MailState {
                automatic: "Nothing.",
                action: "Reach the customer another way, or correct the address and send it again.",
                can_resend: true,
                ..settled(format!("was sent and {failure}"))
            },
        },
        ReceiptState::Withdrawn { reason } => settled(format!("was withdrawn: {reason}")),
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
