//! The provider's API, single things and lists: the world in memory, and Flex's client against the stand-in.
//! The stand-in answers in the shapes of Flex's reference.

use domain::{
    access::subscription,
    delivery::{answer::Answer, event::Change, reference::Reference, secrets::ApiKey},
    ports::Provider,
    upkeep::reconcile::{Ask, Listed, Page},
};
use kit::prelude::*;
use kit::{stand_in::StandIn, story::refund_news};
use std::sync::{Arc, LazyLock};

const ASKED_AT: Timestamp = Timestamp::UNIX_EPOCH;

/// An API, and a way to let it know things, in the provider's own words.
trait On {
    fn api(&self) -> (&dyn Provider, &ApiKey);
    async fn fetch(&self, reference: Reference) -> Result<Answer, ReadError> {
        let (api, key) = self.api();
        api.fetch(key, &reference, ASKED_AT).await
    }
    async fn page(&self, ask: Ask<'_>) -> Result<Page, ReadError> {
        let (api, key) = self.api();
        api.list(key, ask).await
    }
    fn sells(&self, purchase: &Purchase);
    fn refunds(&self, refund: &Value);
    fn subscribes(&self, subscription: &Value);
}

impl On for Bundle {
    fn api(&self) -> (&dyn Provider, &ApiKey) {
        (&self.world, &KEY)
    }
    fn sells(&self, purchase: &Purchase) {
        self.provider_has(&sale(purchase));
    }
    fn refunds(&self, refund: &Value) {
        self.provider_has_refunds(&[refund_news(refund)]);
    }
    fn subscribes(&self, subscription: &Value) {
        self.provider_has_subscription(subscription);
    }
}

static KEY: LazyLock<ApiKey> = LazyLock::new(|| ApiKey::new("fsk_live").unwrap());

/// Flex's client, and its requests.
struct Flex {
    flex: flex::Flex,
    stand_in: StandIn,
}

impl On for Flex {
    fn api(&self) -> (&dyn Provider, &ApiKey) {
        (&self.flex, &KEY)
    }
    fn sells(&self, purchase: &Purchase) {
        self.stand_in.put_purchase(purchase);
    }
    fn refunds(&self, refund: &Value) {
        self.stand_in.put("refund", refund.clone());
    }
    fn subscribes(&self, subscription: &Value) {
        self.stand_in.put("subscription", subscription.clone());
    }
}

async fn flex() -> Flex {
    let stand_in = StandIn::start().await.unwrap();
    let api = flex::Api::new(&stand_in.url).unwrap();
    Flex {
        flex: flex::Flex {
            api: Some(Arc::new(api)),
        },
        stand_in,
    }
}

/// Runs one suite on both.
macro_rules! on_apis {
    ($($suite:ident),+ $(,)?) => {$(
        mod $suite {
            #[tokio::test]
            async fn in_memory() {
                super::$suite(&super::open_shop(super::OnUnknown::Resend)).await;
            }
            #[tokio::test]
            async fn by_http() {
                super::$suite(&super::flex().await).await;
            }
        }
    )+};
}

on_apis! {
    a_checkout_is_read_with_its_customer_and_lines,
    a_payment_leads_to_its_checkout,
    refunds_are_those_of_the_payment_or_the_checkout,
    a_subscription_is_read_as_it_is,
    a_list_is_read_page_by_page_to_its_end,
    a_list_has_what_is_complete_and_young_enough,
}

fn order_id(purchase: &Purchase) -> OrderId {
    OrderId::new(purchase.order_id()).unwrap()
}

fn not_found(code: &str) -> ReadError {
    ReadError::Permanent {
        status: 404,
        code: Some(code.to_owned()),
    }
}

