//! The writes of `till mail`. The customer notices them, so they always ask.

use super::{
    mail::stored,
    write::{confirmed, note, signed},
};
use crate::{
    Context,
    answers::{MailClearAddress, MailClose, MailCorrectAddress, MailResend},
    args::{ClearArgs, MailArgs, WriteArgs},
    backend::Backend,
    danger::Danger,
    error::{Error, Exit},
    mask,
    order::attention::mail_name,
    output::Answer,
    time,
};
use domain::{
    ports::Orders as _,
    receipt::Receipt,
    sale::order::Order,
    values::{ids::OrderId, mode::Mode},
};
use operator::{
    address::{Cleared, Corrected},
    close::Closed,
    resend::{self, Resent},
};

/// The version that the operator saw. Without a terminal and without a dry run it must be stated.
fn seen<B>(on: &Context<'_, B>, receipt: &Receipt, args: &MailArgs) -> Result<u64, Error> {
    let write = &args.write;
    match args.version {
        Some(version) => Ok(version),
        None if write.yes && !write.dry_run && !on.terminal.is_interactive() => Err(Error::usage(
            "without a terminal, this needs the version that you saw",
        )
        .cured_by(format!("Add --version {}", receipt.version))),
        None => Ok(receipt.version),
    }
}

pub(super) async fn resend<B: Backend>(
    on: &Context<'_, B>,
    args: &MailArgs,
) -> Result<Answer, Error> {
    let receipt = stored(on, &args.id).await?;
    let version = seen(on, &receipt, args)?;
    let note = note(on, &args.write).await?;
    let store = on.backend.store();
    let planned = resend::preview(store, &receipt.receipt_id, version, on.now).await?;
    if args.write.dry_run || matches!(planned, Resent::Left(_)) {
        return resent(&receipt, &planned, true);
    }
    let plan = plan(on, &receipt, &planned).await?;
    confirmed(on, Danger::CustomerNotices, &args.write, &plan, &note)?;
    let done = resend::resend(store, store, &receipt.receipt_id, version, &note).await?;
    resent(&receipt, &done, false)
}

/// The plan names the mail, its last outcome and the masked recipient.
async fn plan<B: Backend>(
    on: &Context<'_, B>,
    receipt: &Receipt,
    planned: &Resent,
) -> Result<String, Error> {
    let order = on.backend.store().order(&receipt.order_id).await?;
    let to = match order
        .as_ref()
        .map(|order| (order.mode, order.customer.email.as_deref()))
    {
        Some((Mode::Test, _)) => "the merchant's test recipient".to_owned(),
        Some((Mode::Live, Some(email))) => mask::email(email),
        _ => "the customer".to_owned(),
    };
    let last = crate::order::timeline::mails(receipt)
        .pop()
        .map_or_else(String::new, |last| {
            format!(
                " Last: {}, {}.",
                last.text,
                time::full(last.at, &on.stack.zone)
            )
        });
    Ok(format!(
        "The {} of order {}, version {}.{last}\nThis sends another mail to {to}. Has the customer looked into the spam \
         folder?\n{planned}",
        mail_name(receipt),
        receipt.order_id,
        receipt.version,
    ))
}

fn resent(receipt: &Receipt, done: &Resent, dry_run: bool) -> Result<Answer, Error> {
    let is_left = matches!(done, Resent::Left(_));
    let data = MailResend {
        receipt_id: receipt.receipt_id.clone(),
        dry_run,
        queued: !is_left && !dry_run,
        version: receipt.version,
        text: done.to_string(),
    };
    let text = if dry_run && !is_left {
        format!("Nothing changed. It would be {done}\n")
    } else {
        format!("{done}\n")
    };
    Ok(Answer::of(&data, text)?.ending_if(is_left, Exit::Failed))
}

pub(super) async fn close<B: Backend>(
    on: &Context<'_, B>,
    args: &MailArgs,
) -> Result<Answer, Error> {
    let receipt = stored(on, &args.id).await?;
    let version = seen(on, &receipt, args)?;
    let note = note(on, &args.write).await?;
    let plan = format!(
        "The {} of order {} is {}. Closing it means that no mail is sent.",
        mail_name(&receipt),
        receipt.order_id,
        receipt.state.status()
    );
    let mut data = MailClose {
        receipt_id: receipt.receipt_id,
        dry_run: args.write.dry_run,
        closed: false,
        text: None,
    };
    if data.dry_run {
        let text = format!("{}\nNothing changed.\n", signed(&plan, &note));
        return Answer::of(&data, text);
    }
    confirmed(on, Danger::Irreversible, &args.write, &plan, &note)?;
    let store = on.backend.store();
    let done = operator::close::close(store, &data.receipt_id, version, &note).await?;
    data.closed = matches!(done, Closed::Now { .. });
    data.text = Some(done.to_string());
    Ok(Answer::of(&data, format!("{done}\n"))?.ending_if(!data.closed, Exit::Failed))
}

