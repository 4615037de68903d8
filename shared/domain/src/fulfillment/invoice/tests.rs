use crate::{
    access::{
        purchase::AccessPolicy,
        subscription::{Bill, InvoiceEvent, Reason, Source, SubscriptionFacts},
    },
    delivery::event::Change,
    fulfillment::{ParkReason, Patience, testing::*},
    sale::{
        details::{Details, Shipping},
        mapping::{Grant, MappingKey, MappingRow},
        order::{Order, OrderKind, OrderState, Period},
        shop::ShopFilter,
        statement::{Certification, Customer, Eligibility, Sale, SaleKind},
        stock::{LineStock, RenewalStock},
    },
    values::{ids::Grantor, money::Currency},
};

const PERIOD: i64 = 30 * DAY;
const FIRST: (i64, i64) = (SALE, SALE + PERIOD);
const SECOND: (i64, i64) = (SALE + PERIOD, SALE + 2 * PERIOD);
const PRICE: i64 = 4999;

/// A shop that has sold a subscription to the gym with a brace beside it. The provider shows the second period.
fn begun() -> Shop {
    let mut shop = Shop::selling(Sale {
        kind: SaleKind::Subscription,
        subscription_id: Some(id("fsub_1")),
        invoice_id: Some(id("fin_1")),
        customer: Customer {
            email: Some("pat@example.com".to_owned()),
            ..customer()
        },
        details: Details {
            phone: Some("+1 555 0100".to_owned()),
            shipping: Some(Shipping {
                option: Some("Ground".to_owned()),
                amount: Some(500),
                ..Shipping::default()
            }),
            ..Details::default()
        },
        ..sale(vec![
            line("gym", 1, PRICE, None),
            line("brace", 1, 2499, Some("BRACE")),
        ])
    });
    shop.tables
        .mapping
        .insert(MappingKey::Product(id("fprod_gym")), maps_to("BOX"));
    shop.tables.counters.insert(sku("BOX"), 10);
    shows(&mut shop, "fprod_gym", SECOND.1);
    assert_eq!(shop.tell(SALE, completed()), End::Done);
    shop
}

fn customer() -> Customer {
    Customer {
        customer_id: Some(id("fcus_1")),
        ..Customer::default()
    }
}

fn maps_to(name: &str) -> MappingRow {
    MappingRow {
        maps_to: Some(sku(name)),
        ..MappingRow::default()
    }
}

fn shows(shop: &mut Shop, product: &str, period_end: i64) {
    let facts = SubscriptionFacts {
        items: vec![item(product)],
        ..snapshot("active", period_end)
    };
    shop.api.subscriptions.insert(id("fsub_1"), facts);
}

fn paid(invoice: &str, bill: Bill) -> Change {
    invoice_change("fsub_1", invoice, InvoiceEvent::Paid, bill)
}

fn costing(amount: i64, period: (i64, i64)) -> Bill {
    Bill {
        payment_intent_id: Some(id("fpi_2")),
        ..bill(InvoiceEvent::Paid, amount, period)
    }
}

fn renewal(shop: &Shop) -> &Order {
    &shop.tables.orders[&id("fin_2")]
}

/// A shop whose subscription is renewed once, for this amount.
fn renewed(mut shop: Shop, amount: i64) -> Shop {
    let renews = paid("fin_2", costing(amount, SECOND));
    assert_eq!(shop.tell(SALE + PERIOD, renews), End::Done);
    shop
}

fn described(order: &Order) -> Vec<(&str, i64, bool)> {
    let line = |line: &'_ crate::sale::order::OrderLine| (line.amounts.total, line.is_eligible());
    let lines = order.lines.iter();
    lines
        .map(|each| {
            let (total, eligible) = line(each);
            (each.description.as_str(), total, eligible)
        })
        .collect()
}

