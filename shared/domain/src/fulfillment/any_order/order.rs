//! Histories of an order: its payments, its refunds, its disputes and its customer.

use crate::fulfillment::any_order::{Arrival, arrival, difference, in_every_order};
use crate::{
    access::contact,
    delivery::{
        event::{Change, Event},
        reference::Reference,
    },
    fulfillment::testing::{
        DAY, End, SALE, Shop, at, changed, completed, dispute_news, facts, id, line, order_id,
        paid, payment_change, refund_facts, refund_news, sale, sku,
    },
    receipt::ReceiptKind,
    resource::{
        Resource, ResourceChange,
        journal::journal,
        transaction::{Movement, TransactionFacts},
    },
    sale::{
        dispute,
        order::{OrderFunds, OrderState},
        refund::{self, Goods},
        restock::RestockPolicy,
        statement::{Capture, Sale},
    },
    testing::Tables,
    values::{facts::Stated, mode::Mode},
};
use jiff::Timestamp;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// Two mats at 20.00 and a mug at 15.00.
const TOTAL: i64 = 5500;
const MATS: i64 = 2;
const MUGS: i64 = 1;
/// The length limit of a long history, in events.
const MOST: usize = 14;

/// The goods of a refund, as far as its facts show them: a number of mats and mugs.
#[derive(Debug, Clone, Copy)]
enum For {
    Everything,
    Mats,
    OneMat,
    Mug,
    /// An amount that matches no line and no piece.
    Nothing,
    /// The merchant names a mug, whatever the amount.
    Named,
}

impl For {
    fn amount(self) -> i64 {
        match self {
            Self::Everything => TOTAL,
            Self::Mats => 4000,
            Self::OneMat => 2000,
            Self::Mug => 1500,
            Self::Nothing => 777,
            Self::Named => 123,
        }
    }

    fn goods(self) -> (i64, i64) {
        match self {
            // Only the sum of all refunds shows that everything is refunded.
            Self::Everything | Self::Nothing => (0, 0),
            Self::Mats => (2, 0),
            Self::OneMat => (1, 0),
            Self::Mug | Self::Named => (0, 1),
        }
    }

    fn facts(self, status: &str) -> Stated<refund::RefundFacts> {
        let named = matches!(self, Self::Named).then(|| Goods {
            sku: sku("MUG"),
            quantity: 1,
        });
        let mut facts = refund_facts("fpi_1", status, self.amount());
        facts.goods = named.into_iter().collect();
        facts
    }
}

/// The states that a refund goes through.
const WAYS: [&[&str]; 6] = [
    &["succeeded"],
    &["pending", "succeeded"],
    &["pending", "failed"],
    &["pending", "succeeded", "failed"],
    &["pending", "canceled"],
    &["succeeded", "a word of next year"],
];

/// The states that a dispute goes through.
const DISPUTES: [&[&str]; 5] = [
    &["needs_response", "won", "a word of next year"],
    &["needs_response"],
    &["needs_response", "under_review", "won"],
    &["needs_response", "lost"],
    &["warning_needs_response", "warning_closed"],
];

/// The life of an order.
#[derive(Debug, Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a way of telling that is there or not"
)]
struct Life {
    split: bool,
    refunds: Vec<(For, usize)>,
    /// True if events about their payment announce the refunds too.
    by_payment: bool,
    dispute: Option<usize>,
    /// The customer's names, and whether the customer is deleted in the end.
    customer: Option<(usize, bool)>,
    /// Seconds between the events.
    gaps: Vec<i64>,
    /// True if the payments are announced after the sale.
    payments_late: bool,
    /// True if the provider's API shows the payments.
    payments_read: bool,
}

fn life(refunds: std::ops::Range<usize>) -> impl Strategy<Value = Life> {
    let kinds = prop_oneof![
        Just(For::Everything),
        Just(For::Mats),
        Just(For::OneMat),
        Just(For::Mug),
        Just(For::Nothing),
        Just(For::Named),
    ];
    (
        prop::collection::vec((kinds, 0..WAYS.len()), refunds),
        prop::option::of(0..DISPUTES.len()),
        prop::option::weighted(0.3, (1_usize..3, any::<bool>())),
        prop::collection::vec(
            prop_oneof![2 => Just(0_i64), 1 => Just(1), 1 => Just(DAY)],
            4..8,
        ),
        any::<[bool; 4]>(),
    )
        .prop_map(
            |(
                refunds,
                dispute,
                customer,
                gaps,
                [split, by_payment, payments_late, payments_read],
            )| Life {
                split,
                by_payment: by_payment && !refunds.is_empty(),
                refunds,
                dispute,
                customer,
                gaps,
                payments_late,
                payments_read,
            },
        )
}

