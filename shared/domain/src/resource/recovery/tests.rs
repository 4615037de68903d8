use super::*;
use crate::{
    fulfillment::testing::id,
    resource::{checkout_session::CheckoutSessionFacts, testing::*},
};

/// Sessions, each with its successor.
fn chain(links: &[(&str, Option<&str>)]) -> BTreeMap<CheckoutSessionId, CheckoutSession> {
    let rows = links.iter().map(|(name, successor)| {
        let facts = CheckoutSessionFacts {
            successor: successor.map(id),
            ..CheckoutSessionFacts::default()
        };
        (id(name), session(name, &[facts]))
    });
    rows.collect()
}

#[test]
fn a_buyer_is_in_the_last_session_of_the_chain() {
    let first = id("cs_0");
    let end = |links: &[(&str, Option<&str>)]| match follow(&chain(links), &first) {
        Chain::Last(session) => session.id.to_string(),
        Chain::Missing(id) => format!("{id} is missing"),
        Chain::Endless => "endless".to_owned(),
    };
    assert_eq!(end(&[("cs_0", None)]), "cs_0");
    let two = [("cs_0", Some("cs_1")), ("cs_1", None)];
    assert_eq!(end(&two), "cs_1");
    assert_eq!(end(&[("cs_0", Some("cs_1"))]), "cs_1 is missing");
    assert_eq!(end(&[]), "cs_0 is missing");
    let circle = [("cs_0", Some("cs_1")), ("cs_1", Some("cs_0"))];
    assert_eq!(end(&circle), "endless");
    assert_eq!(end(&[("cs_0", Some("cs_0"))]), "endless");
}

#[test]
fn eight_successors_are_followed_and_no_more() {
    for (successors, ends) in [(8, true), (9, false)] {
        let names: Vec<_> = (0..=successors).map(|n| format!("cs_{n}")).collect();
        let links: Vec<_> = (0..names.len())
            .map(|n| (names[n].as_str(), names.get(n + 1).map(String::as_str)))
            .collect();
        let (sessions, first) = (chain(&links), id("cs_0"));
        let is_last = matches!(follow(&sessions, &first), Chain::Last(_));
        assert_eq!(is_last, ends, "{successors}");
    }
}

#[test]
fn the_list_of_recoverable_sessions_is_readable() {
    let facts = |day, status: &str| CheckoutSessionFacts {
        status: Some(status.into()),
        order_id: Some(id("ord_1001")),
        ended_at: Some(noon(3, day)),
        ..CheckoutSessionFacts::default()
    };
    let contact = |email: &str, until| CheckoutSessionFacts {
        contact: Some(ContactEmail(email.to_owned())),
        contact_until: Some(noon(3, until)),
        ..CheckoutSessionFacts::default()
    };
    let sessions = [
        session("cs_1", &[facts(2, "expired"), contact("a@example.com", 15)]),
        session("cs_2", &[facts(9, "expired"), contact("b@example.com", 31)]),
        session("cs_3", &[facts(11, "expired")]),
        session("cs_4", &[facts(12, "paid"), contact("c@example.com", 31)]),
    ];
    let zone = TimeZone::get("America/New_York").unwrap();
    let list = recoverable(&sessions, noon(3, 16));
    insta::assert_snapshot!(text(&list, &zone));
}
