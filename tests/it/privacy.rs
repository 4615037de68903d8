//! Personal data: marked texts go through the whole product, are exported, and are erased.

use domain::{
    ports::EntitlementAdmin as _,
    resource::{
        Resource, ResourceChange,
        checkout_session::{CheckoutSessionFacts, ContactEmail},
        payment_method::PaymentMethodFacts,
    },
    sale::shipment::{FulfillmentFacts, Method, Package, Progress},
    upkeep::privacy::{PERSONAL, Personal},
    values::{
        facts::Fact,
        ids::{CheckoutSessionId, FulfillmentId, PaymentMethodId},
    },
};
use kit::prelude::*;
use operator::{
    customer::{self, Person},
    note::Note,
};

/// Part of every personal text of this story, and of no other text.
const MARK: &str = "CANARY";
const CUSTOMER: &str = "fcus_01K76N0000000000000000000C";

/// A purchase whose customer is marked everywhere.
fn marked() -> Purchase {
    let mut purchase = purchase(1);
    let customer = &mut purchase.customer;
    customer["first_name"] = json!("CANARY-first");
    customer["last_name"] = json!("CANARY-last");
    customer["email"] = json!("CANARY@example.com");
    customer["phone"] = json!("+1555CANARY");
    let session = &mut purchase.session;
    session["customer_email"] = json!("CANARY@example.com");
    session["metadata"] = json!({"note": "CANARY rings twice"});
    session["shipping_details"] = json!({
        "name": "CANARY-recipient", "phone": "CANARY-phone",
        "address": {"line1": "1 CANARY St", "city": "CANARY city", "postal_code": "CANARY 7"},
    });
    purchase
}

fn event(kind: &str, event_id: &str, thing: Value) -> Delivery {
    Delivery::live(kind, event_id, 1_760_100_000, thing)
}

/// A sale, a refund whose mail bounces, and news of the customer.
async fn story() -> Bundle {
    let bundle = open_shop(OnUnknown::Resend);
    let bought = marked();
    bundle.provider_has(&sale(&bought));
    bundle.play(&Delivery::of(&bought, "fevt_1")).await;
    let mut refund = sample("refund.updated")["object"]["refund"].take();
    refund["payment_intent_id"] = bought.session["payment_intents"][1].clone();
    refund["metadata"] = json!({"reason": "CANARY did not like it"});
    bundle
        .play(&event("refund.updated", "fevt_2", refund))
        .await;
    let news = bought.customer.clone();
    bundle
        .play(&event("customer.updated", "fevt_3", news))
        .await;
    mirror(&bundle.world, &sale(&bought).order_id);
    ships(&bundle.world, &sale(&bought).order_id);
    // An order of another customer.
    let mut other = purchase(2);
    other.session["customer"] = json!("fcus_other");
    other.customer["customer_id"] = json!("fcus_other");
    bundle.provider_has(&sale(&other));
    bundle.play(&Delivery::of(&other, "fevt_4")).await;
    bundle
}

/// The provider's session for the order of [`marked`], and a payment method of its customer.
fn mirror(world: &World, order_id: &OrderId) {
    let session = CheckoutSessionFacts {
        order_id: Some(order_id.clone()),
        contact: Some(ContactEmail("CANARY@example.com".to_owned())),
        ..CheckoutSessionFacts::default()
    };
    let method = PaymentMethodFacts {
        customer_id: CustomerId::new(CUSTOMER).ok(),
        ..PaymentMethodFacts::default()
    };
    let changes = [
        ResourceChange::CheckoutSession {
            id: CheckoutSessionId::new("cs_1").unwrap(),
            facts: Box::new(session.into()),
        },
        ResourceChange::PaymentMethod {
            id: PaymentMethodId::new("pm_1").unwrap(),
            facts: method.into(),
        },
    ];
    for change in changes {
        let row = Resource::learn(None, &kit::flex_id(), &change, world.now()).next();
        world.kept().resources.insert(row.id(), row);
    }
}

/// A package of that order. Flex reports none, and Flint does.
fn ships(world: &World, order_id: &OrderId) {
    let text = |text: &str| Some(text.to_owned());
    let facts = FulfillmentFacts {
        progress: Progress::Underway,
        word: "dispatched".to_owned(),
        method: Some(Method::Shipment),
        goods: BTreeMap::new(),
        packages: vec![Package {
            carrier: text("CANARY Post"),
            tracking_number: text("CANARY-1"),
            tracking_url: text("https://track.example.com/CANARY-1"),
        }],
    };
    let fact = Fact::new(world.now(), facts);
    let id = FulfillmentId::new("ful_1").unwrap();
    let mut kept = world.kept();
    let order = kept.orders.get_mut(order_id).unwrap();
    order.fulfillments.insert(id, fact);
}

