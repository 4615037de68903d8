//! Whether a customer has access to a product, and until when: one `GetItem`.

use aws_config::BehaviorVersion;
use aws_sdk_dynamodb::{Client, types::AttributeValue};
use aws_smithy_http_client::{
    Builder,
    tls::{Provider, rustls_provider::CryptoMode},
};
use serde::Serialize;
use std::{
    env,
    error::Error,
    time::{SystemTime, UNIX_EPOCH},
};

/// Access to a product, as the table has it.
#[derive(Debug, Serialize)]
struct Access {
    allowed: bool,
    /// In Unix seconds.
    until: Option<u64>,
    reason: Option<String>,
}

/// `now` is in Unix seconds. An error means that nobody knows, not that there is no access.
async fn access(
    dynamodb: &Client,
    table: &str,
    customer_id: &str,
    product_id: &str,
    now: u64,
) -> Result<Access, Box<dyn Error>> {
    let get = dynamodb.get_item().table_name(table);
    let get = get.key("customer_id", AttributeValue::S(customer_id.to_owned()));
    let get = get.key("entry", AttributeValue::S(format!("product#{product_id}")));
    // Half the price of true, which is for a reader that must see what was written a moment ago.
    let get = get.consistent_read(false);
    // There is a row from the first subscription on; before, the answer is no.
    let Some(item) = get.send().await?.item else {
        return Ok(Access {
            allowed: false,
            until: None,
            reason: None,
        });
    };
    let until = item
        .get("access_until")
        .and_then(|until| until.as_n().ok())
        .ok_or("no access_until")?;
    let until = until.parse()?;
    // The time decides. The reason is for people: it may be a word that is new to this program.
    let reason = item
        .get("reason")
        .and_then(|reason| reason.as_s().ok())
        .ok_or("no reason")?;
    Ok(Access {
        allowed: now < until,
        until: Some(until),
        reason: Some(reason.clone()),
    })
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let [customer_id, product_id] = &env::args().skip(1).collect::<Vec<_>>()[..] else {
        return Err("usage: access <customer id> <product id>".into());
    };
    // This workspace has the SDK without its default HTTPS client. With it, `load_defaults` alone is enough.
    let https = Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .build_https();
    let config = aws_config::defaults(BehaviorVersion::latest())
        .http_client(https)
        .load()
        .await;
    // Make it once, since it keeps its connections.
    let dynamodb = Client::new(&config);
    let table = env::var("ENTITLEMENTS_TABLE")?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let access = access(&dynamodb, &table, customer_id, product_id, now).await?;
    println!("{}", serde_json::to_string(&access)?);
    Ok(())
}
