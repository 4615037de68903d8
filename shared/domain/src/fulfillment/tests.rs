use super::*;
use crate::delivery::job::Handoff;
use crate::delivery::stored_event::EventState;
use crate::delivery::stored_event::StoredEvent;
use crate::fulfillment::testing::*;
use crate::ports::Committed;
use crate::{
    access::{
        contact,
        subscription::{Bill, InvoiceEvent, SubscriptionFacts},
    },
    delivery::{
        Delivery,
        event::{Change, Reading},
    },
    sale::{
        mapping::{MappingKey, MappingRow},
        statement::{Sale, SaleKind},
        stock::LineStock,
    },
    values::provider::{EligibilityPolicy, Party, ProviderPolicies},
};

#[test]
fn only_what_the_provider_may_yet_tell_otherwise_is_worth_waiting_for() {
    let facts = |status| ParkReason::NotRead(ReadError::Permanent { status, code: None });
    let not_understood =
        ParkReason::NotRead(ReadError::NotUnderstood("no `checkout_session`".into()));
    for short in [
        ParkReason::NotComplete("open".into()),
        ParkReason::NoRefund,
        facts(404),
        not_understood,
    ] {
        assert_eq!(short.patience(), Patience::Short, "{short}");
    }
    assert_eq!(
        ParkReason::OrderUnknown("refund").patience(),
        Patience::Long
    );
    for stays in [
        facts(422),
        ParkReason::ModeNotFulfilled("setup".into()),
        ParkReason::NoSubject,
    ] {
        assert_eq!(stays.patience(), Patience::None, "{stays}");
    }
}

