//! The whole flow on the deployed template: signed HTTP requests in, rows and mails out. Real functions, real
//! queues, real conditions; only Flex's API is a stand-in.

use domain::ports::{Commits as _, Entitlements as _};
use kit::prelude::*;

/// Generous: the machine may be busy with other things, and nothing here is about speed.
const SOON: Duration = Duration::from_secs(90);

/// A new purchase of new things: two of the first and one of the second.
struct Sale {
    purchase: Purchase,
    skus: [Sku; 2],
    number: u64,
}

impl Sale {
    fn new() -> Self {
        let number = number();
        let mut purchase = Purchase::numbered(number);
        let skus = [format!("BRACE-{number}"), format!("TOTE-{number}")];
        for (line, sku) in skus.iter().enumerate() {
            purchase.line_items[line]["price"]["product"]["client_reference_id"] = json!(sku);
        }
        Self {
            purchase,
            skus: skus.map(|sku| Sku::new(sku).unwrap()),
            number,
        }
    }

    async fn prepared(play: &Play, counts: [i64; 2]) -> Self {
        let sale = Self::new();
        for (sku, count) in sale.skus.iter().zip(counts) {
            play.tables
                .stock_levels
                .put_counter(sku, count)
                .await
                .unwrap();
        }
        play.sell(&sale.purchase).await.unwrap();
        sale
    }

    fn order_id(&self) -> &str {
        self.purchase.order_id()
    }

    /// An event id of this sale's.
    fn event(&self, n: u64) -> String {
        id("fevt", self.number.wrapping_mul(128).wrapping_add(n))
    }

    async fn on_hand(&self, play: &Play) -> [Option<i64>; 2] {
        let stock_levels = &play.tables.stock_levels;
        [
            stock_levels.on_hand(&self.skus[0]).await.unwrap(),
            stock_levels.on_hand(&self.skus[1]).await.unwrap(),
        ]
    }