impl Life {
    fn sale(&self) -> Sale {
        let sold = sale(vec![
            line("mats", 2, 4000, Some("MAT")),
            line("mug", 1, 1500, Some("MUG")),
        ]);
        let payments = if self.split {
            vec![("fpi_1", 4000), ("fpi_2", 1500)]
        } else {
            vec![("fpi_1", TOTAL)]
        };
        Sale {
            payment_intents: payments.iter().map(|(name, _)| id(name)).collect(),
            payments: payments
                .iter()
                .map(|(name, amount)| (id(name), paid("succeeded", *amount)))
                .collect(),
            ..sold
        }
    }

    /// All announced events, in true order.
    fn events(&self) -> Vec<Event> {
        let mut now = SALE;
        let mut gaps = self.gaps.iter().cycle();
        let mut events: Vec<Event> = Vec::new();
        let mut tell = |change: Change| {
            events.push(facts(&format!("fevt_{}", events.len()), now, change));
            now += gaps.next().unwrap();
        };
        let sale = self.sale();
        let payments = || {
            let of = |(id, facts): (
                &crate::values::ids::PaymentIntentId,
                &Stated<crate::sale::payment::PaymentFacts>,
            )| { payment_change(id.as_str(), Some(facts.clone())) };
            sale.payments.iter().map(of).collect::<Vec<_>>()
        };
        if self.payments_late {
            tell(completed());
            payments().into_iter().for_each(&mut tell);
        } else {
            payments().into_iter().for_each(&mut tell);
            tell(completed());
        }
        let most = self
            .refunds
            .iter()
            .map(|(_, way)| WAYS[*way].len())
            .max()
            .unwrap_or_default();
        for step in 0..most {
            for (n, (what, way)) in self.refunds.iter().enumerate() {
                if let Some(status) = WAYS[*way].get(step) {
                    tell(Change::Refund(refund_news(
                        &format!("fre_{n}"),
                        what.facts(status),
                    )));
                }
            }
        }
        if self.by_payment {
            tell(Change::Fetch(Reference::RefundsOfPayment(id("fpi_1"))));
        }
        for status in self.dispute.map(|way| DISPUTES[way]).unwrap_or_default() {
            let funds = (*status == "lost").then_some(dispute::DisputeFunds::Withdrawn);
            tell(Change::Dispute(dispute_news("fdsp_1", status, funds)));
        }
        if let Some((names, deleted)) = self.customer {
            for n in 0..names + usize::from(deleted) {
                let email = Some(format!("pat{n}@example.com"));
                let facts = (n < names).then_some(contact::ContactFacts {
                    name: Some(format!("Pat {n}")),
                    email,
                });
                tell(Change::Customer(contact::ContactChange {
                    customer_id: id("fcus_1"),
                    mode: Some(Mode::Live),
                    facts: facts.map(Stated::from),
                }));
            }
        }
        events
    }
}

/// The first events, up to `most`, in true order, with the sale's completion among them.
fn cut(events: &[Event], most: usize) -> Vec<Event> {
    let is_completion = |event: &Event| matches!(event.change, Change::Sale { .. });
    let mut others = most - 1;
    let keep = |event: &&Event| {
        let kept = is_completion(event) || others > 0;
        others -= usize::from(kept && !is_completion(event));
        kept
    };
    events.iter().filter(keep).cloned().collect()
}

/// A shop whose provider knows the end state of everything announced.
fn shop(life: &Life, events: &[Event], restock: RestockPolicy) -> Shop {
    let mut sale = life.sale();
    if !life.payments_read {
        sale.payments.clear();
    }
    let mut shop = Shop::selling(sale);
    shop.policy.restock = restock;
    let mut refunds: BTreeMap<_, (Timestamp, refund::RefundChange)> = BTreeMap::new();
    for event in events {
        if let Change::Refund(change) = &event.change {
            refunds.insert(
                change.refund_id.clone(),
                (event.occurred_at.unwrap(), change.clone()),
            );
        }
    }
    shop.api.refunds = refunds.into_values().map(|(_, change)| change).collect();
    shop
}

