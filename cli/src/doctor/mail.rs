//! Checks of SES.

use super::{Check, Seen, check, fix};
use crate::{Context, backend::Backend, error::Error};
use domain::values::mode::Mode;

pub(super) fn checks<B: Backend>() -> Vec<Check<B>> {
    vec![
        check!(
            "mail.sender",
            ["aws.credentials"],
            sender,
            "Let SES mail the sender a link that verifies this address",
            fix::sender
        ),
        check!("mail.sandbox", ["aws.credentials"], sandbox),
        check!("mail.enforcement", ["aws.credentials"], enforcement),
        check!("mail.quota", ["aws.credentials"], quota),
    ]
}

/// True if this stack mails receipts. Flint mails its own.
fn mails<B>(on: &Context<'_, B>) -> bool {
    on.stack.providers().contains(&"flex") || on.stack.parameter("FlintReceipts") == Some("on")
}

async fn sender<B: Backend>(on: &Context<'_, B>) -> Result<Seen, Error> {
    let Some(sender) = on.stack.parameter("ReceiptSender").filter(|_| mails(on)) else {
        return Ok(Seen::ok("this stack mails no receipts"));
    };
    let domain = sender.rsplit_once('@').map_or(sender, |(_, domain)| domain);
    let identity = on.stack.parameter("SenderIdentity");
    // Any verified identity above the sender suffices.
    let mut names = vec![sender];
    names.extend(identity);
    names.push(domain);
    for name in names {
        if on.backend.platform().is_verified(name).await? == Some(true) {
            return Ok(Seen::ok("SES has verified the sender"));
        }
    }
    Ok(Seen::fail(
        "SES has not verified the sender of the receipts in this region",
        format!(
            "aws sesv2 create-email-identity --region {} --email-identity {domain}, then publish the records that it prints. \
                 For an address: till doctor mail.sender --fix, then press the link in the mail that SES sends.",
            on.stack.region
        ),
    ))
}

async fn sandbox<B: Backend>(on: &Context<'_, B>) -> Result<Seen, Error> {
    let account = on.backend.platform().mail_account().await?;
    if account.production || !mails(on) {
        return Ok(Seen::ok("SES is out of its sandbox"));
    }
    if on.stack.mode == Mode::Live {
        return Ok(Seen::fail(
            "SES is in its sandbox: customers get no mail",
            format!(
                "Request production access: https://console.aws.amazon.com/ses/home?region={}#/account",
                on.stack.region
            ),
        ));
    }
    let recipient = on
        .stack
        .parameter("TestReceiptRecipient")
        .or(on.stack.parameter("SupportEmail"));
    let Some(recipient) = recipient else {
        return Ok(Seen::warn(
            "SES is in its sandbox",
            "Verify the recipient of test receipts in SES.",
        ));
    };
    Ok(match on.backend.platform().is_verified(recipient).await? {
        Some(true) => Seen::ok("SES is in its sandbox, and the test recipient is verified"),
        _ => Seen::warn(
            "SES is in its sandbox, and the recipient of test receipts is not verified",
            "aws sesv2 create-email-identity --email-identity ADDRESS of TestReceiptRecipient",
        ),
    })
}

async fn enforcement<B: Backend>(on: &Context<'_, B>) -> Result<Seen, Error> {
    let account = on.backend.platform().mail_account().await?;
    Ok(match (account.sending, &*account.enforcement) {
        (true, "HEALTHY") => Seen::ok("SES sends"),
        (true, word) => Seen::warn(
            format!("SES calls the account {word}"),
            "Answer the mail of AWS about it, or mails stop.",
        ),
        (false, word) => Seen::fail(
            format!("SES has stopped sending ({word})"),
            "Answer the mail of AWS. Receipts wait up to 14 days in the dead-letter queue: till redrive receipts --dry-run",
        ),
    })
}

async fn quota<B: Backend>(on: &Context<'_, B>) -> Result<Seen, Error> {
    let account = on.backend.platform().mail_account().await?;
    let (sent, most) = (account.sent_last_day, account.most_a_day);
    let says = format!("{sent:.0} of {most:.0} mails sent within a day");
    let share = if most > 0.0 { sent / most } else { 0.0 };
    let cure = format!(
        "Request a higher quota: https://console.aws.amazon.com/ses/home?region={}#/account",
        on.stack.region
    );
    Ok(if share > 0.9 {
        Seen::fail(says, cure)
    } else if share > 0.6 {
        Seen::warn(says, cure)
    } else {
        Seen::ok(says)
    })
}