#[test]
fn an_event_whose_effects_are_committed_names_the_messages_still_to_send() {
    let row = stored(&facts("fevt_1", SALE, completed()));
    assert_eq!(row.unsent(), None);
    let receipt_id = id("fcs_1-order");
    let row = StoredEvent {
        state: EventState::Committed,
        outbox: vec![Handoff::Receipt { receipt_id }],
        ..row
    };
    assert_eq!(row.unsent(), Some(row.outbox.as_slice()));
    let wire = serde_json::to_string(&row.outbox).unwrap();
    assert_eq!(wire, r#"[{"to":"receipt","receipt_id":"fcs_1-order"}]"#);
}

#[test]
fn an_order_lists_the_events_that_changed_it_as_they_arrived() {
    let mut shop = Shop::selling(sale(vec![line("brace", 2, 5000, Some("BRACE"))]));
    let partial = || refunded("fre_1", "succeeded", 1000);
    for (second, change) in [
        (SALE, completed()),
        (SALE + 1, completed()),
        (SALE + 9, partial()),
        (SALE + 5, partial()),
        (
            SALE + 7,
            Change::Dispute(dispute_news("fdsp_1", "lost", None)),
        ),
    ] {
        shop.now += SignedDuration::from_secs(60);
        shop.tell(second, change);
    }
    let history = shop.order().event_history.iter();
    let lines = history.map(|event| {
        let after = event.at.as_second() - NOW;
        let kind = event.event_type.as_deref().unwrap_or_default();
        format!("{after} {} {kind}: {}", event.event_id, event.done)
    });
    assert_eq!(
        lines.collect::<Vec<_>>(),
        [
            "60 fevt_1760090001 a.type: fulfilled, 1 stock movement, receipt",
            "180 fevt_1760090010 a.type: partly_refunded, refund mail",
            "300 fevt_1760090008 a.type: partly_refunded, dispute lost",
        ]
    );
}

#[test]
fn what_is_told_of_a_customer_is_kept_and_forgotten_for_good() {
    let mut shop = Shop::new();
    let change = |facts: Option<contact::ContactFacts>| {
        Change::Customer(contact::ContactChange {
            customer_id: id("fcus_1"),
            mode: None,
            facts: facts.map(contact::ContactFacts::into),
        })
    };
    let named = || {
        Some(contact::ContactFacts {
            name: Some("Pat Doe".into()),
            email: None,
        })
    };
    shop.tell(SALE, change(named()));
    let version = |shop: &Shop| shop.tables.contacts[&id("fcus_1")].version;
    assert_eq!(version(&shop), 1);
    shop.tell(SALE, change(named()));
    assert_eq!(version(&shop), 1, "what is known already is not written");
    shop.tell(SALE + 1, change(None));
    shop.tell(SALE + 2, change(named()));
    assert_eq!(
        (
            version(&shop),
            shop.tables.contacts[&id("fcus_1")].facts.is_none()
        ),
        (2, true)
    );
    // An attempt beside the one that erased the contact must not end the event: the erasure may be lost.
    let deletion = facts("fevt_again", SALE + 1, change(None));
    let again = commit(shop.decide(&deletion));
    let customer_id = id("fcus_1");
    assert_eq!(again.outbox(), [Handoff::Erasure { customer_id }]);
    assert_eq!(again.contact, None);
}

#[test]
fn an_order_that_gets_its_customer_later_is_written_unless_that_one_is_erased_meanwhile() {
    let named = with_payments(sale(vec![line("a", 1, 3000, None)]), &["processing"]);
    let customer_id = named.customer.customer_id.clone();
    let mut unnamed = named.clone();
    unnamed.customer.customer_id = None;
    let mut shop = Shop::selling(unnamed);
    shop.tell(SALE, changed());
    assert_eq!(shop.order().customer.customer_id, None);
    let decide = |shop: &mut Shop, sale: &Sale| {
        shop.api.sales.insert(sale.order_id.clone(), sale.clone());
        commit(shop.decide(&facts("fevt_2", SALE + 1, changed())))
    };
    let first = decide(&mut shop, &named);
    assert!(customer_id.is_some());
    assert_eq!(first.unless_erased, customer_id);
    assert_eq!(shop.tables.commit(&first), Committed::Now);
    let renumbered = Sale {
        client_reference_id: Some("order-2".to_owned()),
        ..named
    };
    let later = decide(&mut shop, &renumbered);
    assert_eq!(later.unless_erased, None, "an erasure finds the order");
}

#[test]
fn a_type_that_we_do_not_know_is_kept_and_does_nothing() {
    let event = facts("fevt_1", SALE, Change::Unhandled);
    let delivery = Delivery {
        provider: "flex".parse().unwrap(),
        delivery_id: id("msg_1"),
        body: Vec::new(),
        fingerprint: String::new(),
        received_at: at(SALE),
        reading: Reading::Event(Box::new(event.clone())),
    };
    let row = StoredEvent::first(&delivery);
    assert_eq!(
        (row.state, row.state.is_unfinished()),
        (EventState::Unhandled, false)
    );
    let mut shop = Shop::new();
    let parked = End::Parked(ParkReason::NoSubject);
    assert_eq!(shop.deliver(&event), parked, "intake never queues it");
    assert_eq!(shop.tables, Shop::new().tables);
}

#[test]
fn a_commit_names_the_receipts_that_it_makes_owed() {
    let shop = Shop::selling(sale(vec![line("mats", 1, 4000, Some("MAT"))]));
    let sale = commit(shop.decide(&facts("fevt_1", SALE, completed())));
    assert_eq!(sale.receipt_ids(), [id("fcs_1-order")]);
}

#[test]
fn a_sale_that_moves_nothing_says_so_and_one_that_only_moves_says_that() {
    let shop = Shop::selling(sale(vec![line("mats", 1, 4000, None)]));
    let written = commit(shop.decide(&facts("fevt_1", SALE, completed())));
    let text = written.to_string();
    assert!(text.contains("0 stock movements"), "{text}");
    let shop = Shop::selling(sale(vec![line("mats", 1, 4000, Some("MAT"))]));
    let deductions = commit(shop.decide(&facts("fevt_1", SALE, completed()))).deductions;
    let moves = Commit {
        deductions,
        ..Commit::of(id("fevt_1"))
    };
    assert_eq!(moves.to_string(), "1 stock movement");
}

#[test]
fn a_decision_reads_as_a_line_without_a_name_of_anything() {
    let mut sold = sale(vec![
        line("mats", 2, 4000, Some("MAT")),
        line("mug", 1, 1500, Some("MUG")),
    ]);
    (sold.totals.total, sold.received) = (5600, Some(5600));
    let mut shop = Shop::selling(sold);
    shop.tables.counters.insert(sku("MAT"), 1);
    shop.api
        .subscriptions
        .insert(id("fsub_1"), snapshot("active", SALE + DAY));
    let mut says = |second: i64, change: Change| {
        let event = facts(&format!("fevt_{second}"), second, change);
        let said = shop.decide(&event).to_string();
        shop.deliver(&event);
        said
    };
    let active = || subscription_change("fsub_1", snapshot("active", SALE + DAY));
    let paid_bill = bill(InvoiceEvent::Paid, 4999, (SALE, SALE + DAY));
    let customer = contact::ContactFacts {
        name: Some("Pat Doe".into()),
        email: None,
    };
    let lines = [
        says(
            SALE - 1,
            payment_change("fpi_1", Some(paid("succeeded", 5500))),
        ),
        says(SALE, completed()),
        says(SALE + 1, completed()),
        says(SALE + 2, refunded("fre_1", "succeeded", 1500)),
        says(
            SALE + 3,
            Change::Dispute(dispute_news("fdsp_1", "lost", None)),
        ),
        says(SALE + 4, active()),
        says(
            SALE + 5,
            invoice_change("fsub_1", "fin_1", InvoiceEvent::Paid, paid_bill),
        ),
        says(
            SALE + 6,
            Change::Customer(contact::ContactChange {
                customer_id: id("fcus_1"),
                mode: None,
                facts: Some(customer.into()),
            }),
        ),
        says(
            SALE + 7,
            Change::Refund(refund_news("fre_2", refund_facts("fpi_9", "succeeded", 1))),
        ),
        says(
            SALE + 8,
            Change::Sale {
                order_id: id("fcs_9"),
                completed: true,
            },
        ),
    ];
    assert_eq!(
        lines,
        [
            "payment noted, its order is not known yet",
            "fulfill fcs_1: 2 lines, $56.00, 2 stock movements, 1 piece short, lines differ from the total by -$1.00, \
             receipt fcs_1-order",
            "nothing to do",
            "order fcs_1: partly_refunded, 1 piece back on the shelf, receipt fre_1-refund",
            "order fcs_1: partly_refunded",
            "subscription fsub_1, access paid until 2025-10-11T09:53:21Z",
            "subscription fsub_1, then wait: no paid order is known for this invoice",
            "customer",
            "wait: no paid order is known for this refund",
            "park: the provider answers 404",
        ]
    );
}

/// A shop of a provider with these policies, after all that can cause a mail, move goods or state eligibility. Of two
/// sold braces one is in stock, and the mug has no SKU.
fn lived(provider: ProviderPolicies) -> Shop {
    let (month, trial_end) = (30 * DAY, NOW + 10 * DAY);
    let mut shop = Shop::selling(Sale {
        kind: SaleKind::Subscription,
        subscription_id: Some(id("fsub_1")),
        invoice_id: Some(id("fin_1")),
        ..sale(vec![
            line("gym", 1, 4999, None),
            line("brace", 2, 4998, Some("BRACE")),
            line("mug", 1, 1500, None),
        ])
    });
    shop.provider = provider;
    (shop.policy.payment_failed_mail, shop.policy.trial_ends_mail) = (true, true);
    shop.tables.counters = [(sku("BRACE"), 1), (sku("BOX"), 10)].into();
    let maps_to = MappingRow {
        maps_to: Some(sku("BOX")),
        ..MappingRow::default()
    };
    let gym = MappingKey::Product(id("fprod_gym"));
    shop.tables.mapping.insert(gym, maps_to);
    let trial = SubscriptionFacts {
        trial_end: Some(at(trial_end)),
        ..snapshot("trialing", trial_end)
    };
    let active = snapshot("active", SALE + 2 * month);
    shop.api.subscriptions.insert(id("fsub_1"), active);
    let of_invoice = |invoice, event| {
        let bill = Bill {
            payment_intent_id: Some(id("fpi_2")),
            ..bill(event, 4999, (SALE + month, SALE + 2 * month))
        };
        invoice_change("fsub_1", invoice, event, bill)
    };
    let of_renewal = refund_news("fre_2", refund_facts("fpi_2", "succeeded", 4999));
    for (second, change) in [
        (SALE, completed()),
        (SALE + 1, subscription_change("fsub_1", trial)),
        (SALE + 2, refunded("fre_1", "succeeded", 1000)),
        (SALE + 3, refunded("fre_1", "failed", 1000)),
        (
            SALE + month,
            of_invoice("fin_2", InvoiceEvent::PaymentFailed),
        ),
        (SALE + month + 1, of_invoice("fin_2", InvoiceEvent::Paid)),
        (SALE + month + 2, Change::Refund(of_renewal)),
    ] {
        assert_eq!(shop.tell(second, change), End::Done, "{second}");
    }
    shop
}

/// The order, with what depends on its provider's policies taken from another.
fn with_policies_of(order: &Order, other: &Order) -> Order {
    let mut order = Order {
        eligibility: other.eligibility,
        receipt_id: other.receipt_id.clone(),
        shortfalls: other.shortfalls.clone(),
        // It names stock movements and mails.
        event_history: other.event_history.clone(),
        ..order.clone()
    };
    for (line, other) in order.lines.iter_mut().zip(&other.lines) {
        line.stock.clone_from(&other.stock);
        line.eligibility.clone_from(&other.eligibility);
    }
    for (refund, other) in order.refunds.values_mut().zip(other.refunds.values()) {
        refund.receipt_id.clone_from(&other.receipt_id);
        refund.correction_id.clone_from(&other.correction_id);
    }
    order
}

#[test]
fn what_a_provider_certifies_and_does_itself_changes_that_and_nothing_else() {
    let ours = lived(ProviderPolicies::OURS);
    let trial_notice = format!("fsub_1-trial_ends-{}", NOW + 10 * DAY);
    assert_eq!(
        ours.receipts(),
        [
            "fcs_1-order",
            "fin_2-order",
            "fin_2-payment_failed",
            "fre_1-refund",
            "fre_1-refund_failed",
            "fre_2-refund",
            &trial_notice,
        ]
    );
    let eligibilities = [EligibilityPolicy::Stated, EligibilityPolicy::Omitted];
    let parties = [Party::Us, Party::Provider];
    let pairs = parties.map(|receipts| parties.map(|stock| (receipts, stock)));
    for (eligibility, (receipts, stock)) in eligibilities.into_iter().flat_map(|eligibility| {
        pairs
            .concat()
            .into_iter()
            .map(move |pair| (eligibility, pair))
    }) {
        let provider = ProviderPolicies {
            eligibility,
            receipts,
            stock,
            ..ProviderPolicies::OURS
        };
        let shop = lived(provider);
        for (order, other) in shop.tables.orders.values().zip(ours.tables.orders.values()) {
            assert_eq!(with_policies_of(order, other), *other, "{provider:?}");
            let is_stated = eligibility == EligibilityPolicy::Stated;
            assert_eq!(order.eligibility, eligibility);
            for line in &order.lines {
                assert_eq!(line.eligibility.is_some(), is_stated, "{provider:?}");
                let is_exempt = line.stock == LineStock::Exempt;
                assert_eq!(is_exempt, stock == Party::Provider, "{provider:?}");
            }
            let is_short = stock == Party::Us && order.order_id == order_id();
            assert_eq!(!order.shortfalls.is_empty(), is_short, "{provider:?}");
            assert_eq!(order.receipt_id.is_some(), receipts == Party::Us);
        }
        match receipts {
            Party::Us => assert_eq!(shop.receipts(), ours.receipts(), "{provider:?}"),
            Party::Provider => assert!(shop.receipts().is_empty(), "{provider:?}"),
        }
        // The sale took a box and the only brace; the renewal took a box, and its refund brought that back.
        let (on_hand, movements, reported) = match stock {
            Party::Us => ((0, 9), 3, 1),
            Party::Provider => ((1, 10), 0, 0),
        };
        let (movements_made, reported_now) = (&shop.tables.movements, &shop.tables.reported);
        assert_eq!(
            (shop.on_hand("BRACE"), shop.on_hand("BOX")),
            on_hand,
            "{provider:?}"
        );
        assert_eq!(
            (movements_made.len(), reported_now.len()),
            (movements, reported)
        );
        assert_eq!(shop.tables.entitlements, ours.tables.entitlements);
    }
}
