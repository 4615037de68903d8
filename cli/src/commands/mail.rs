//! The readers of `till mail`.

use super::mail_write;
use crate::{
    Context,
    answers::{self, Mail, MailLine, MailPreview, Mails},
    args::MailCommand,
    backend::Backend,
    error::{Error, Exit},
    order::timeline,
    output::Answer,
    table::{Column, with_reasons},
    time, why,
};
use domain::{
    access::contact::Contact,
    ports::{Entitlements as _, Orders as _, Receipts as _},
    receipt::{Receipt, ReceiptState, ReceiptStatus},
    sale::{order::Order, statement::Customer},
    values::ids::ReceiptId,
};
use mail::{Merchant, Settings, Templates, compose};
use operator::list::{self, ReceiptRow};
use std::{collections::BTreeSet, fmt::Write as _};

pub(super) async fn run<B: Backend>(
    on: &Context<'_, B>,
    command: &MailCommand,
) -> Result<Answer, Error> {
    match command {
        MailCommand::List { status, limit } => list(on, status.as_deref(), *limit).await,
        MailCommand::Show { id } => show(on, id).await,
        MailCommand::Preview { id, html } => preview(on, id, *html).await,
        MailCommand::Resend(args) => mail_write::resend(on, args).await,
        MailCommand::Close(args) => mail_write::close(on, args).await,
        MailCommand::CorrectAddress { order, write } => mail_write::correct(on, order, write).await,
        MailCommand::ClearAddress(args) => mail_write::clear(on, args).await,
    }
}

/// The receipt of that id.
pub(super) async fn stored<B: Backend>(on: &Context<'_, B>, id: &str) -> Result<Receipt, Error> {
    let receipt = match ReceiptId::new(id) {
        Ok(id) => on.backend.store().receipt(&id).await?,
        Err(_) => None,
    };
    receipt.ok_or_else(|| {
        Error::not_found(format!("no mail {id}"))
            .cured_by("The order lists its mails: till order ID")
    })
}

/// The statuses that a list may show, in the order of urgency.
const LISTED: [ReceiptStatus; 4] = [
    ReceiptStatus::Held,
    ReceiptStatus::Failed,
    ReceiptStatus::Unsent,
    ReceiptStatus::Leased,
];

async fn list<B: Backend>(
    on: &Context<'_, B>,
    status: Option<&str>,
    limit: usize,
) -> Result<Answer, Error> {
    let wanted: Vec<_> = LISTED
        .into_iter()
        .filter(|known| status.is_none_or(|wanted| wanted == known.as_str()))
        .collect();
    if wanted.is_empty() {
        return Err(Error::usage("a status is unsent, leased, held or failed"));
    }
    let mut rows = Vec::new();
    for status in wanted {
        rows.extend(list::receipts(on.backend.store(), status, limit).await?);
    }
    let data = Mails {
        mails: rows.iter().map(MailLine::from).collect(),
    };
    let text = list_text(&rows, on.now, on.terminal.width());
    Answer::of(&data, text)
}

/// Mails as lines.
pub(super) fn list_text<'a>(rows: &'a [ReceiptRow], now: jiff::Timestamp, width: usize) -> String {
    if rows.is_empty() {
        return "No such mails.\n".to_owned();
    }
    let head = [
        ("age", Column::Whole),
        ("mail", Column::Whole),
        ("status", Column::Whole),
        ("tries", Column::Number),
    ];
    let line = |row: &'a ReceiptRow| {
        let cells = vec![
            time::age(row.created_at, now),
            row.receipt_id.to_string(),
            row.status.to_string(),
            row.attempts.to_string(),
        ];
        (cells, row.reason.as_deref())
    };
    with_reasons(&head, rows.iter().map(line).collect(), width)
}