/// An address, asked for or read from stdin. The command line would keep it in the shell's history.
fn typed<B>(on: &Context<'_, B>, question: &str) -> Result<String, Error> {
    let typed = on
        .terminal
        .ask(question)
        .unwrap_or_else(|| on.terminal.input());
    let typed = typed.trim();
    let address: Result<mail::Address, _> = typed.parse();
    // The error must not repeat the address.
    address.map_err(|error| Error::usage(format!("the address is {error}")))?;
    Ok(typed.to_owned())
}

async fn order<B: Backend>(on: &Context<'_, B>, id: &str) -> Result<Order, Error> {
    let found = crate::order::find::find(on.backend, id).await?;
    let [id] = found.orders.as_slice() else {
        return Err(Error::not_found(format!(
            "{} orders by {id:?}",
            found.orders.len()
        )));
    };
    let id: &OrderId = id;
    let order = on.backend.store().order(id).await?;
    order.ok_or_else(|| Error::not_found(format!("no order {id}")))
}

pub(super) async fn correct<B: Backend>(
    on: &Context<'_, B>,
    id: &str,
    args: &WriteArgs,
) -> Result<Answer, Error> {
    let order = order(on, id).await?;
    let email = typed(on, "New address:")?;
    let note = note(on, args).await?;
    let old = order.customer.email.as_deref();
    let old = old.map_or_else(|| "none".to_owned(), mask::email);
    let plan = format!(
        "Order {}: {old} becomes {}. The receipt of a live sale goes there; other mails use the address at the provider.",
        order.order_id,
        mask::email(&email)
    );
    let mut data = MailCorrectAddress {
        order_id: order.order_id,
        dry_run: args.dry_run,
        corrected: false,
        text: None,
    };
    if args.dry_run {
        let text = format!("{}\nNothing changed.\n", signed(&plan, &note));
        return Answer::of(&data, text);
    }
    confirmed(on, Danger::CustomerNotices, args, &plan, &note)?;
    let store = on.backend.store();
    let done =
        operator::address::correct(store, &data.order_id, order.version, &email, &note).await?;
    data.corrected = done == Corrected::Now;
    data.text = Some(done.to_string());
    let mut text = format!("{done}\n");
    for id in order.delivery_failures.keys() {
        text += &format!("Now send it again:  till mail resend {id}\n");
    }
    Ok(Answer::of(&data, text)?.ending_if(!data.corrected, Exit::Failed))
}

pub(super) async fn clear<B: Backend>(
    on: &Context<'_, B>,
    args: &ClearArgs,
) -> Result<Answer, Error> {
    let email = match &args.order {
        Some(id) => order(on, id)
            .await?
            .customer
            .email
            .ok_or_else(|| Error::not_found("the order has no address"))?,
        None => typed(on, "Address:")?,
    };
    let note = note(on, &args.write).await?;
    let store = on.backend.store();
    let clear =
        |dry_run| operator::address::clear(store, &email, args.customer_asked, dry_run, on.now);
    let planned = clear(true).await?;
    if planned == Cleared::Complained
        || (planned == Cleared::NotSuppressed && !args.ses)
        || args.write.dry_run
    {
        return cleared(&email, planned, None, args.write.dry_run);
    }
    let plan = format!(
        "{} gets mail again{}.",
        mask::email(&email),
        if args.ses { ", also by SES" } else { "" }
    );
    confirmed(on, Danger::CustomerNotices, &args.write, &plan, &note)?;
    let done = clear(false).await?;
    let at_ses = if args.ses {
        Some(on.backend.platform().unsuppress(&email).await?)
    } else {
        None
    };
    cleared(&email, done, at_ses, false)
}

fn cleared(
    email: &str,
    done: Cleared,
    at_ses: Option<bool>,
    dry_run: bool,
) -> Result<Answer, Error> {
    let is_left = done != Cleared::Now && at_ses != Some(true);
    let data = MailClearAddress {
        address: mask::email(email),
        dry_run,
        cleared: done == Cleared::Now && !dry_run,
        removed_at_ses: at_ses,
        text: done.to_string(),
    };
    let ses = match at_ses {
        Some(true) => "Removed from SES's list.\n",
        Some(false) => "It was not on SES's list.\n",
        None => "If SES suppresses it too, repeat with --ses.\n",
    };
    let dry = if dry_run {
        "Nothing changed. Then: "
    } else {
        ""
    };
    let text = format!("{}: {dry}{done}\n{ses}", mask::email(email));
    Ok(Answer::of(&data, text)?.ending_if(is_left, Exit::Failed))
}