#[test]
fn a_renewal_is_an_order_of_the_recurring_items_with_its_own_stock_and_receipt() {
    let shop = renewed(begun(), PRICE);
    let order = renewal(&shop);
    assert_eq!(described(order), [("fprod_gym", PRICE, true)]);
    assert_eq!(order.kind, OrderKind::Renewal);
    assert_eq!(order.placed_at, at(SALE + PERIOD));
    let (start, end) = (at(SECOND.0), at(SECOND.1));
    assert_eq!(order.period, Some(Period { start, end }));
    assert_eq!(
        (order.totals.total, order.received, order.difference),
        (PRICE, Some(PRICE), None)
    );
    assert_eq!(order.subscription_id, Some(id("fsub_1")));
    assert_eq!(shop.receipts(), ["fcs_1-order", "fin_2-order"]);
    assert_eq!((shop.on_hand("BOX"), shop.on_hand("BRACE")), (8, 9));
}

/// The end and the reason of access after a lost dispute of this payment, at its place among the events of the first,
/// second and third period.
fn access_after(policy: AccessPolicy, payment: &str, place: usize) -> (i64, Reason) {
    let mut shop = begun();
    shop.policy.access.on_lost_dispute = policy;
    let mut dispute = dispute_news("fdsp_1", "lost", None);
    dispute.facts.value.payment_intent_id = id(payment);
    let third = (SECOND.1, SECOND.1 + PERIOD);
    let of_third = Bill {
        payment_intent_id: None,
        ..costing(PRICE, third)
    };
    let first = Bill {
        payment_intent_id: None,
        ..costing(PRICE, FIRST)
    };
    let mut events = vec![
        (SALE + 1, paid("fin_1", first)),
        (SALE + PERIOD, paid("fin_2", costing(PRICE, SECOND))),
        (SECOND.1, paid("fin_3", of_third)),
    ];
    events.truncate(place);
    let lost = (SALE + 2, Change::Dispute(dispute));
    // The same after the next event of the provider.
    let orders = [events.len(), events.len().saturating_sub(1)].map(|place| {
        let mut events = events.clone();
        events.insert(place, lost.clone());
        events
    });
    let ends = orders.map(|events| {
        let mut shop = shop.clone();
        // An event that comes too early comes again.
        for _ in 0..2 {
            for (at, change) in &events {
                let _ = shop.tell(*at, change.clone());
            }
        }
        let row = shop.access("fprod_gym");
        (row.access_until.as_second(), row.reason)
    });
    assert_eq!(ends[0], ends[1], "{payment} at {place}");
    ends[0]
}

#[test]
fn a_lost_dispute_ends_the_access_that_its_payment_gave_until_a_later_one_and_by_policy_only() {
    let third = SECOND.1 + PERIOD;
    let (lost, keep, revoke) = (
        (0, Reason::DisputeLost),
        AccessPolicy::Keep,
        AccessPolicy::Revoke,
    );
    for (policy, payment, place, expected) in [
        (revoke, "fpi_1", 1, lost),
        (keep, "fpi_1", 1, (SECOND.1, Reason::Paid)),
        (revoke, "fpi_1", 2, (SECOND.1, Reason::Paid)),
        (revoke, "fpi_2", 2, lost),
        (keep, "fpi_2", 2, (SECOND.1, Reason::Paid)),
        (revoke, "fpi_2", 3, (third, Reason::Paid)),
    ] {
        let access = access_after(policy, payment, place);
        assert_eq!(access, expected, "{policy:?} {payment} {place}");
    }
}

#[test]
fn a_renewal_that_moves_no_stock_is_an_order_like_any_other() {
    let mut shop = begun();
    shop.policy.renewal_stock = RenewalStock::Never;
    let shop = renewed(shop, PRICE);
    assert_eq!(renewal(&shop).lines[0].stock, LineStock::Exempt);
    assert_eq!(renewal(&shop).uncounted_lines(), 0);
    assert_eq!(shop.on_hand("BOX"), 9, "the first sale's box");
}

