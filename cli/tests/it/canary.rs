//! No personal data and no secret in any output, unless revealed.

use crate::{
    desk::{Desk, FakeTerminal, KEY},
    order::rich,
};
use kit::{prelude::*, story::SECRET};

/// Every command that reads, and every write as it fails, in a dry run, and confirmed.
fn commands(customer: &str) -> Vec<Vec<String>> {
    let order = purchase(1).order_id().to_owned();
    let texts = [
        "order order-1",
        "order order-1 --logs",
        "order order-1 --for-customer",
        "order pat@example.com",
        "order 1052",
        "order fcs_unknown",
        "orders",
        "status",
        "why fevt_1",
        "why fre_1-refund",
        "why none",
        "events",
        "events --stuck",
        "event show fevt_1",
        "event body fevt_1",
        "event release fevt_1 --dry-run",
        "event replay fevt_1 --yes --why check",
        "event drop fevt_1 --yes --stack flex-live --why check",
        "replay --since 2025-01-01 --dry-run",
        "redrive receipts --dry-run",
        "mail list",
        "mail show fre_1-refund",
        "mail preview fre_1-refund",
        "mail preview ORDER-order --html",
        "mail resend fre_1-refund --dry-run",
        "mail resend fre_1-refund --why check",
        "mail correct-address order-1 --dry-run",
        "mail correct-address order-1 --yes --why check",
        "mail clear-address --dry-run",
        "mail clear-address order-1 --ses --yes --why check",
        "stock list",
        "stock show BRACE-M",
        "stock history BRACE-M",
        "stock export",
        "stock import - --dry-run",
        "stock receive BRACE-M 1 --dry-run",
        "stock map fprod_1 GEL --dry-run",
        "access CUSTOMER",
        "journal 2026-03",
        "receivables",
        "logs",
        "logs fevt_1",
        "announce --since 2025-01-01 --dry-run",
        "reconcile --dry-run",
        "sweep --dry-run",
        "pause intake --dry-run",
        "resume intake --dry-run",
        "secrets status",
        "secrets put api-key --dry-run",
        "secrets put webhook --dry-run",
        "secrets put webhook --yes --stack flex-live --why check",
        "secrets rotate --dry-run",
        "secrets rotate --finish --dry-run",
        "customer export CUSTOMER",
        "customer erase CUSTOMER --dry-run",
        "whoami",
        "event new refund.created --sign --as api-gateway",
        "doctor",
        "setup --dry-run",
        "webhooks show",
        "webhooks types",
        "webhooks test",
        "webhooks create --dry-run",
        "webhooks rotate --dry-run",
        "webhooks rotate --yes --stack flex-live --why check",
        "checkout create --price fprice_1",
        "line-items fcs_1",
    ];
    let fill = |word: &str| word.replace("ORDER", &order).replace("CUSTOMER", customer);
    texts
        .iter()
        .map(|text| text.split(' ').map(fill).collect())
        .collect()
}

/// The texts that no output may have.
fn canaries(desk: &Desk) -> Vec<String> {
    let order = desk.bundle.order(1);
    let mut all: Vec<String> = [
        order.customer.email,
        order.customer.name,
        order.details.phone,
    ]
    .into_iter()
    .flatten()
    .collect();
    if let Some(shipping) = order.details.shipping {
        all.extend(shipping.name);
        all.extend(shipping.address.and_then(|address| address.line1));
    }
    all.extend([KEY, SECRET, "new@example.org", "pat@", "Pat Doe"].map(str::to_owned));
    all
}

#[tokio::test]
async fn no_command_shows_personal_data_or_a_secret() {
    let inputs = ["new@example.org", SECRET, KEY, "sku,on_hand\nBRACE-M,3\n"];
    let customer = rich().await.customer();
    for args in commands(&customer) {
        for input in inputs {
            let desk = rich().await;
            let canaries = canaries(&desk);
            assert!(canaries.len() >= 6, "{canaries:?}");
            for interactive in [false, true] {
                let terminal = FakeTerminal {
                    interactive,
                    input: input.to_owned(),
                    answers: std::sync::Mutex::new([input.to_owned(), "y".to_owned()].into()),
                    ..FakeTerminal::default()
                };
                let args: Vec<&str> = args.iter().map(String::as_str).collect();
                let ended = desk.till_at(&terminal, &args).await;
                let said = terminal.said.lock().unwrap().join("\n");
                for canary in &canaries {
                    for output in [&ended.text, &ended.json.to_string(), &said] {
                        assert!(
                            !output.contains(canary.as_str()),
                            "{args:?} shows {canary:?}: {output}"
                        );
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn every_answer_is_one_envelope_with_its_schema() {
    let desk = rich().await;
    for args in commands(&desk.customer()) {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let json = desk.till(&args).await.json;
        let schema = json["schema"].as_str().unwrap_or_default();
        assert!(
            schema.starts_with("till.") && schema.ends_with("/1"),
            "{args:?}: {json}"
        );
        let is_whole = json["error"].is_string()
            || (json["stack"]["name"] == json!("flex-live") && !json["data"].is_null());
        assert!(is_whole, "{args:?}: {json}");
    }
}
