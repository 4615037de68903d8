//! What the provider's API tells, of single things and in lists: the world in memory, and Flex's client against the
//! stand-in for Flex, which answers in the shapes of Flex's reference.

use domain::{
    access::subscription,
    delivery::{event::RefundsOf, secrets::ApiKey},
    ports::{Listing, ProviderApi},
    receipt::OnUnknown,
    sale::{checkout::Checkout, refund},
    upkeep::reconcile::{Ask, Listed, Page, What},
    values::{
        ids::{OrderId, PaymentIntentId, SubscriptionId},
        outcome::ReadError,
        provider::Provider,
    },
};
use jiff::Timestamp;
use kit::{
    drive::Bundle,
    shop::{Purchase, sample},
    stand_in::StandIn,
    story::{checkout, open_shop, purchase, refund_news},
};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// An API, and a way to let it know things, in the provider's own words.
trait On {
    fn api(&self) -> &(impl ProviderApi + Listing);
    fn sells(&self, purchase: &Purchase);
    fn refunds(&self, refund: &Value);
    fn subscribes(&self, subscription: &Value);
}

impl On for Bundle {
    fn api(&self) -> &(impl ProviderApi + Listing) {
        &self.world
    }
    fn sells(&self, purchase: &Purchase) {
        self.provider_has(&checkout(purchase));
    }
    fn refunds(&self, refund: &Value) {
        self.provider_has_refunds(&[refund_news(refund)]);
    }
    fn subscribes(&self, subscription: &Value) {
        self.provider_has_subscription(subscription);
    }
}

/// Flex's client with its key, and what it asks.
struct Flex {
    api: flex::Api,
    key: ApiKey,
    stand_in: StandIn,
}

impl ProviderApi for Flex {
    async fn checkout(&self, _: Provider, order_id: &OrderId) -> Result<Checkout, ReadError> {
        self.api.checkout(&self.key, order_id).await
    }
    async fn checkout_of(
        &self,
        _: Provider,
        id: &PaymentIntentId,
    ) -> Result<Option<OrderId>, ReadError> {
        self.api.checkout_of(&self.key, id).await
    }
    async fn refunds(
        &self,
        _: Provider,
        of: &RefundsOf,
    ) -> Result<Vec<refund::RefundChange>, ReadError> {
        self.api.refunds(&self.key, of).await
    }
    async fn subscription(
        &self,
        _: Provider,
        id: &SubscriptionId,
    ) -> Result<subscription::SubscriptionChange, ReadError> {
        self.api.subscription(&self.key, id).await
    }
}

impl Listing for Flex {
    async fn list(&self, _: Provider, ask: Ask<'_>) -> Result<Page, ReadError> {
        self.api.list(&self.key, &ask).await
    }
}

impl On for Flex {
    fn api(&self) -> &(impl ProviderApi + Listing) {
        self
    }
    fn sells(&self, purchase: &Purchase) {
        self.stand_in.put_purchase(purchase);
    }
    fn refunds(&self, refund: &Value) {
        self.stand_in.put_refund(refund.clone());
    }
    fn subscribes(&self, subscription: &Value) {
        self.stand_in.put_subscription(subscription.clone());
    }
}

