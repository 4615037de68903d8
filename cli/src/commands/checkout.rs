//! `till checkout create` and `till line-items`: two calls of Flex's fulfillment guide.

use crate::{
    Context,
    answers::{Checkout, LineItems},
    args::CheckoutCommand,
    backend::{ApiAnswer, ApiRequest, Backend, is_plain},
    error::{Error, Exit},
    output::Answer,
    table::{Column, table},
};
use domain::values::{
    mode::Mode,
    money::{Currency, Money},
};
use serde_json::{Value, json};

/// The error of an answer that is no success. Shows Flex's code and no other member.
fn refused(answer: &ApiAnswer, what: &str) -> Error {
    let code = ["/error/code", "/code", "/error/type"]
        .iter()
        .find_map(|path| answer.body.pointer(path)?.as_str());
    let code = code.map_or_else(String::new, |code| format!(" ({code})"));
    let exit = match answer.status {
        404 => Exit::NotFound,
        401 | 403 => Exit::Denied,
        _ => Exit::Failed,
    };
    Error::new(
        exit,
        format!("flex answers {}{code} to {what}", answer.status),
    )
    .cured_by("till doctor provider.reach")
}

pub(super) async fn create<B: Backend>(
    on: &Context<'_, B>,
    command: &CheckoutCommand,
) -> Result<Answer, Error> {
    if on.stack.mode == Mode::Live {
        return Err(
            Error::usage("a checkout for a try is never made with a live key")
                .cured_by("Use a test stack."),
        );
    }
    let body = json!({"checkout_session": session(command)});
    let request = ApiRequest::new("flex", "POST", "/v1/checkout/sessions", Some(body));
    let answer = on.backend.platform().call_provider(request).await?;
    if !matches!(answer.status, 200 | 201) {
        return Err(refused(&answer, "a new checkout"));
    }
    let of = answer.body.get("checkout_session").unwrap_or(&answer.body);
    let word = |name: &str| {
        of.get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let (id, url) = (word("checkout_session_id"), word("redirect_url"));
    let text = format!(
        "{id}\nPay here with the test card 4242 4242 4242 4242:\n  {url}\nThen:  till order {id}\n"
    );
    let data = Checkout {
        checkout_session_id: id,
        url,
    };
    Answer::of(&data, text)
}

/// The session to create, as Flex reads it.
fn session(command: &CheckoutCommand) -> Value {
    let CheckoutCommand::Create {
        price,
        quantity,
        reference,
        success_url,
    } = command;
    let mut session = json!({
        "line_items": [{"price": price, "quantity": quantity}],
        "success_url": success_url,
        "mode": "payment",
    });
    if let (Some(reference), Some(members)) = (reference, session.as_object_mut()) {
        members.insert("client_reference_id".to_owned(), json!(reference));
    }
    session
}

pub(super) async fn line_items<B: Backend>(
    on: &Context<'_, B>,
    session: &str,
) -> Result<Answer, Error> {
    if !is_plain(session) {
        return Err(Error::usage(format!("{session:?} is no checkout session")));
    }
    let path = format!("/v1/checkout/sessions/{session}/line_items");
    let request = ApiRequest::new("flex", "GET", path, None);
    let answer = on.backend.platform().call_provider(request).await?;
    if answer.status != 200 {
        return Err(refused(&answer, "the line items"));
    }
    let items = answer.body.get("line_items").and_then(Value::as_array);
    let items = items.cloned().unwrap_or_default();
    let text = items_text(&items, on.terminal.width());
    // Sold goods and amounts: no personal data.
    let data = LineItems {
        checkout_session_id: session.to_owned(),
        line_items: items,
    };
    Answer::of(&data, text)
}

fn items_text(items: &[Value], width: usize) -> String {
    if items.is_empty() {
        return "No line items.\n".to_owned();
    }
    let head = [
        ("item", Column::Text),
        ("qty", Column::Number),
        ("total", Column::Number),
        ("eligibility", Column::Text),
    ];
    table(&head, &items.iter().map(cells).collect::<Vec<_>>(), width)
}

/// Name, quantity, total and eligibility of a line item, as Flex states them.
fn cells(item: &Value) -> Vec<String> {
    let number = |name: &str| item.get(name).and_then(Value::as_i64).unwrap_or_default();
    let total = Money {
        minor: number("amount_total"),
        currency: Currency::USD,
    };
    let word = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or("–").to_owned();
    let description = item
        .get("description")
        .or_else(|| item.pointer("/price/description"));
    vec![
        word(description),
        number("quantity").to_string(),
        total.to_string(),
        word(item.get("eligibility")),
    ]
}