/// Every row, by its table.
fn rows(kept: &Kept) -> Vec<(&'static str, Value)> {
    fn row(value: &impl serde::Serialize) -> Value {
        serde_json::to_value(value).unwrap()
    }
    let mut rows = Vec::new();
    rows.extend(kept.orders.values().map(|order| ("Orders", row(order))));
    rows.extend(kept.links.values().map(|link| ("Links", row(link))));
    rows.extend(kept.references.values().map(|named| ("Links", row(named))));
    let marks = kept.marks.keys();
    rows.extend(marks.map(|address| ("Links", json!({"address#…": address.to_string()}))));
    rows.extend(
        kept.receipts
            .values()
            .map(|receipt| ("Receipts", row(receipt))),
    );
    rows.extend(
        kept.subscription_rows
            .values()
            .map(|one| ("Entitlements", row(one))),
    );
    rows.extend(
        kept.entitlements
            .values()
            .map(|one| ("Entitlements", row(one))),
    );
    rows.extend(kept.resources.values().map(|resource| {
        let kind = resource.id().parts().0;
        ("Resources", json!({format!("{kind}: "): row(resource)}))
    }));
    let contacts = kept.contacts.values();
    rows.extend(contacts.map(|contact| ("Entitlements", json!({"contact: ": row(contact)}))));
    rows.extend(kept.events.values().map(|event| {
        let body = String::from_utf8_lossy(&event.body).into_owned();
        let (reason, notes) = (&event.reason, &event.notes);
        (
            "Events",
            json!({"body": body, "reason": reason, "notes": notes}),
        )
    }));
    rows
}

/// The paths of the marked texts of a row.
fn paths(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    let below = |name: &str| match path {
        "" => name.to_owned(),
        path if path.ends_with(' ') => format!("{path}{name}"),
        path => format!("{path}.{name}"),
    };
    match value {
        Value::String(text) if text.contains(MARK) => {
            found.insert(path.to_owned());
        }
        Value::Array(all) => all.iter().for_each(|one| paths(one, &below("[]"), found)),
        Value::Object(all) => {
            for (name, one) in all {
                if name.contains(MARK) {
                    found.insert(below("(name)"));
                }
                paths(one, &below(name), found);
            }
        }
        _ => {}
    }
}

/// The places of all marked texts, by table and path.
fn marks(kept: &Kept) -> BTreeSet<(&'static str, String)> {
    let of = |(table, row): (&'static str, Value)| {
        let mut found = BTreeSet::new();
        paths(&row, "", &mut found);
        found.into_iter().map(move |path| (table, path))
    };
    rows(kept).into_iter().flat_map(of).collect()
}

fn note() -> Note {
    Note::new("ops", "asked to", Timestamp::UNIX_EPOCH).unwrap()
}

fn person() -> Person {
    Person::Customer(CustomerId::new(CUSTOMER).unwrap())
}

#[tokio::test]
async fn every_attribute_with_personal_data_is_in_the_one_list() {
    let bundle = story().await;
    let found = marks(&bundle.world.kept());
    let is_listed = |table: &str, path: &str, entry: &Personal| {
        entry.table == table && path.starts_with(entry.attribute)
    };
    for (table, path) in &found {
        assert!(
            PERSONAL.iter().any(|entry| is_listed(table, path, entry)),
            "{table}: {path}"
        );
    }
    let is_met = |entry: &&Personal| {
        found.iter().any(|(table, path)| is_listed(table, path, entry))
            // The last digits of a card cannot be marked, and a hash shows no mark.
            || ["details.payment_methods", "address#…"].contains(&entry.attribute)
    };
    let unmet: Vec<_> = PERSONAL.iter().filter(|entry| !is_met(entry)).collect();
    assert_eq!(unmet, Vec::<&Personal>::new(), "{found:?}");
}

