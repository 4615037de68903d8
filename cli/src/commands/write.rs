//! Every write: the note with operator and reason, and the plan.

use crate::{
    Context,
    args::WriteArgs,
    backend::Backend,
    danger::{self, Danger},
    error::{Error, Exit},
    mask,
};
use operator::note::Note;

/// The note of a write. The reason is asked for if it is missing.
pub(super) async fn note<B: Backend>(on: &Context<'_, B>, args: &WriteArgs) -> Result<Note, Error> {
    let why = match &args.why {
        Some(why) => why.clone(),
        None if args.dry_run => "dry run".to_owned(),
        None => on
            .terminal
            .ask("Why (kept on the row, no personal data):")
            .ok_or_else(|| Error::usage("a write needs a reason").cured_by("Add --why \"…\""))?,
    };
    if mask::looks_personal(&why) {
        return Err(
            Error::usage("the reason holds an address or a telephone number")
                .cured_by("Rows keep it and outputs print it: name the order instead."),
        );
    }
    let by = match &args.by {
        Some(by) => by.clone(),
        None => operator(on).await,
    };
    Note::new(&by, &why, on.now).map_err(|error| Error::usage(error.to_string()))
}

/// The name of the AWS session, without the part that IAM Identity Center adds; else that of the user.
async fn operator<B: Backend>(on: &Context<'_, B>) -> String {
    let session = on.backend.platform().identity().await.ok();
    let session = session.and_then(|identity| Some(identity.arn.rsplit_once('/')?.1.to_owned()));
    let user = || std::env::var("USER").unwrap_or_else(|_| "operator".to_owned());
    let name = session.filter(|name| !name.is_empty()).unwrap_or_else(user);
    // A session may be named by an address.
    match name.split_once('@') {
        Some((name, _)) => name.to_owned(),
        None => name,
    }
}

/// The plan with its operator and its reason.
pub(super) fn signed(plan: &str, note: &Note) -> String {
    format!("{}\nBy {}: {}", plan.trim_end(), note.by(), note.why())
}

/// Shows the plan with its note, and asks. A dry run ends before.
pub(super) fn confirmed<B>(
    on: &Context<'_, B>,
    danger: Danger,
    args: &WriteArgs,
    plan: &str,
    note: &Note,
) -> Result<(), Error> {
    danger::confirm(on, danger, args.yes, &signed(plan, note))
}

/// The note of a write whose plan is confirmed.
pub(super) async fn agreed<B: Backend>(
    on: &Context<'_, B>,
    danger: Danger,
    args: &WriteArgs,
    plan: &str,
) -> Result<Note, Error> {
    let note = note(on, args).await?;
    confirmed(on, danger, args, plan, &note)?;
    Ok(note)
}

/// The exit code of a write of several things.
pub(super) fn exit(failed: usize, interrupted: bool) -> Exit {
    match (failed, interrupted) {
        (_, true) => Exit::Interrupted,
        (0, false) => Exit::Done,
        _ => Exit::Failed,
    }
}

/// The commands that run a planned write, or continue a stopped one, as text.
pub(super) fn next_text(commands: &[String], dry_run: bool) -> String {
    let to = if dry_run {
        "Nothing changed. To run it"
    } else {
        "To continue"
    };
    let next = commands.iter();
    next.map(|command| format!("{to}:\n  {command}\n"))
        .collect()
}

/// A shell word: quoted if it needs it.
pub(super) fn word(text: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.:/=#@,+".contains(letter);
    if !text.is_empty() && text.chars().all(is_plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}