#[test]
fn a_switch_of_plans_changes_the_next_renewal_and_no_earlier_one() {
    let mut shop = renewed(begun(), PRICE);
    let before = renewal(&shop).clone();
    shop.api.prices.insert(id("fprod_video"), 1999);
    shows(&mut shop, "fprod_video", SECOND.1 + PERIOD);
    let facts = SubscriptionFacts {
        items: vec![item("fprod_video")],
        ..snapshot("active", SECOND.1)
    };
    shop.tell(SALE + PERIOD + DAY, subscription_change("fsub_1", facts));
    let third = (SECOND.1, SECOND.1 + PERIOD);
    let bill = Bill {
        payment_intent_id: None,
        ..costing(1999, third)
    };
    shop.tell(SECOND.1, paid("fin_3", bill));
    assert_eq!(
        described(&shop.tables.orders[&id("fin_3")]),
        [("fprod_video", 1999, true)]
    );
    // The other name of the second payment, once more.
    shop.tell(SALE + PERIOD, paid("fin_2", costing(PRICE, SECOND)));
    assert_eq!(*renewal(&shop), before);
}

#[test]
fn lines_that_differ_from_the_payment_claim_no_more_than_it_and_leave_the_difference() {
    let less = renewed(begun(), PRICE - 1000);
    let order = renewal(&less);
    assert_eq!(described(order), [("fprod_gym", PRICE - 1000, true)]);
    assert_eq!((order.totals.discount, order.difference), (1000, None));
    let more = renewed(begun(), PRICE + 1000);
    assert_eq!(described(renewal(&more)), [("fprod_gym", PRICE, true)]);
    assert_eq!(renewal(&more).difference, Some(-1000));
    // The items changed after the payment: what was paid for is not known.
    let mut switched = begun();
    switched.api.items_changed_at = Some(at(SALE + PERIOD + 1));
    let switched = renewed(switched, 1999);
    assert_eq!(described(renewal(&switched)), []);
    assert_eq!(renewal(&switched).difference, Some(-1999));
}

#[test]
fn a_renewal_whose_invoice_carries_the_past_period_is_for_the_next_one() {
    let mut shop = begun();
    shop.tell(
        SALE + 1,
        paid("fin_1", bill(InvoiceEvent::Paid, PRICE, (SALE, SALE))),
    );
    shop.tell(SALE + PERIOD, paid("fin_2", costing(PRICE, FIRST)));
    let (start, end) = (at(SECOND.0), at(SECOND.1));
    assert_eq!(renewal(&shop).period, Some(Period { start, end }));
    assert_eq!(shop.access("fprod_gym").access_until, end);
    assert_eq!(shop.receipts(), ["fcs_1-order", "fin_2-order"]);
}

#[test]
fn a_subscription_from_before_this_stack_has_renewal_orders_without_its_first() {
    let mut shop = Shop::new();
    shows(&mut shop, "fprod_gym", SECOND.1);
    let renews = facts(
        "fevt_1",
        SALE + PERIOD,
        paid("fin_2", costing(PRICE, SECOND)),
    );
    let waits = End::Waits(ParkReason::OrderUnknown("invoice"));
    assert_eq!(shop.deliver(&renews), waits, "nothing states its beginning");
    let truth = shop.api.subscriptions.get_mut(&id("fsub_1")).unwrap();
    truth.created_at = Some(at(SALE));
    assert_eq!(shop.deliver(&renews), End::Done);
    assert_eq!(shop.receipts(), ["fin_2-order"]);
    // The invoice of the beginning still waits for its order.
    let first = paid("fin_1", bill(InvoiceEvent::Paid, PRICE, FIRST));
    assert_eq!(shop.tell(SALE, first), waits);
}

#[test]
fn a_renewal_that_the_provider_does_not_answer_for_gives_access_and_waits() {
    let mut shop = begun();
    let created = SubscriptionFacts {
        source: Source::Created,
        ..snapshot("active", SECOND.1)
    };
    shop.tell(SALE, subscription_change("fsub_1", created));
    shop.api.subscriptions.clear();
    let renews = facts(
        "fevt_1",
        SALE + PERIOD,
        paid("fin_2", costing(PRICE, SECOND)),
    );
    let End::Waits(park_reason) = shop.deliver(&renews) else {
        panic!("it waits");
    };
    assert_eq!(park_reason.patience(), Patience::Short);
    assert_eq!(shop.access("fprod_gym").access_until, at(SECOND.1));
    shows(&mut shop, "fprod_gym", SECOND.1);
    assert_eq!(shop.deliver(&renews), End::Done);
    assert_eq!(shop.receipts(), ["fcs_1-order", "fin_2-order"]);
}