/// The announced refunds. Each has its last known status, and a flag if it ever succeeded.
fn refunds(events: &[Event]) -> BTreeMap<String, (refund::RefundFacts, bool)> {
    let mut refunds: BTreeMap<String, (refund::RefundFacts, bool)> = BTreeMap::new();
    for event in events {
        if let Change::Refund(change) = &event.change {
            let succeeded = change.facts.status == refund::RefundStatus::Succeeded;
            let known = refunds
                .entry(change.refund_id.to_string())
                .or_insert((change.facts.value.clone(), false));
            known.1 |= succeeded;
            if change.facts.status != refund::RefundStatus::Unknown {
                known.0 = change.facts.value.clone();
            }
        }
    }
    refunds
}

/// The expected end of the shop, counted by hand.
fn check_end(life: &Life, events: &[Event], shop: &Shop) -> Result<(), TestCaseError> {
    let refunds = refunds(events);
    let went: Vec<&refund::RefundFacts> = refunds
        .values()
        .filter(|(_, ever)| *ever)
        .map(|(facts, _)| facts)
        .collect();
    let everything = went.iter().map(|facts| facts.amount).sum::<i64>() >= TOTAL;
    let (mats, mugs) = match (shop.policy.restock, everything) {
        (RestockPolicy::Full | RestockPolicy::Any, true) => (MATS, MUGS),
        (RestockPolicy::Any, false) => {
            let goods = life.refunds.iter().enumerate().filter(|(n, _)| {
                refunds
                    .get(&format!("fre_{n}"))
                    .is_some_and(|(_, ever)| *ever)
            });
            let (mats, mugs) = goods.fold((0, 0), |(mats, mugs), (_, (what, _))| {
                (mats + what.goods().0, mugs + what.goods().1)
            });
            (mats.min(MATS), mugs.min(MUGS))
        }
        _ => (0, 0),
    };
    prop_assert_eq!(
        (shop.on_hand("MAT"), shop.on_hand("MUG")),
        (10 - MATS + mats, 10 - MUGS + mugs)
    );
    let order = shop.order();
    let stands = refunds
        .values()
        .filter(|(facts, _)| facts.status == refund::RefundStatus::Succeeded);
    let back: i64 = stands.map(|(facts, _)| facts.amount).sum();
    let state = match back {
        0 => OrderState::Paid,
        back if back < TOTAL => OrderState::PartlyRefunded,
        _ => OrderState::Refunded,
    };
    prop_assert_eq!((order.state(), order.refunded()), (state, back));
    let last = events.iter().rev().find_map(|event| match &event.change {
        Change::Dispute(change) => {
            Some(change.facts.word.as_str()).filter(|status| !status.contains(' '))
        }
        _ => None,
    });
    let open =
        last.is_some_and(|status| status.ends_with("needs_response") || status == "under_review");
    prop_assert_eq!(order.is_disputed(), open);
    let announced = events.iter().filter_map(|event| match &event.change {
        Change::Payment(change) => Some(change.payment_intent_id.clone()),
        _ => None,
    });
    let mut known: BTreeSet<_> = announced.collect();
    known.extend(shop.api.sales[&order_id()].payments.keys().cloned());
    let mut sale = life.sale();
    sale.payments.retain(|id, _| known.contains(id));
    let taken: i64 = sale.payments.values().map(|facts| facts.taken()).sum();
    let disputed = if last == Some("lost") { 1000 } else { 0 };
    prop_assert_eq!(balance(shop), taken - back - disputed);
    for event in events {
        if let Change::Payment(change) = &event.change {
            let known = order
                .payments
                .get(&change.payment_intent_id)
                .map(|facts| facts.value.clone());
            prop_assert_eq!(known, change.facts.clone().map(|facts| facts.value));
        }
    }
    let mut mails: BTreeSet<String> = refunds
        .iter()
        .filter(|(_, (_, ever))| *ever)
        .map(|(id, _)| format!("{id}-refund"))
        .collect();
    let failed = |id: &str| {
        events.iter().any(|event| {
            let Change::Refund(change) = &event.change else {
                return false;
            };
            let status = &change.facts.status;
            let is_failure = matches!(
                status,
                refund::RefundStatus::Failed | refund::RefundStatus::Canceled
            );
            change.refund_id.as_str() == id && is_failure
        })
    };
    let corrected = refunds.iter().filter(|(id, (_, ever))| *ever && failed(id));
    mails.extend(corrected.map(|(id, _)| format!("{id}-refund_failed")));
    mails.insert("fcs_1-order".to_owned());
    prop_assert_eq!(
        shop.receipts()
            .into_iter()
            .map(str::to_owned)
            .collect::<BTreeSet<_>>(),
        mails
    );
    Ok(())
}