async fn a_checkout_is_read_with_its_customer_and_lines(on: &impl On) {
    let (sold, unknown) = (purchase(1), purchase(2));
    on.sells(&sold);
    let read = on.fetch(Reference::Sale(order_id(&sold))).await.unwrap();
    let Answer::Sale(read) = read else {
        panic!("{read:?}")
    };
    // The facts of its payments are read too, if there are any.
    assert_eq!(
        Sale {
            payments: BTreeMap::new(),
            ..*read
        },
        sale(&sold)
    );
    let unknown = on.fetch(Reference::Sale(order_id(&unknown))).await;
    assert_eq!(unknown, Err(not_found("checkout_session_not_found")));
}

async fn a_payment_leads_to_its_checkout(on: &impl On) {
    for n in 1..=3 {
        on.sells(&purchase(n));
    }
    for n in 1..=3 {
        let sold = purchase(n);
        for payment in sale(&sold).payment_intents {
            assert_eq!(
                on.fetch(Reference::SaleOfPayment(payment)).await,
                Ok(Answer::SaleOfPayment(Some(order_id(&sold))))
            );
        }
    }
    let nobodys = PaymentIntentId::new("fpi_nobodys").unwrap();
    let of_nobodys = on.fetch(Reference::SaleOfPayment(nobodys)).await;
    assert_eq!(of_nobodys, Ok(Answer::SaleOfPayment(None)));
}

/// A refund of a purchase's `nth` payment.
fn refund_of(sold: &Purchase, nth: usize, id: &str) -> Value {
    let mut refund = sample("refund.updated")["object"]["refund"].take();
    refund["refund_id"] = json!(id);
    refund["payment_intent_id"] = sold.session["payment_intents"][nth].clone();
    refund["test_mode"] = json!(false);
    refund
}

async fn refunds_are_those_of_the_payment_or_the_checkout(on: &impl On) {
    let (sold, other) = (purchase(1), purchase(2));
    let of = [
        refund_of(&sold, 0, "fre_1"),
        refund_of(&sold, 1, "fre_2"),
        refund_of(&sold, 1, "fre_3"),
        refund_of(&other, 0, "fre_4"),
    ];
    for (sold, refunds) in [(&sold, &of[..3]), (&other, &of[3..])] {
        on.sells(sold);
        for refund in refunds {
            on.refunds(refund);
        }
    }
    let read = async |wanted: Reference| -> BTreeMap<_, _> {
        let Answer::Refunds(read) = on.fetch(wanted).await.unwrap() else {
            panic!("no refunds")
        };
        read.understood
            .into_iter()
            .map(|change| (change.refund_id.clone(), change))
            .collect()
    };
    let facts = |refunds: &[Value]| -> BTreeMap<_, _> {
        refunds
            .iter()
            .map(refund_news)
            .map(|mut change| {
                change.facts.at = Some(ASKED_AT);
                (change.refund_id.clone(), change)
            })
            .collect()
    };
    assert_eq!(
        read(Reference::RefundsOfSale(order_id(&sold))).await,
        facts(&of[..3])
    );
    assert_eq!(
        read(Reference::RefundsOfSale(order_id(&other))).await,
        facts(&of[3..])
    );
    let payment = sale(&sold).payment_intents[1].clone();
    assert_eq!(
        read(Reference::RefundsOfPayment(payment)).await,
        facts(&of[1..3])
    );
    assert_eq!(
        read(Reference::RefundsOfSale(order_id(&purchase(3)))).await,
        BTreeMap::new()
    );
    let nobodys = PaymentIntentId::new("fpi_nobodys").unwrap();
    assert_eq!(
        read(Reference::RefundsOfPayment(nobodys)).await,
        BTreeMap::new()
    );
}

fn subscribed(id: &str, status: &str) -> Value {
    let mut subscription = sample("customer.subscription.updated")["object"]["subscription"].take();
    subscription["subscription_id"] = json!(id);
    subscription["status"] = json!(status);
    subscription["test_mode"] = json!(false);
    subscription
}