#[test]
fn a_renewal_in_another_currency_than_the_first_order_waits_for_a_person_and_gives_access() {
    let mut shop = begun();
    let euro = Currency::new("EUR").unwrap();
    let bill = Bill {
        currency: euro,
        ..costing(PRICE, SECOND)
    };
    let end = shop.tell(SECOND.0, paid("fin_2", bill));
    let expected = ParkReason::OtherCurrency {
        what: "invoice",
        stated: euro,
        order: Currency::USD,
    };
    assert_eq!(end, End::Waits(expected));
    assert!(shop.tables.orders.len() == 1);
}

#[test]
fn a_refund_of_a_renewal_is_its_own_orders_whatever_comes_first() {
    let refund = |payment: &str| {
        let mut facts = refund_facts(payment, "succeeded", PRICE);
        facts.invoice_id = Some(id("fin_2"));
        facts_of(Change::Refund(refund_news("fre_1", facts)))
    };
    // By the link of its payment, and by its invoice if that names no payment.
    for payment in ["fpi_2", "fpi_other"] {
        let mut shop = begun();
        let waits = End::Waits(ParkReason::OrderUnknown("refund"));
        assert_eq!(shop.deliver(&refund(payment)), waits);
        let mut shop = renewed(shop, PRICE);
        assert_eq!(shop.deliver(&refund(payment)), End::Done);
        assert_eq!(renewal(&shop).state(), OrderState::Refunded);
        assert_eq!(shop.order().state(), OrderState::Paid);
        assert_eq!(shop.on_hand("BOX"), 9, "the renewal's box is back");
    }
}

fn facts_of(change: Change) -> crate::delivery::event::Event {
    facts("fevt_refund", SALE + PERIOD + DAY, change)
}

#[test]
fn a_payment_that_is_heard_of_first_is_on_the_renewals_order() {
    let mut shop = begun();
    shop.tell(
        SALE + PERIOD,
        payment_change(
            "fpi_2",
            Some(super::super::testing::paid("succeeded", PRICE)),
        ),
    );
    let shop = renewed(shop, PRICE);
    assert!(renewal(&shop).payments.contains_key(&id("fpi_2")));
}

#[test]
fn what_the_provider_does_not_know_of_the_customer_is_as_in_the_first_order() {
    let guest = renewed(begun(), PRICE);
    let order = renewal(&guest);
    assert_eq!(order.customer.email.as_deref(), Some("pat@example.com"));
    assert_eq!(order.customer.customer_id, Some(id("fcus_1")));
    assert_eq!(order.details.phone.as_deref(), Some("+1 555 0100"));
    let shipping = order.details.shipping.as_ref().unwrap();
    assert_eq!(shipping.option.as_deref(), Some("Ground"));
    assert_eq!(shipping.amount, None, "that was the first order's");
    let mut known = begun();
    known.api.customer.email = Some("now@example.com".to_owned());
    let known = renewed(known, PRICE);
    assert_eq!(
        renewal(&known).customer.email.as_deref(),
        Some("now@example.com")
    );
}

#[test]
fn a_renewal_dates_from_the_payment_and_not_from_the_retry_of_its_event() {
    let made = |created_at: i64| Bill {
        created_at: Some(at(created_at)),
        ..costing(PRICE, SECOND)
    };
    let due = SALE + PERIOD;
    for (late, expected) in [(60, due + 60), (DAY, due + DAY), (DAY + 1, due)] {
        let mut shop = begun();
        shop.tell(due + late, paid("fin_2", made(due)));
        assert_eq!(renewal(&shop).placed_at, at(expected), "{late}");
    }
    // The payment had failed before: it was really made later.
    let mut shop = begun();
    let fails = invoice_change("fsub_1", "fin_2", InvoiceEvent::PaymentFailed, made(due));
    shop.tell(due, fails);
    shop.tell(due + 5 * DAY, paid("fin_2", made(due)));
    assert_eq!(renewal(&shop).placed_at, at(due + 5 * DAY));
    // What is known of the payment itself is better evidence than the invoice.
    let mut shop = begun();
    let mut facts = super::super::testing::paid("succeeded", PRICE);
    facts.made_at = Some(at(due + 30));
    shop.tell(due + 5 * DAY, payment_change("fpi_2", Some(facts)));
    shop.tell(due + 5 * DAY, paid("fin_2", made(due)));
    assert_eq!(renewal(&shop).placed_at, at(due + 30));
}