/// The order's money that the provider has by the journal.
fn balance(shop: &Shop) -> i64 {
    let rows = shop.tables.resources.values().filter_map(|row| match row {
        Resource::Transaction(row) => Some(&**row),
        _ => None,
    });
    let journal = journal(rows, Timestamp::UNIX_EPOCH..Timestamp::MAX);
    journal.books.values().map(|book| book.closing).sum()
}

/// A movement of money, without the time of a payment that states none.
fn timeless(row: &Resource) -> Resource {
    let Resource::Transaction(row) = row else {
        panic!("{row:?}");
    };
    let entry = row.entry.get().unwrap();
    let is_payment = entry.movement == Movement::Payment;
    let occurred_at = if is_payment { at(0) } else { entry.occurred_at };
    let facts = TransactionFacts {
        mode: row.mode,
        movement: entry.movement.clone(),
        status: row.status.get().unwrap().clone(),
        currency: entry.currency,
        amount: entry.amount,
        fee: None,
        net: None,
        occurred_at,
        available_at: None,
        order_id: row.order_id.get().cloned(),
        payout_id: None,
        related: row.related.get().cloned(),
    };
    let change = ResourceChange::Transaction {
        id: row.id.clone(),
        facts: facts.into(),
    };
    Resource::learn(None, &row.provider, &change, occurred_at)
}

/// The rows once erasures are done, without versions and the times of reads from the provider.
fn bare(shop: &Shop) -> Tables {
    let mut tables = shop.tables.clone();
    assert_eq!(tables.unannounced(), Vec::<String>::new());
    tables.batches.clear();
    for order in tables.orders.values_mut() {
        // The erasure of its customer follows, whenever the order was made.
        let customer_id = order.customer.customer_id.as_ref();
        let contact = customer_id.and_then(|id| tables.contacts.get(id));
        if contact.is_some_and(|contact| contact.erased) {
            *order = order.erased();
        }
        order.version = 0;
        // The list of events is about their arrival.
        order.event_history.cut_all();
        order
            .payments
            .values_mut()
            .for_each(|facts| facts.stamp.at = at(0));
        order
            .refunds
            .values_mut()
            .for_each(|refund| refund.facts.stamp.at = at(0));
    }
    for movement in tables.movements.values_mut() {
        // The units come back in the parts in which their refunds arrive.
        movement.restocked_earlier = 0;
    }
    for row in tables.resources.values_mut() {
        *row = timeless(row);
    }
    for link in tables.links.values_mut() {
        link.version = 0;
        link.heard_at = None;
        link.facts = None;
    }
    tables
        .contacts
        .values_mut()
        .for_each(|contact| contact.version = 0);
    for receipt in tables.receipts.values_mut() {
        if let ReceiptKind::Refund { refunded_at, .. }
        | ReceiptKind::RefundFailed { refunded_at, .. } = &mut receipt.kind
        {
            *refunded_at = at(0);
        }
    }
    tables
}

/// For people.
fn story(events: &[Event]) -> String {
    let line =
        |(n, event): (usize, &Event)| format!("{n}: {:?} {:?}", event.occurred_at, event.change);
    events
        .iter()
        .enumerate()
        .map(line)
        .collect::<Vec<_>>()
        .join("\n")
}

fn restock() -> impl Strategy<Value = RestockPolicy> {
    prop_oneof![
        Just(RestockPolicy::Never),
        Just(RestockPolicy::Full),
        Just(RestockPolicy::Any)
    ]
}