async fn flex() -> Flex {
    let stand_in = StandIn::start().await.unwrap();
    let api = flex::Api::new(&stand_in.url).unwrap();
    Flex {
        api,
        key: ApiKey::new("fsk_live").unwrap(),
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

const FLEX: Provider = Provider::Flex;

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
    let read = on.api().checkout(FLEX, &order_id(&sold)).await.unwrap();
    // What its payments tell is read besides, where there is something to read.
    assert_eq!(
        Checkout {
            payments: BTreeMap::new(),
            ..read
        },
        checkout(&sold)
    );
    let unknown = on.api().checkout(FLEX, &order_id(&unknown)).await;
    assert_eq!(unknown, Err(not_found("checkout_session_not_found")));
}

async fn a_payment_leads_to_its_checkout(on: &impl On) {
    for n in 1..=3 {
        on.sells(&purchase(n));
    }
    for n in 1..=3 {
        let sold = purchase(n);
        for payment in checkout(&sold).payment_intents {
            assert_eq!(
                on.api().checkout_of(FLEX, &payment).await,
                Ok(Some(order_id(&sold)))
            );
        }
    }
    let nobodys = PaymentIntentId::new("fpi_nobodys").unwrap();
    assert_eq!(on.api().checkout_of(FLEX, &nobodys).await, Ok(None));
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
    let read = async |wanted: RefundsOf| -> BTreeMap<_, _> {
        let read = on.api().refunds(FLEX, &wanted).await.unwrap().into_iter();
        read.map(|change| (change.refund_id.clone(), change))
            .collect()
    };
    let facts = |refunds: &[Value]| -> BTreeMap<_, _> {
        refunds
            .iter()
            .map(refund_news)
            .map(|change| (change.refund_id.clone(), change))
            .collect()
    };
    assert_eq!(
        read(RefundsOf::Checkout(order_id(&sold))).await,
        facts(&of[..3])
    );
    assert_eq!(
        read(RefundsOf::Checkout(order_id(&other))).await,
        facts(&of[3..])
    );
    let payment = checkout(&sold).payment_intents[1].clone();
    assert_eq!(read(RefundsOf::Payment(payment)).await, facts(&of[1..3]));
    assert_eq!(
        read(RefundsOf::Checkout(order_id(&purchase(3)))).await,
        BTreeMap::new()
    );
    let nobodys = PaymentIntentId::new("fpi_nobodys").unwrap();
    assert_eq!(read(RefundsOf::Payment(nobodys)).await, BTreeMap::new());
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
        let change = on.api().subscription(FLEX, &id).await.unwrap();
        assert_eq!(
            (change.subscription_id, change.snapshot.status),
            (id, status)
        );
        assert_eq!(change.snapshot.source, subscription::Source::Read);
    }
    let unknown = on
        .api()
        .subscription(FLEX, &SubscriptionId::new("fsub_3").unwrap())
        .await;
    assert_eq!(unknown, Err(not_found("subscription_not_found")));
}

/// All that a list has, by id.
async fn listed(on: &impl On, what: What, since: Timestamp) -> BTreeSet<String> {
    let (mut all, mut after, mut pages) = (BTreeSet::new(), None::<String>, 0);
    loop {
        let ask = Ask {
            what,
            since,
            now: Timestamp::now(),
            after: after.as_deref(),
        };
        let page = on.api().list(FLEX, ask).await.unwrap();
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

/// As if it had been bought a minute ago: lists are asked for what is young.
fn young(n: u64) -> Purchase {
    let mut young = purchase(n);
    young.session["created_at"] = json!(Timestamp::now().as_second() - 60);
    young
}

async fn a_list_is_read_page_by_page_to_its_end(on: &impl On) {
    let since = Timestamp::now() - jiff::SignedDuration::from_hours(24);
    assert_eq!(listed(on, What::Checkouts, since).await, BTreeSet::new());
    // More than fit on any page of either.
    let mut ids = BTreeSet::new();
    for n in 1..=213 {
        let sold = young(n);
        on.sells(&sold);
        ids.insert(sold.order_id().to_owned());
    }
    assert_eq!(listed(on, What::Checkouts, since).await, ids);
    let ask = Ask {
        what: What::Checkouts,
        since,
        now: Timestamp::now(),
        after: Some("fcs_nobodys"),
    };
    let beyond = on.api().list(FLEX, ask).await;
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
        listed(on, What::Checkouts, since).await,
        BTreeSet::from([done.order_id().to_owned()])
    );
    for (n, status) in ["active", "past_due"].into_iter().enumerate() {
        on.subscribes(&subscribed(&format!("fsub_{n}"), status));
    }
    on.refunds(&refund_of(&done, 0, "fre_1"));
    let both = ["fsub_0", "fsub_1"].map(str::to_owned);
    assert_eq!(
        listed(on, What::Subscriptions, since).await,
        BTreeSet::from(both)
    );
}
