//! `setup`, `webhooks`, `checkout` and `line-items`.

use crate::{
    desk::{Desk, FakeTerminal},
    doctor::healthy,
};
use domain::ports::Events as _;
use kit::prelude::*;
use till::error::Exit;

#[tokio::test]
async fn setup_lets_ses_mail_a_link_to_the_sender_if_the_person_agrees() {
    for (agrees, exit) in [("y", Exit::Done), ("n", Exit::Attention)] {
        let mut desk = healthy().in_test_mode();
        desk.set("Provider", "flex");
        desk.services().verified.clear();
        desk.services()
            .verified
            .insert("owner@harborandpine.example".to_owned(), true);
        let terminal = FakeTerminal::typing(&["y", "fsk_test_1", agrees]);
        let ended = desk.till_at(&terminal, &["setup"]).await;
        let steps = ended.data()["steps"].as_array().unwrap();
        let sender = steps
            .iter()
            .find(|step| step["name"] == json!("Sender"))
            .unwrap();
        assert_eq!(sender["done"], json!(exit == Exit::Done), "{}", ended.text);
        let said = terminal.said.lock().unwrap().join("\n");
        assert!(said.contains("receipts@harborandpine.example"), "{said}");
    }
}

const NEW: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// A stack as it is right after its deployment.
fn deployed() -> Desk {
    let desk = healthy();
    desk.services().secrets.clear();
    desk.services().answers = 200;
    desk
}

#[tokio::test]
async fn setup_asks_for_what_is_missing_and_goes_on_where_it_stopped() {
    let desk = deployed();
    let dry = desk.till(&["setup", "--dry-run"]).await;
    assert_eq!(dry.exit, Exit::Attention);
    assert!(desk.services().secrets.is_empty());
    // Confirmed, then the key is typed, and the person stops at the secret.
    let stopped = desk
        .till_at(
            &FakeTerminal::typing(&["flex-live", "fsk_live1"]),
            &["setup"],
        )
        .await;
    assert_eq!(stopped.exit, Exit::Attention);
    insta::assert_snapshot!("setup_stopped", stopped.text);
    assert!(desk.services().secrets.contains_key("FlexApiKey"));
    let asked = FakeTerminal::typing(&["flex-live", NEW]);
    let rest = desk.till_at(&asked, &["setup"]).await;
    assert!(
        desk.services().secrets["FlexWebhookSecrets"]
            .text
            .contains(NEW),
        "{}",
        rest.text
    );
    let said = asked.said.lock().unwrap().join("\n");
    assert!(
        said.contains("/webhooks/flex") && !said.contains(NEW),
        "{said}"
    );
    let steps = rest.data()["steps"].as_array().unwrap();
    assert_eq!(
        steps[1]["done"],
        json!(true),
        "the key is not asked for again"
    );
}

#[tokio::test]
async fn an_endpoint_is_registered_where_the_api_does_it_and_its_secret_is_stored_unseen() {
    let mut desk = deployed();
    let answer = json!({"webhook": {"webhook_id": "fwh_1", "signing_secret": NEW}});
    desk.answer("POST /v1/webhooks", 200, answer);
    let ended = desk.confirmed(&["webhooks", "create"]).await;
    assert_eq!(ended.exit, Exit::Done, "{}", ended.text);
    assert!(!ended.text.contains(NEW) && ended.text.contains("fwh_1"));
    assert!(
        desk.services().secrets["FlexWebhookSecrets"]
            .text
            .contains(NEW)
    );
    desk.services().api.clear();
    let by_hand = desk.confirmed(&["webhooks", "create"]).await;
    assert_eq!(by_hand.exit, Exit::Failed);
    assert!(by_hand.text.contains("Events   all"), "{}", by_hand.text);
    desk.set("Provider", "flint");
    let answer = json!({"data": {"webhook_endpoint_id": "whe_1", "secret": NEW}});
    desk.answer("POST /v1/webhook-endpoints", 201, answer);
    let list = json!({"data": [{"id": "whe_1", "url": "https://old.example/hook", "enabled": false, "secret": NEW}]});
    desk.answer("GET /v1/webhook-endpoints", 200, list);
    desk.answer("DELETE /v1/webhook-endpoints/whe_1", 204, Value::Null);
    desk.confirmed(&["webhooks", "create", "--provider", "flint"])
        .await
        .exits(Exit::Done);
    let listed = desk.till(&["webhooks", "list"]).await;
    assert!(
        listed
            .text
            .contains("whe_1  https://old.example/hook  disabled")
            && !listed.text.contains(NEW)
    );
    desk.confirmed(&["webhooks", "delete", "whe_1", "--provider", "flint"])
        .await
        .exits(Exit::Done);
    desk.confirmed(&["webhooks", "delete", "whe_2", "--provider", "flint"])
        .await
        .exits(Exit::NotFound);
}