async fn show<B: Backend>(on: &Context<'_, B>, id: &str) -> Result<Answer, Error> {
    let receipt = stored(on, id).await?;
    let history = timeline::mails(&receipt);
    let data = Mail {
        receipt_id: receipt.receipt_id.clone(),
        order_id: receipt.order_id.clone(),
        kind: receipt.kind.name(),
        status: receipt.state.status().as_str(),
        version: receipt.version,
        created_at: receipt.created_at,
        due_at: receipt.due_at,
        reopened_at: receipt.reopened_at,
        attempts: receipt.attempts,
        failure: receipt
            .delivery_failure()
            .map(|failure| failure.to_string()),
        notes: answers::notes(&receipt.notes),
        message_ids: message_ids(&receipt),
        history,
    };
    let zone = &on.stack.zone;
    let mut text = why::text(&why::mail(&receipt, zone, on.now), on.terminal.width());
    let _ = writeln!(
        text,
        "\n{:15}{}\n{:15}till order {}",
        "  Version", receipt.version, "  Order", receipt.order_id
    );
    for entry in &data.history {
        let _ = writeln!(
            text,
            "  {}  {:8}{}",
            time::full(entry.at, zone),
            entry.actor,
            entry.text
        );
    }
    Answer::of(&data, text)
}

fn message_ids(receipt: &Receipt) -> Vec<String> {
    let mut ids: BTreeSet<String> = receipt.mails.keys().map(ToString::to_string).collect();
    if let ReceiptState::Sent { message_id, .. } = &receipt.state {
        ids.insert(message_id.to_string());
    }
    ids.into_iter().collect()
}

/// The mail as it would be sent now, by the built-in templates. Name and address are masked unless revealed.
async fn preview<B: Backend>(on: &Context<'_, B>, id: &str, html: bool) -> Result<Answer, Error> {
    let receipt = stored(on, id).await?;
    let (order, contact) = recipient(on, &receipt).await?;
    let merchant = merchant(on)?;
    let templates =
        Templates::built_in().map_err(|error| Error::new(Exit::Failed, error.to_string()))?;
    let email = compose(&order, &receipt, contact.as_ref(), &merchant, &templates)
        .map_err(|error| Error::new(Exit::Failed, format!("this mail cannot be made: {error}")))?;
    let to = if on.options.reveal {
        email.to.as_str()
    } else {
        "(masked)"
    };
    let data = MailPreview {
        receipt_id: receipt.receipt_id.clone(),
        masked: !on.options.reveal,
        from: email.from.as_str().to_owned(),
        to: to.to_owned(),
        subject: email.subject.clone(),
        text: email.text.clone(),
        html: email.html.clone(),
    };
    let body = if html { &email.html } else { &email.text };
    let text = format!(
        "As it would be sent now, by the built-in templates. Stacks with a layer of templates differ.\n\nFrom: {} <{}>\n\
         To: {to}\nSubject: {}\n\n{body}\n",
        email.from_name,
        email.from.as_str(),
        email.subject,
    );
    Answer::of(&data, text)
}

/// The order of a mail, and the contact of its customer. Unless revealed, the customer is masked and the contact unread.
async fn recipient<B: Backend>(
    on: &Context<'_, B>,
    receipt: &Receipt,
) -> Result<(Order, Option<Contact>), Error> {
    let store = on.backend.store();
    let order = store.order(&receipt.order_id).await?;
    let order = order.ok_or_else(|| Error::not_found(format!("no order {}", receipt.order_id)))?;
    if !on.options.reveal {
        return Ok((masked(&order), None));
    }
    let contact = match &order.customer.customer_id {
        Some(id) => store.contact(id).await?,
        None => None,
    };
    Ok((order, contact))
}

/// The order with a masked customer.
fn masked(order: &Order) -> Order {
    let name = order.customer.name.as_deref().map(crate::mask::first);
    Order {
        is_erased: false,
        customer: Customer {
            customer_id: order.customer.customer_id.clone(),
            name,
            // Reserved: no mailbox can have it.
            email: Some("customer@masked.invalid".to_owned()),
        },
        ..order.erased()
    }
}

fn merchant<B>(on: &Context<'_, B>) -> Result<Merchant, Error> {
    let of = |name: &str| on.stack.parameter(name).unwrap_or_default();
    let settings = Settings {
        name: of("MerchantName"),
        address: of("MerchantAddress"),
        support_email: of("SupportEmail"),
        sender: of("ReceiptSender"),
        time_zone: of("MerchantTimeZone"),
        test_recipient: on.stack.parameter("TestReceiptRecipient"),
    };
    Merchant::new(settings).map_err(|error| {
        Error::new(
            Exit::Failed,
            format!("the stack's parameters make no mail: {error}"),
        )
        .cured_by("till doctor stack.parameters")
    })
}
