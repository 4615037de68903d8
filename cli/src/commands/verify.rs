//! `till event verify`: would this delivery verify here? Names the check that fails.

use super::secrets::webhooks;
use crate::{
    Context,
    answers::Verified,
    backend::Backend,
    error::{Error, Exit},
    output::Answer,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use serde_json::Value;
use std::{collections::BTreeMap, path::Path};

/// A delivery in a file: an event of API Gateway, or headers and body.
struct Delivery {
    provider: String,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

fn read(path: &Path) -> Result<Delivery, Error> {
    let bad = |what: &str| Error::usage(format!("{} {what}", path.display()));
    let text =
        std::fs::read_to_string(path).map_err(|error| bad(&format!("cannot be read: {error}")))?;
    let event: Value = serde_json::from_str(&text).map_err(|_| bad("is not JSON"))?;
    let headers = event
        .get("headers")
        .and_then(Value::as_object)
        .ok_or_else(|| bad("has no headers"))?;
    let lower =
        |(name, value): (&String, &Value)| Some((name.to_lowercase(), value.as_str()?.to_owned()));
    let headers: BTreeMap<String, String> = headers.iter().filter_map(lower).collect();
    let body = event
        .get("body")
        .and_then(Value::as_str)
        .ok_or_else(|| bad("has no body"))?;
    let body = if event.get("isBase64Encoded") == Some(&Value::Bool(true)) {
        STANDARD
            .decode(body)
            .map_err(|_| bad("has a body that is not base64"))?
    } else {
        body.as_bytes().to_vec()
    };
    let named = event
        .pointer("/pathParameters/provider")
        .and_then(Value::as_str);
    let flint = headers
        .get("webhook-id")
        .is_some_and(|id| id.starts_with("whev_"));
    let provider = named
        .unwrap_or(if flint { "flint" } else { "flex" })
        .to_owned();
    Ok(Delivery {
        provider,
        headers,
        body,
    })
}

/// The two checks of a delivery: `Err` has the reason.
struct Checked {
    signature: Result<(), String>,
    time: Result<(), String>,
}

fn check(delivery: &Delivery, secrets: &[String], now: Timestamp) -> Result<Checked, Error> {
    let adapter = providers::unconnected(&delivery.provider).map_err(Error::usage)?;
    let lookup = |header: &str| delivery.headers.get(header).map(String::as_str);
    let stated = ["svix-timestamp", "webhook-timestamp"]
        .iter()
        .find_map(|name| lookup(name));
    let stated = stated.and_then(|text| text.parse().ok());
    let stated = stated.and_then(|second| Timestamp::from_second(second).ok());
    let fresh = adapter.check(&lookup, &delivery.body, now);
    // An old delivery may still be genuine: check the signature as of the stated time.
    let at = if fresh.is_ok() {
        now
    } else {
        stated.unwrap_or(now)
    };
    let signature = match adapter.check(&lookup, &delivery.body, at) {
        Err(refusal) => Err(refusal.to_string()),
        Ok(unverified) => {
            let keys = secrets.iter();
            let keys = keys.filter_map(|secret| adapter.signing_key(secret).ok());
            let verified = unverified.verify(&keys.collect::<Vec<_>>());
            verified.map(drop).map_err(|refusal| refusal.to_string())
        }
    };
    let time = fresh.map(drop).map_err(|refusal| refusal.to_string());
    Ok(Checked { signature, time })
}

impl Checked {
    /// The verdict and what to do.
    fn verdict(&self) -> (&'static str, &'static str) {
        match (&self.signature, &self.time) {
            (Ok(()), Ok(())) => ("it verifies", ""),
            (Ok(()), Err(_)) => (
                "genuine, and too old: the same delivery would be refused now",
                "The provider redelivers with a new time. For a sample: till event new TYPE --sign",
            ),
            (Err(_), Ok(())) => (
                "refused: no secret of the stack made this signature, or the bytes changed",
                "Compare the secret: till secrets status",
            ),
            (Err(_), Err(_)) => ("refused", "Compare headers and secret: till secrets status"),
        }
    }
}

pub(super) async fn verify<B: Backend>(on: &Context<'_, B>, file: &Path) -> Result<Answer, Error> {
    let delivery = read(file)?;
    let secrets = webhooks(on, &delivery.provider).await?;
    let checked = check(&delivery, &secrets, on.now)?;
    let (verdict, cure) = checked.verdict();
    let is_good = checked.signature.is_ok() && checked.time.is_ok();
    let data = Verified {
        provider: delivery.provider.clone(),
        secrets: secrets.len(),
        verifies: is_good,
        signature: checked.signature.as_ref().err().cloned(),
        time: checked.time.as_ref().err().cloned(),
        verdict,
    };
    let mut text = format!("{verdict}\n");
    for (check, result) in [("Signature", &checked.signature), ("Time", &checked.time)] {
        let result = result
            .as_ref()
            .map_or_else(Clone::clone, |()| "ok".to_owned());
        text += &format!("  {check:12}{result}\n");
    }
    if !cure.is_empty() {
        text += &format!("  {cure}\n");
    }
    Ok(Answer::of(&data, text)?.ending_if(!is_good, Exit::Attention))
}