#[tokio::test]
async fn what_is_exported_is_erased_everywhere_and_ids_and_amounts_stay() {
    let bundle = story().await;
    let world = &bundle.world;
    let before = world.kept().orders.clone();
    let exported = customer::export(world, &person()).await.unwrap().to_json();
    let exported = exported.to_string();
    for text in [
        "CANARY-first",
        "CANARY@example.com",
        "1 CANARY St",
        "CANARY rings twice",
        "CANARY did not",
        "cs_1",
        "pm_1",
    ] {
        assert!(exported.contains(text), "{text}: {exported}");
    }
    let trial = customer::erase(world, &person(), true, &note())
        .await
        .unwrap();
    assert_eq!(world.kept().orders, before, "a dry run writes nothing");
    let erased = customer::erase(world, &person(), false, &note())
        .await
        .unwrap();
    assert_eq!(
        (&erased.orders, &erased.events),
        (&trial.orders, &trial.events)
    );
    assert_eq!(
        (erased.orders.len(), erased.events.len(), erased.open.len()),
        (1, 3, 0)
    );
    {
        let kept = world.kept();
        assert_eq!(marks(&kept), BTreeSet::new());
        let is_money = |row: &&Resource| matches!(row, Resource::Transaction(_));
        // Movements of money stay: they name no person.
        assert_eq!(
            kept.resources.values().filter(|row| !is_money(row)).count(),
            2
        );
        assert!(kept.resources.values().any(|row| is_money(&row)));
        for (id, order) in &kept.orders {
            let was = &before[id];
            assert_eq!((order.totals, order.paid()), (was.totals, was.paid()));
            assert_eq!(order.customer.customer_id, was.customer.customer_id);
            assert_eq!(order.refunds, was.refunds);
        }
        let other = kept.orders.values().find(|order| !order.is_erased).unwrap();
        assert!(other.customer.email.is_some(), "nobody else is erased");
        let fingerprints = kept
            .events
            .values()
            .all(|event| !event.fingerprint.is_empty());
        assert!(fingerprints && kept.events.len() == 4);
    }
    assert_eq!(erased.checkout_sessions, trial.checkout_sessions);
    assert_eq!(erased.checkout_sessions.len(), 1);
    let again = customer::erase(world, &person(), false, &note())
        .await
        .unwrap();
    assert_eq!(
        (again.orders.len(), again.events.len(), again.contact),
        (0, 0, false)
    );
    assert_eq!(again.checkout_sessions, []);
}

#[tokio::test]
async fn an_erasure_that_fails_or_stops_anywhere_is_finished_by_the_next_one() {
    let erase = async |world: &World| customer::erase(world, &person(), false, &note()).await;
    let undisturbed = story().await;
    let before = undisturbed.world.kept().calls.len();
    erase(&undisturbed.world).await.unwrap();
    let calls = undisturbed.world.kept().calls.len() - before;
    assert!(calls > 5);
    for n in 0..calls {
        for fault in [FailBefore, FailAfter, StopBefore, StopAfter] {
            let bundle = story().await;
            bundle.strike_next(n, fault);
            let _ = bundle.world.run(erase(&bundle.world)).await;
            erase(&bundle.world).await.unwrap();
            let left = marks(&bundle.world.kept());
            assert_eq!(left, BTreeSet::new(), "{fault:?} at call {n}");
        }
    }
}

/// The provider's event that deletes the customer of [`story`].
fn deletion() -> Delivery {
    event("customer.deleted", "fevt_d", marked().customer)
}

#[tokio::test]
async fn a_customer_whom_the_provider_deletes_is_erased_everywhere_whatever_fails() {
    let undisturbed = story().await;
    let before = undisturbed.world.kept().calls.len();
    undisturbed.play(&deletion()).await;
    let calls = undisturbed.world.kept().calls.len() - before;
    let end = undisturbed.end();
    assert_eq!(marks(&undisturbed.world.kept()), BTreeSet::new());
    assert_eq!(end.mails.len(), 3, "a deletion is mailed to nobody");
    // Without the first calls, which are intake's: the provider delivers again.
    for n in 2..calls {
        for fault in [FailBefore, FailAfter] {
            let bundle = story().await;
            bundle.strike_next(n, fault);
            bundle.play(&deletion()).await;
            let left = marks(&bundle.world.kept());
            assert_eq!(left, BTreeSet::new(), "{fault:?} at call {n}");
        }
    }
}