    /// Waits until the receipt is sent, then asserts the one end state: one order, stock down once, one mail.
    async fn is_fulfilled_once(&self, play: &Play, on_hand: [i64; 2]) {
        play.sent_receipt(self.order_id(), SOON).await;
        let order = play.order(self.order_id()).await.unwrap().unwrap();
        assert_eq!(order.version, 1);
        assert_eq!(self.on_hand(play).await, on_hand.map(Some));
        let read_set = ReadSet {
            stock_levels: Some((order.order_id.clone(), self.skus.to_vec())),
            ..ReadSet::default()
        };
        let stock_levels = play
            .tables
            .store
            .read(&read_set)
            .await
            .unwrap()
            .stock_levels;
        assert!(stock_levels.iter().all(|level| level.moved.is_some()));
        assert_eq!(play.mails(self.order_id()).await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn a_paid_checkout_becomes_one_order_one_stock_movement_and_one_mail() {
    let play = play().await;
    let sale = Sale::prepared(&play, [10, 10]).await;
    let event = sale.event(0);
    let answer = play
        .deliver_signed(&sale.purchase.completed(&event))
        .await
        .unwrap();
    assert_eq!(answer.status, 200);
    assert!(!answer.abort);
    assert_eq!(answer.body.as_str(), "");
    play.until_event(&event, Processed, SOON).await.unwrap();
    sale.is_fulfilled_once(&play, [8, 9]).await;

    let order = play.order(sale.order_id()).await.unwrap().unwrap();
    assert_eq!(
        order.client_reference_id,
        Some(format!("order-{}", sale.number))
    );
    assert_eq!(order.totals.total, 6994);
    assert_eq!(order.difference, None);
    assert_eq!(order.lines.len(), 2);
    assert_eq!(order.payment_intents.len(), 2, "a split cart");
    let by_reference = kit::stack::orders_of(&play.stack, &format!("order-{}", sale.number)).await;
    assert_eq!(
        by_reference,
        [sale.order_id()],
        "found by the merchant's own number"
    );
    let mail = play.mails(sale.order_id()).await.unwrap().remove(0);
    assert_eq!(
        mail.to,
        ["support@harborandpine.example"],
        "test money: the merchant gets it, not the customer"
    );
    for part in [
        "Knee brace",
        "$51.69",
        "HSA/FSA eligible",
        "Not eligible",
        "$69.94",
    ] {
        assert!(
            mail.body_text.contains(part) && mail.body_html.contains(part),
            "{part}"
        );
    }
}

#[tokio::test]
async fn a_customer_whom_the_provider_deletes_is_erased_by_the_deployed_functions() {
    let play = play().await;
    let mut sale = Sale::new();
    let customer_id = id("fcus", sale.number);
    sale.purchase.session["customer"] = json!(customer_id);
    sale.purchase.customer["customer_id"] = json!(customer_id);
    play.sell(&sale.purchase).await.unwrap();
    play.takes(&sale.purchase.completed(&sale.event(0))).await;
    play.sent_receipt(sale.order_id(), SOON).await;
    let before = play.order(sale.order_id()).await.unwrap().unwrap();
    assert!(before.customer.email.is_some());

    let mut customer = sale.purchase.customer.clone();
    customer["test_mode"] = json!(true);
    let at = Timestamp::now().as_second();
    let body = kit::shop::event(
        "customer.deleted",
        &sale.event(1),
        at,
        "customer",
        &customer,
    );
    play.takes(&body).await;
    let erased = until("all is erased", SOON, async || {
        let blank = [
            play.event(&sale.event(0)).await?,
            play.event(&sale.event(1)).await?,
        ]
        .into_iter()
        .all(|event| event.is_some_and(|event| event.body.is_empty()));
        let order = play.order(sale.order_id()).await?;
        Ok(order.filter(|order| order.is_erased && blank))
    });
    let order = erased.await.unwrap();
    assert_eq!((order.totals, &order.lines), (before.totals, &before.lines));
    assert_eq!((order.customer.name, order.customer.email), (None, None));
    let customer_id = CustomerId::new(customer_id).unwrap();
    let contact = play.tables.store.contact(&customer_id).await.unwrap();
    assert!(contact.is_some_and(|contact| contact.erased));
}

#[tokio::test]
async fn a_shortfall_is_filled_by_the_deployed_sweep_once_its_counter_rises() {
    let play = play().await;
    let sale = Sale::prepared(&play, [10, 0]).await;
    let event = sale.event(0);
    let body = sale.purchase.completed(&event);
    play.deliver_signed(&body).await.unwrap();
    play.until_event(&event, Processed, SOON).await.unwrap();
    let tote = &sale.skus[1];
    let stock = &play.tables.stock_levels;
    stock.put_counter(tote, 4).await.unwrap();
    let is_filled = async || {
        // The index may lag behind the sale.
        play.invoke("sweep").await?;
        let order = play.order(sale.order_id()).await?;
        let shortfall = order.and_then(|order| order.shortfalls.first().cloned());
        Ok(shortfall.filter(|shortfall| shortfall.filled_at.is_some()))
    };
    let shortfall = until("the shortfall is filled", SOON, is_filled).await;
    assert_eq!(shortfall.unwrap().missing, 0);
    assert_eq!(stock.on_hand(tote).await.unwrap(), Some(3));
}

#[tokio::test]
async fn a_redelivery_and_a_twin_under_a_fresh_id_change_nothing_and_send_nothing() {
    let play = play().await;
    let sale = Sale::prepared(&play, [10, 10]).await;
    let body = sale.purchase.completed(&sale.event(0));
    play.takes(&body).await;
    sale.is_fulfilled_once(&play, [8, 9]).await;
    let before = play.order(sale.order_id()).await.unwrap();

    play.takes(&body).await;
    let twin = sale.event(1);
    play.takes(&sale.purchase.completed(&twin)).await;
    play.until_event(&twin, Processed, SOON).await.unwrap();
    assert_eq!(play.order(sale.order_id()).await.unwrap(), before);
    sale.is_fulfilled_once(&play, [8, 9]).await;
    assert_eq!(
        play.asked_for(sale.order_id()).await.unwrap(),
        3,
        "session, lines and payments, once: the twin asked nothing"
    );
}

#[tokio::test]
async fn sixty_four_deliveries_of_one_event_at_once_are_one() {
    let play = play().await;
    let sale = Sale::prepared(&play, [10, 10]).await;
    let body = sale.purchase.completed(&sale.event(0));
    let answers = join_all((0..64).map(|_| play.deliver_signed(&body))).await;
    assert!(
        answers
            .iter()
            .all(|answer| answer.as_ref().unwrap().status == 200)
    );
    play.until_event(&sale.event(0), Processed, SOON)
        .await
        .unwrap();
    sale.is_fulfilled_once(&play, [8, 9]).await;
    play.until_idle(SOON).await.unwrap();
    sale.is_fulfilled_once(&play, [8, 9]).await;
}

#[tokio::test]
async fn sixty_four_events_of_one_session_at_once_are_one() {
    let play = play().await;
    let sale = Sale::prepared(&play, [10, 10]).await;
    let bodies: Vec<_> = (0..64)
        .map(|n| sale.purchase.completed(&sale.event(n)))
        .collect();
    let answers = join_all(bodies.iter().map(|body| play.deliver_signed(body))).await;
    assert!(
        answers
            .iter()
            .all(|answer| answer.as_ref().unwrap().status == 200)
    );
    for n in 0..64 {
        play.until_event(&sale.event(n), Processed, SOON)
            .await
            .unwrap();
    }
    play.until_idle(SOON).await.unwrap();
    sale.is_fulfilled_once(&play, [8, 9]).await;
}

#[tokio::test]
async fn a_forgery_and_a_stale_replay_are_turned_away_and_leave_no_trace() {
    let play = play().await;
    let sale = Sale::prepared(&play, [10, 10]).await;
    let body = sale.purchase.completed(&sale.event(0));
    let text = String::from_utf8(body.clone()).unwrap();
    let sign = |secret: &str, at: Timestamp| kit::signed::signed_request(secret, &text, at);
    let now = Timestamp::now();
    let long_ago = now - Duration::from_secs(301);
    for (headers, status) in [
        (sign("fwhsec_c29tZWJvZHkgZWxzZSdzIHNlY3JldA==", now), 401),
        (sign(&play.stack.webhook_secret, long_ago), 401),
        (Vec::new(), 401),
    ] {
        let answer = play.deliver(body.clone(), &headers).await.unwrap();
        assert_eq!((answer.status, answer.body.as_str()), (status, ""));
    }
    assert_eq!(play.event(&sale.event(0)).await.unwrap(), None);
    assert_eq!(sale.on_hand(&play).await, [Some(10), Some(10)]);
}

#[tokio::test]
async fn what_nobody_can_read_is_kept_and_the_sender_is_told_to_stop() {
    let play = play().await;
    let body = format!("{{\"event_id\": \"fevt_unfinished_{}", number()).into_bytes();
    for _ in 0..2 {
        let answer = play.deliver_signed(&body).await.unwrap();
        assert_eq!((answer.status, answer.abort), (200, true));
    }
    let key = format!(
        "unreadable:{}",
        domain::values::fingerprint::fingerprint(&body)
    );
    let kept = play.event(&key).await.unwrap().unwrap();
    assert_eq!((kept.state, kept.body), (Unreadable, body));
}

#[tokio::test]
async fn an_unknown_type_and_another_body_under_one_id_are_kept_and_have_no_effect() {
    let play = play().await;
    let event = id("fevt", number());
    let body = |kind: &str| {
        json!({"event_id": event, "event_type": kind, "event_dt": 1_760_090_001, "object": {}})
            .to_string()
    };
    play.takes(body("some.new.type").as_bytes()).await;
    assert_eq!(play.event(&event).await.unwrap().unwrap().state, Unhandled);
    let other = body("another.new.type");
    play.takes(other.as_bytes()).await;
    let beside = format!(
        "other-body:{}",
        domain::values::fingerprint::fingerprint(other.as_bytes())
    );
    let beside = play.event(&beside).await.unwrap().unwrap();
    assert_eq!(beside.state, Parked);
    assert!(beside.reason.unwrap().contains(&event));
    assert_eq!(
        play.event(&event)
            .await
            .unwrap()
            .unwrap()
            .event_type
            .as_deref(),
        Some("some.new.type")
    );
}

#[tokio::test]
async fn a_checkout_that_is_not_complete_is_parked_with_its_reason() {
    let play = play().await;
    let mut sale = Sale::new();
    sale.purchase.session["status"] = json!("open");
    play.sell(&sale.purchase).await.unwrap();
    play.takes(&sale.purchase.completed(&sale.event(0))).await;
    let parked = play
        .until_event(&sale.event(0), Parked, SOON)
        .await
        .unwrap();
    assert_eq!(
        parked.reason.as_deref(),
        Some("the sale is `open`, not complete")
    );
    assert_eq!(play.order(sale.order_id()).await.unwrap(), None);
}

#[tokio::test]
async fn money_that_is_announced_before_the_api_shows_it_fulfills_the_order_once_it_does() {
    let play = play().await;
    let mut sale = Sale::prepared(&play, [10, 10]).await;
    let total = sale.purchase.session["amount_total"].clone();
    sale.purchase.session["amount_received"] = json!(0);
    play.sell(&sale.purchase).await.unwrap();
    let event_id = sale.event(0);
    let mut event = sample("checkout.session.async_payment_succeeded");
    event["event_id"] = json!(event_id);
    event["object"]["checkout_session"] = json!(sale.order_id());
    play.takes(event.to_string().as_bytes()).await;
    let order = async || play.order(sale.order_id()).await;
    let waits = until("the order waits for its money", SOON, order).await;
    assert_eq!(waits.unwrap().fulfilled_at, None);
    assert_eq!(sale.on_hand(&play).await, [Some(10), Some(10)]);

    sale.purchase.session["amount_received"] = total;
    play.sell(&sale.purchase).await.unwrap();
    play.until_event(&event_id, Processed, SOON).await.unwrap();
    play.sent_receipt(sale.order_id(), SOON).await;
    assert_eq!(sale.on_hand(&play).await, [Some(8), Some(9)]);
    assert_eq!(play.mails(sale.order_id()).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_cart_too_big_for_one_transaction_is_fulfilled_once() {
    let play = play().await;
    let mut sale = Sale::prepared(&play, [10, 10]).await;
    let more = (0..60).map(|n| Sku::new(format!("TOTE-{}-{n}", sale.number)).unwrap());
    let more: Vec<Sku> = more.collect();
    let mut lines = sale.purchase.line_items.as_array().unwrap().clone();
    for (n, sku) in more.iter().enumerate() {
        let mut line = lines[1].clone();
        line["line_item_id"] = json!(id("fli", n as u64));
        line["price"]["product"]["client_reference_id"] = json!(sku);
        lines.push(line);
        let stock_levels = &play.tables.stock_levels;
        stock_levels.put_counter(sku, 3).await.unwrap();
    }
    sale.purchase.line_items = json!(lines);
    play.sell(&sale.purchase).await.unwrap();
    play.takes(&sale.purchase.completed(&sale.event(0))).await;
    sale.is_fulfilled_once(&play, [8, 9]).await;
    for sku in &more {
        let on_hand = play.tables.stock_levels.on_hand(sku).await.unwrap();
        assert_eq!(on_hand, Some(2), "{sku}");
    }
}

#[tokio::test]
async fn a_paid_order_that_meets_an_empty_shelf_is_kept_with_its_shortfall() {
    let play = play().await;
    let sale = Sale::prepared(&play, [1, 5]).await;
    play.takes(&sale.purchase.completed(&sale.event(0))).await;
    sale.is_fulfilled_once(&play, [0, 4]).await;
    let order = play.order(sale.order_id()).await.unwrap().unwrap();
    let short: Vec<_> = order
        .shortfalls
        .iter()
        .map(|short| (short.sku.clone(), short.missing))
        .collect();
    assert_eq!(short, [(sale.skus[0].clone(), 1)]);
}

#[tokio::test]
async fn of_ten_messages_nine_are_worked_off_and_the_poison_one_ends_in_the_dead_letter_queue() {
    let play = play().await;
    let queues = &play.stack.queues;
    let poison = format!("poison {}", number());
    let mut sales = Vec::new();
    for _ in 0..9 {
        sales.push(Sale::prepared(&play, [10, 10]).await);
    }
    // Stored first, then queued by hand and all at once, so that they share batches with the poison.
    for sale in &sales {
        play.takes(&sale.purchase.completed(&sale.event(0))).await;
    }
    play.put_message(&queues.fulfillment, &poison)
        .await
        .unwrap();
    for sale in &sales {
        sale.is_fulfilled_once(&play, [8, 9]).await;
    }
    // Five receives, with waits of 1, 4, 16 and 64 seconds between them.
    until(
        "the poison is in the dead-letter queue",
        3 * SOON,
        async || {
            let dead = play.peek(&queues.fulfillment_dead_letter).await?;
            assert!(
                dead.iter().all(|body| body.starts_with("poison")),
                "{dead:?}"
            );
            Ok(dead.contains(&poison).then_some(()))
        },
    )
    .await
    .unwrap();
}