#[test]
fn where_an_account_serves_several_shops_a_renewal_waits_for_the_order_that_shows_whose_it_is() {
    let mut shop = begun();
    shop.policy.shop = ShopFilter {
        origin: Some("ours".to_owned()),
        ..ShopFilter::ALL
    };
    renewed(shop.clone(), PRICE);
    shop.tables.subscription_rows.clear();
    let truth = shop.api.subscriptions.get_mut(&id("fsub_1")).unwrap();
    truth.created_at = Some(at(SALE));
    let waits = End::Waits(ParkReason::OrderUnknown("invoice"));
    let renews = paid("fin_2", costing(PRICE, SECOND));
    assert_eq!(shop.tell(SALE + PERIOD, renews), waits);
    assert!(!shop.tables.orders.contains_key(&id("fin_2")));
}

#[test]
fn one_row_holds_the_access_of_the_subscription_and_of_its_renewals_order() {
    let mut shop = begun();
    let grants = |name: &str, days: u32| MappingRow {
        grants: Some(Grant {
            name: id(name),
            days: Some(days),
        }),
        ..MappingRow::default()
    };
    for (name, last, days) in [("fprod_gym", 90, 90), ("video", 7, 7)] {
        let row = grants(name, days);
        let key = MappingKey::Product(id("fprod_gym"));
        shop.tables.mapping.insert(key, row);
        let shop = renewed(shop.clone(), PRICE);
        let access = shop.access(name);
        let order: Grantor = id("fin_2");
        assert_eq!(
            access.grants[&order].until,
            access.grants[&access.granted_by].until
        );
        assert_eq!(access.granted_by, order);
        assert!(access.access_until >= at(SALE + PERIOD + last * DAY));
        assert!(shop.access("fprod_gym").access_until >= at(SECOND.1));
    }
}

#[test]
fn a_line_is_certified_only_if_the_provider_does_or_did_so_within_a_year_for_the_first_order() {
    let conditional = Eligibility {
        word: "letter_of_medical_necessity".to_owned(),
        certification: Certification::Conditional,
    };
    let certified = Eligibility {
        certification: Certification::Certified,
        ..conditional.clone()
    };
    let other_word = Eligibility {
        word: "service".to_owned(),
        ..certified.clone()
    };
    let refused = Eligibility {
        word: "not_eligible".to_owned(),
        certification: Certification::NotEligible,
    };
    let year = SALE + 365 * DAY;
    for (before, now, second, expected) in [
        (Some(&certified), Some(&conditional), year, true),
        (Some(&certified), Some(&conditional), year + 1, false),
        (Some(&certified), Some(&certified), year + 1, true),
        (Some(&conditional), Some(&certified), SALE + DAY, false),
        (Some(&other_word), Some(&certified), SALE + DAY, true),
        (None, Some(&certified), SALE + DAY, true),
        (Some(&certified), Some(&refused), SALE + DAY, false),
        (Some(&certified), None, SALE + DAY, false),
        (Some(&conditional), Some(&conditional), SALE + DAY, false),
        (Some(&other_word), Some(&conditional), SALE + DAY, false),
        (None, Some(&conditional), SALE + DAY, false),
    ] {
        let mut shop = begun();
        let first = shop.tables.orders.get_mut(&order_id()).unwrap();
        first.lines[0].eligibility = before.cloned();
        let mut line = line("gym", 1, PRICE, None);
        line.eligibility = now.cloned();
        crate::access::renewal::certified(&mut line, Some(first), at(second));
        let is_certified =
            line.eligibility.map(|known| known.certification) == Some(Certification::Certified);
        assert_eq!(is_certified, expected, "{before:?} {now:?}");
    }
}