fn check_same(
    life: &Life,
    events: &[Event],
    end: &Shop,
    rows: &Tables,
    order: &dyn std::fmt::Debug,
) -> Result<(), TestCaseError> {
    check_end(life, events, end).map_err(|error| {
        TestCaseError::fail(format!(
            "{error} in the order {order:?}:\n{}",
            story(events)
        ))
    })?;
    let bare = bare(end);
    prop_assert!(
        bare == *rows,
        "{} in the order {:?}:\n{}",
        difference(&bare, rows),
        order,
        story(events)
    );
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10, failure_persistence: None, ..ProptestConfig::default() })]

    /// Six events in each of their 720 orders.
    #[test]
    fn a_short_history_of_an_order_ends_the_same_in_every_order(life in life(0..3), restock in restock()) {
        let events = cut(&life.events(), 6);
        let shop = shop(&life, &events, restock);
        let mut in_order = shop.clone();
        Arrival::in_order().deliver(&mut in_order, &events);
        let rows = bare(&in_order);
        let mut failure = Ok(());
        in_every_order(&shop, &events, &mut |end, order| {
            if failure.is_ok() {
                failure = check_same(&life, &events, end, &rows, &order);
            }
        });
        failure?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    /// Longer ones: shuffled, with twins and lost races.
    #[test]
    fn a_long_history_of_an_order_ends_the_same_in_any_order(
        life in life(0..4),
        restock in restock(),
        arrivals in prop::collection::vec(arrival(MOST), 4),
    ) {
        let events = cut(&life.events(), MOST);
        let shop = shop(&life, &events, restock);
        let mut in_order = shop.clone();
        Arrival::in_order().deliver(&mut in_order, &events);
        let rows = bare(&in_order);
        for arrival in &arrivals {
            let mut end = shop.clone();
            arrival.deliver(&mut end, &events);
            check_same(&life, &events, &end, &rows, arrival)?;
        }
    }
}

/// The outcome of a sale's money.
#[derive(Debug, Clone, Copy)]
enum Money {
    Captured,
    Settled,
    NeverSettled,
    NeverCaptured,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    /// An order that waits for its money, in real time. Each event arrives some time after its change, and the
    /// provider's API then shows its present state. Goods move once, when the money is there, and never otherwise.
    #[test]
    fn an_order_that_waits_is_fulfilled_once_when_its_money_is_there(
        money in prop_oneof![
            Just(Money::Captured), Just(Money::Settled), Just(Money::NeverSettled), Just(Money::NeverCaptured),
        ],
        announced_by in 0..4,
        delays in prop::collection::vec(prop_oneof![1_i64..9, 1_i64..DAY, Just(5 * DAY)], 3),
        twins in prop::collection::vec((0_usize..3, 1_i64..9 * DAY), 0..3),
    ) {
        let (first, last, funds) = match money {
            Money::Captured => ("requires_capture", "succeeded", None),
            Money::Settled => ("processing", "succeeded", None),
            Money::NeverSettled => ("processing", "requires_payment_method", Some(OrderFunds::Failed)),
            Money::NeverCaptured => ("requires_capture", "canceled", Some(OrderFunds::Expired)),
        };
        let capture = if first == "processing" { Capture::Automatic } else { Capture::Manual };
        let comes_at = SALE + 2 * DAY;
        let lines = || vec![line("mug", 1, 1500, Some("MUG"))];
        let knows = |status: &str| Sale {
            capture,
            received: Some(if status == "succeeded" { 1500 } else { 0 }),
            payments: BTreeMap::from([(id("fpi_1"), paid(status, 1500))]),
            ..sale(lines())
        };
        let change = match announced_by {
            0 => payment_change("fpi_1", Some(paid(last, 1500))),
            // An event about a charge states nothing of the payment. It only causes another look.
            1 => payment_change("fpi_1", None),
            2 if funds.is_none() => Change::SalePaid { order_id: order_id() },
            _ => changed(),
        };
        let before = payment_change("fpi_1", Some(paid(first, 1500)));
        let events =
            [facts("fevt_0", SALE, completed()), facts("fevt_1", SALE, before), facts("fevt_2", comes_at, change)];
        let mut coming: Vec<(i64, usize)> = (0..3)
            .map(|n| (events[n].occurred_at.unwrap().as_second() + delays[n], n))
            .chain(twins.iter().map(|(n, later)| (events[*n].occurred_at.unwrap().as_second() + later, *n)))
            .collect();
        coming.sort_unstable();
        let mut shop = Shop::selling(knows(first));
        let mut fulfilled = 0;
        for (now, n) in &coming {
            shop.now = at(*now);
            shop.api.sales.insert(order_id(), knows(if *now < comes_at { first } else { last }));
            let had = shop.receipts().len();
            prop_assert_eq!(shop.deliver(&events[*n]), End::Done);
            fulfilled += shop.receipts().len() - had;
        }
        let there = funds.is_none();
        prop_assert_eq!(fulfilled, usize::from(there), "{:?}", coming);
        prop_assert_eq!(shop.on_hand("MUG"), if there { 9 } else { 10 });
        prop_assert_eq!(shop.order().state(), funds.map_or(OrderState::Paid, OrderState::Waiting), "{:?}", coming);
    }
}