#[tokio::test]
async fn a_signed_event_without_effect_proves_url_and_secret() {
    let desk = healthy();
    desk.services().answers = 200;
    // Nothing stores it: another stack answers under this URL.
    let ended = desk.till(&["webhooks", "test"]).await.exits(Exit::Failed);
    assert!(ended.text.contains("another stack"), "{}", ended.text);
    assert!(desk.services().posted[0].0.ends_with("/webhooks/flex"));
    // The posted delivery verifies, is stored and needs nothing.
    assert_eq!(desk.deliver_posted().await, 200);
    let id = EventId::new(ended.data()["event_id"].as_str().unwrap()).unwrap();
    assert_eq!(
        desk.bundle.world.event(&id).await.unwrap().unwrap().state,
        NotNeeded
    );
    let stored = desk.till(&["webhooks", "test"]).await.exits(Exit::Done);
    insta::assert_snapshot!("webhook_test", stored.text);
    desk.services().answers = 401;
    assert_eq!(desk.till(&["webhooks", "test"]).await.exit, Exit::Failed);
}

#[tokio::test]
async fn the_needed_types_are_listed_one_a_line() {
    let desk = healthy();
    let needed = desk.till(&["webhooks", "types"]).await.text;
    let all = desk.till(&["webhooks", "types", "--all"]).await.text;
    assert!(
        needed
            .lines()
            .any(|line| line == "checkout.session.completed")
    );
    assert!(all.lines().count() > needed.lines().count());
    let shown = desk.till(&["webhooks", "show"]).await;
    insta::assert_snapshot!("webhooks_show", shown.text);
    assert_eq!(desk.till(&["webhooks", "list"]).await.exit, Exit::Usage);
}

#[tokio::test]
async fn a_checkout_is_made_in_test_mode_only_and_its_items_are_shown() {
    healthy()
        .till(&["checkout", "create", "--price", "fprice_1"])
        .await
        .exits(Exit::Usage);
    let desk = Desk::open().in_test_mode();
    let session = json!({"checkout_session": {"checkout_session_id": "fcs_9", "redirect_url": "https://checkout.withflex.com/pay/c/fcs_9"}});
    desk.answer("POST /v1/checkout/sessions", 200, session);
    let created = desk
        .till(&[
            "checkout",
            "create",
            "--price",
            "fprice_1",
            "--reference",
            "1047",
        ])
        .await;
    assert_eq!(created.exit, Exit::Done, "{}", created.text);
    insta::assert_snapshot!("checkout", created.text);
    let body = desk.services().called.last().unwrap().body.clone().unwrap();
    assert_eq!(
        body["checkout_session"]["client_reference_id"],
        json!("1047")
    );
    let items = json!({"line_items": purchase(1).line_items});
    desk.answer("GET /v1/checkout/sessions/fcs_9/line_items", 200, items);
    let shown = desk.till(&["line-items", "fcs_9"]).await;
    insta::assert_snapshot!("line_items", shown.text);
    desk.till(&["line-items", "fcs_10"])
        .await
        .exits(Exit::NotFound);
    assert_eq!(desk.till(&["line-items", "../x"]).await.exit, Exit::Usage);
}