async fn a_subscription_is_read_as_it_is(on: &impl On) {
    on.subscribes(&subscribed("fsub_1", "active"));
    on.subscribes(&subscribed("fsub_2", "a_new_word"));
    for (id, status) in [
        ("fsub_1", subscription::SubscriptionStatus::Active),
        (
            "fsub_2",
            subscription::SubscriptionStatus::Other("a_new_word".to_owned()),
        ),
    ] {
        let id = SubscriptionId::new(id).unwrap();
        let change = on.fetch(Reference::Subscription(id.clone())).await.unwrap();
        let Answer::Change(change) = change else {
            panic!("{change:?}")
        };
        let Change::Subscription(change) = *change else {
            panic!("{change:?}")
        };
        assert_eq!(change.subscription_id, id);
        assert_eq!(change.snapshot.status, status);
        assert_eq!(change.snapshot.source, subscription::Source::Read);
    }
    let unknown = SubscriptionId::new("fsub_3").unwrap();
    let unknown = on.fetch(Reference::Subscription(unknown)).await;
    assert_eq!(unknown, Err(not_found("subscription_not_found")));
}

/// All that a list has, by id.
async fn listed(on: &impl On, list: &'static str, since: Timestamp) -> BTreeSet<String> {
    let (mut all, mut after, mut pages) = (BTreeSet::new(), None::<String>, 0);
    loop {
        let ask = Ask {
            list,
            since,
            now: Timestamp::now(),
            after: after.as_deref(),
        };
        let page = on.page(ask).await.unwrap();
        assert!(page.listed.len() <= page.length);
        for listed in page.listed {
            match listed {
                Listed::Found(found) => assert!(all.insert(found.id.clone()), "{} twice", found.id),
                Listed::Unreadable { id, why, .. } => panic!("{id:?}: {why}"),
            }
        }
        pages += 1;
        assert!(pages < 100, "it has no end");
        match page.next {
            Some(next) => after = Some(next),
            None => return all,
        }
    }
}

/// As if it had been bought a minute ago: the lists are read for young things.
fn young(n: u64) -> Purchase {
    let mut young = purchase(n);
    young.session["created_at"] = json!(Timestamp::now().as_second() - 60);
    young
}

async fn a_list_is_read_page_by_page_to_its_end(on: &impl On) {
    let since = Timestamp::now() - jiff::SignedDuration::from_hours(24);
    assert_eq!(listed(on, "checkouts", since).await, BTreeSet::new());
    // More than fit on any page of either.
    let mut ids = BTreeSet::new();
    for n in 1..=213 {
        let sold = young(n);
        on.sells(&sold);
        ids.insert(sold.order_id().to_owned());
    }
    assert_eq!(listed(on, "checkouts", since).await, ids);
    let ask = Ask {
        list: "checkouts",
        since,
        now: Timestamp::now(),
        after: Some("fcs_nobodys"),
    };
    let beyond = on.page(ask).await;
    assert!(
        matches!(beyond, Err(ReadError::Permanent { status: 422, .. })),
        "{beyond:?}"
    );
}

async fn a_list_has_what_is_complete_and_young_enough(on: &impl On) {
    let since = Timestamp::now() - jiff::SignedDuration::from_hours(24);
    let (done, mut open, mut old) = (young(1), young(2), young(3));
    open.session["status"] = json!("open");
    old.session["created_at"] = json!(since.as_second() - 7_200);
    for sold in [&done, &open, &old] {
        on.sells(sold);
    }
    assert_eq!(
        listed(on, "checkouts", since).await,
        BTreeSet::from([done.order_id().to_owned()])
    );
    for (n, status) in ["active", "past_due"].into_iter().enumerate() {
        on.subscribes(&subscribed(&format!("fsub_{n}"), status));
    }
    on.refunds(&refund_of(&done, 0, "fre_1"));
    let both = ["fsub_0", "fsub_1"].map(str::to_owned);
    assert_eq!(
        listed(on, "subscriptions", since).await,
        BTreeSet::from(both)
    );
}
