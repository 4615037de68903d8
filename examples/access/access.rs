//! Reads a customer's access to a product, and its end: one `GetItem`.

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

/// Access to a product, as stored in the table.
#[derive(Debug, Serialize)]
struct Access {
    allowed: bool,
    /// In Unix seconds.
    until: Option<u64>,
    reason: Option<String>,
}

/// `now` is in Unix seconds. An error means "unknown", not "no access".
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
    // Costs half of `true`, which only a read right after a write needs.
    let get = get.consistent_read(false);
    // The first subscription creates the row; without a row, there is no access.
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
    // The time decides. The reason is for people, and new words may come.
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
    // This workspace uses the SDK without its default HTTPS client; with it, `load_defaults` is enough.
    let https = Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .build_https();
    let config = aws_config::defaults(BehaviorVersion::latest())
        .http_client(https)
        .load()
        .await;
    // Create it once: it keeps its connections.
    let dynamodb = Client::new(&config);
    let table = env::var("ENTITLEMENTS_TABLE")?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let access = access(&dynamodb, &table, customer_id, product_id, now).await?;
    println!("{}", serde_json::to_string(&access)?);
    Ok(())
}
