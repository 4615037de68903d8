use crate::{
    delivery::event::Change,
    fulfillment::{
        MailNeed, ParkReason, shipment_mail,
        testing::{End, SALE, Shop, at, completed, id, line, order_id, sale},
    },
    receipt::ReceiptKind,
    sale::shipment::{FulfillmentChange, FulfillmentFacts, Method, Package, Progress},
    values::{facts::Stated, ids::ReceiptId, provider::Party},
};
use proptest::{collection::vec, prelude::*, sample::select};

const MAIL: &str = "ful_1-shipment";

fn facts(method: Option<&str>, progress: Progress) -> FulfillmentFacts {
    FulfillmentFacts {
        progress,
        word: format!("{progress:?}"),
        method: method.map(Method::from),
        goods: [(id("brace"), 1)].into(),
        packages: vec![Package {
            tracking_number: Some("EX-1".to_owned()),
            ..Package::default()
        }],
    }
}

fn sent(progress: Progress) -> FulfillmentFacts {
    facts(Some("shipment"), progress)
}

/// A change that the provider states `second` seconds after the sale.
fn change(second: i64, facts: FulfillmentFacts) -> Change {
    Change::Fulfillment(FulfillmentChange {
        fulfillment_id: id("ful_1"),
        order_id: order_id(),
        mode: None,
        facts: Stated {
            at: Some(at(SALE + second)),
            ..facts.into()
        },
    })
}

/// A shop whose merchant wants the mail, and whose order is not known yet.
fn shop() -> Shop {
    let mut shop = Shop::selling(sale(vec![line("brace", 1, 5_000, None)]));
    shop.policy.shipment_mail = true;
    shop
}

/// The same with the order.
fn shop_with_order() -> Shop {
    let mut shop = shop();
    shop.tell(SALE, completed());
    shop
}

fn tell_all(shop: &mut Shop, all: &[FulfillmentFacts]) {
    for (second, facts) in (1..).zip(all) {
        shop.tell(SALE + second, change(second, facts.clone()));
    }
}

fn merged(shop: &Shop) -> &FulfillmentFacts {
    &shop.order().fulfillments[&id("ful_1")].value
}

fn has_mail(shop: &Shop) -> bool {
    shop.receipts().contains(&MAIL)
}

#[test]
fn a_delivery_waits_for_its_order() {
    let end = shop().tell(SALE, change(1, sent(Progress::Underway)));
    assert_eq!(end, End::Waits(ParkReason::OrderUnknown("fulfillment")));
}

#[test]
fn goods_have_a_mail_once_they_are_on_their_way() {
    use Progress::{Canceled, Completed, Failed, Preparing, Ready, Underway, Unknown, Waiting};
    let all = [
        Unknown, Waiting, Preparing, Ready, Underway, Failed, Canceled, Completed,
    ];
    for (method, with_mail) in [
        (Some("shipment"), &[Underway, Completed] as &[Progress]),
        (Some("local_delivery"), &[Underway, Completed]),
        (Some("pickup"), &[Ready]),
        (Some("digital"), &[]),
        (Some("service"), &[]),
        (Some("drone"), &[]),
        (None, &[]),
    ] {
        for progress in all {
            let mut shop = shop_with_order();
            tell_all(&mut shop, &[facts(method, progress)]);
            let is_due = with_mail.contains(&progress);
            assert_eq!(has_mail(&shop), is_due, "{method:?}, {progress:?}");
            let facts = shop.order().fulfillments.get(&id("ful_1"));
            let need = shipment_mail(facts);
            assert_eq!(need == MailNeed::Due, is_due, "{method:?}, {progress:?}");
        }
    }
}

#[test]
fn a_mail_is_needed_until_the_goods_come_no_more() {
    for (then, need) in [
        (Progress::Completed, MailNeed::Due),
        (Progress::Canceled, MailNeed::NotNeeded),
        (Progress::Failed, MailNeed::NotNeeded),
    ] {
        let mut shop = shop_with_order();
        tell_all(&mut shop, &[sent(Progress::Underway), sent(then)]);
        assert!(has_mail(&shop), "{then:?}");
        let facts = shop.order().fulfillments.get(&id("ful_1"));
        assert_eq!(shipment_mail(facts), need, "{then:?}");
    }
    assert_eq!(shipment_mail(None), MailNeed::NotNeeded);
}