#[tokio::test]
async fn an_erasure_goes_on_where_it_stopped_and_leaves_open_events_to_the_next() {
    let bundle = story().await;
    let world = &bundle.world;
    for n in 0..30 {
        let other = StoredEvent {
            event_id: EventId::new(format!("fevt_other_{n:02}")).unwrap(),
            ..world.kept().events.values().next().unwrap().clone()
        };
        world.kept().events.insert(other.event_id.clone(), other);
    }
    let parked = EventId::new("fevt_other_15").unwrap();
    let state = |state| world.kept().events.get_mut(&parked).unwrap().state = state;
    state(EventState::Parked);
    let (mut after, mut jobs, mut open) = (None, 0, Vec::new());
    loop {
        let (person, note) = (person(), note());
        let erased = customer::erase_until(world, &person, after, None, &note, || true);
        let erased = erased.await.unwrap();
        (jobs, after) = (jobs + 1, erased.next);
        open.extend(erased.open);
        if after.is_none() {
            break;
        }
    }
    assert!(jobs > 1);
    assert_eq!(open, std::slice::from_ref(&parked));
    state(EventState::Dropped);
    let again = customer::erase(world, &person(), false, &note())
        .await
        .unwrap();
    assert_eq!(
        (again.events, again.open),
        (vec![parked.clone()], Vec::new())
    );
    assert_eq!(marks(&world.kept()), BTreeSet::new());
}

#[tokio::test]
async fn a_deletion_whose_contact_another_attempt_has_erased_is_erased_everywhere_whatever_fails() {
    let story = async || {
        let bundle = story().await;
        let world = &bundle.world;
        let contact = world.kept().contacts.values().next().unwrap().clone();
        assert_eq!(world.erase_contact(&contact).await, Ok(Changed::Now));
        assert_ne!(marks(&world.kept()), BTreeSet::new());
        bundle
    };
    let undisturbed = story().await;
    let before = undisturbed.world.kept().calls.len();
    undisturbed.play(&deletion()).await;
    let calls = undisturbed.world.kept().calls.len() - before;
    for n in 2..calls {
        for fault in [FailBefore, FailAfter] {
            let bundle = story().await;
            bundle.strike_next(n, fault);
            bundle.play(&deletion()).await;
            let left = marks(&bundle.world.kept());
            assert_eq!(left, BTreeSet::new(), "{fault:?} at call {n}");
        }
    }
}

#[tokio::test]
async fn a_guest_is_exported_and_erased_by_the_order() {
    let bundle = open_shop(OnUnknown::Resend);
    let bought = marked();
    let mut sold = sale(&bought);
    sold.customer.customer_id = None;
    bundle.provider_has(&sold);
    let mut delivery = Delivery::of(&bought, "fevt_1");
    delivery.body = delivery.body.replace(CUSTOMER, "");
    bundle.play(&delivery).await;
    mirror(&bundle.world, &sold.order_id);
    let guest = Person::Guest(sold.order_id.clone());
    let exported = customer::export(&bundle.world, &guest).await.unwrap();
    let exported = exported.to_json().to_string();
    assert!(exported.contains("CANARY@example.com") && exported.contains("1 CANARY St"));
    let erased = customer::erase(&bundle.world, &guest, false, &note())
        .await
        .unwrap();
    assert_eq!((erased.orders.len(), erased.contact), (1, false));
    assert_eq!(marks(&bundle.world.kept()), BTreeSet::new());
    assert!(bundle.world.kept().contacts.is_empty());
}

#[tokio::test]
async fn what_comes_after_the_deletion_brings_no_data_back() {
    let bundle = open_shop(OnUnknown::Resend);
    let bought = marked();
    customer::erase(&bundle.world, &person(), false, &note())
        .await
        .unwrap();
    bundle.provider_has(&sale(&bought));
    bundle.play(&Delivery::of(&bought, "fevt_1")).await;
    let news = bought.customer.clone();
    bundle
        .play(&event("customer.updated", "fevt_3", news))
        .await;
    assert!(bundle.order(1).is_erased);
    let kept = bundle.world.kept();
    let found = marks(&kept);
    assert!(
        found.iter().all(|(table, _)| *table == "Events"),
        "{found:?}"
    );
    // The receipt cannot be sent to anybody.
    let states: Vec<_> = kept
        .receipts
        .values()
        .map(|receipt| receipt.state.status())
        .collect();
    assert_eq!(states, [ReceiptStatus::Withdrawn]);
}

#[test]
fn the_document_has_the_list() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/privacy.md");
    let text = std::fs::read_to_string(file).unwrap();
    let rows: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("| "))
        .skip(1)
        .collect();
    let expected: Vec<String> = PERSONAL
        .iter()
        .map(
            |Personal {
                 table,
                 attribute,
                 what,
                 left,
             }| { format!("| {table} | `{attribute}` | {what} | {left} |") },
        )
        .collect();
    assert_eq!(rows, expected);
}