#[test]
fn a_mail_goes_to_the_order_of_its_fulfillment() {
    let mut shop = shop_with_order();
    tell_all(&mut shop, &[sent(Progress::Underway)]);
    let mail = &shop.tables.receipts[&id::<ReceiptId>(MAIL)];
    let kind = ReceiptKind::Shipment {
        fulfillment_id: id("ful_1"),
    };
    assert_eq!((&mail.order_id, &mail.kind), (&order_id(), &kind));
}

#[test]
fn no_mail_is_made_unless_the_merchant_wants_it_and_sends_the_mails() {
    for (is_wanted, sender, is_made) in [
        (true, Party::Us, true),
        (false, Party::Us, false),
        (true, Party::Provider, false),
    ] {
        let mut shop = shop_with_order();
        shop.policy.shipment_mail = is_wanted;
        shop.provider.receipts = sender;
        tell_all(&mut shop, &[sent(Progress::Underway)]);
        assert_eq!(has_mail(&shop), is_made, "{is_wanted}, {sender:?}");
    }
}

#[test]
fn goods_that_left_before_the_merchant_wanted_mails_have_none() {
    let mut shop = shop_with_order();
    shop.policy.shipment_mail = false;
    tell_all(&mut shop, &[sent(Progress::Underway)]);
    shop.policy.shipment_mail = true;
    shop.tell(SALE + 2, change(2, sent(Progress::Completed)));
    assert!(!has_mail(&shop));
}

#[test]
fn an_erased_order_gets_no_mail_and_no_package() {
    let mut shop = shop_with_order();
    tell_all(&mut shop, &[sent(Progress::Preparing)]);
    let erased = shop.order().erased();
    shop.tables.orders.insert(order_id(), erased);
    for second in [2, 2] {
        shop.tell(SALE + 2, change(second, sent(Progress::Underway)));
        assert_eq!(merged(&shop).progress, Progress::Underway);
        assert_eq!(merged(&shop).packages, []);
        assert!(!has_mail(&shop));
    }
}

#[test]
fn a_mail_that_exists_is_not_made_again_after_the_row_was_lost() {
    let mut shop = shop_with_order();
    tell_all(&mut shop, &[sent(Progress::Underway)]);
    let made = shop.tables.receipts.clone();
    let order = shop.tables.orders.get_mut(&order_id()).unwrap();
    order.fulfillments.clear();
    tell_all(&mut shop, &[sent(Progress::Underway)]);
    assert_eq!(shop.tables.receipts, made);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_progress_of_a_delivery_and_its_mail_do_not_depend_on_the_order_of_arrival(
        places in vec(any::<u32>(), 10),
    ) {
        let states = [
            Progress::Waiting,
            Progress::Preparing,
            Progress::Unknown,
            Progress::Underway,
            Progress::Completed,
        ];
        let mut coming: Vec<_> = (states.iter().zip(0..)).cycle().zip(&places).collect();
        coming.sort_by_key(|(_, place)| **place);
        let mut shop = shop_with_order();
        for ((progress, second), place) in coming {
            shop.tell(i64::from(*place), change(second, sent(*progress)));
        }
        prop_assert_eq!(merged(&shop).progress, Progress::Completed);
        let mails = shop.receipts().iter().filter(|id| **id == MAIL).count();
        prop_assert_eq!(mails, 1);
    }

    #[test]
    fn however_the_events_arrive_a_fulfillment_has_one_mail_if_it_was_ever_due(
        order in vec(select(vec![0, 1, 2, 3, 4, 5]), 1..12),
        known_from in 0_usize..12,
        method in select(vec!["shipment", "pickup", "digital"]),
    ) {
        let life = [
            Progress::Waiting,
            Progress::Ready,
            Progress::Underway,
            Progress::Failed,
            Progress::Underway,
            Progress::Canceled,
        ];
        let mut shop = shop();
        let mut is_due = false;
        let mut made = None;
        for (step, place) in order.into_iter().enumerate() {
            if step == known_from {
                shop.tell(SALE, completed());
            }
            let second = i64::try_from(place).unwrap();
            shop.tell(SALE + 1, change(second, facts(Some(method), life[place])));
            is_due |= step >= known_from && merged(&shop).is_on_its_way();
            prop_assert_eq!(has_mail(&shop), is_due);
            let mail = shop.tables.receipts.get(&id::<ReceiptId>(MAIL)).cloned();
            prop_assert!(made.is_none() || made == mail);
            made = mail;
        }
    }
}
