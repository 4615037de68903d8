//! The reading phase: for each kind of news, the rows and the provider's answers that its decision is taken on.

use crate::Fulfillment;
use domain::{
    contact, dispute,
    event::{News, RefundsOf, StoredEvent},
    fulfillment::{
        Decision, Doubt,
        after_sale::{self, AboutPayment},
        checkout, customer, restored,
        subscription::{self as rules, learned, learned_invoice},
    },
    ids::{CustomerId, OrderId, PaymentIntentId, SubscriptionId},
    job::ReceiptJob,
    ledger::{Rows, Wanted},
    order::Order,
    outcome::Setback,
    payment,
    ports::{Clock, Entitlements, Events, Ledger, ProviderApi, Queue, ReadError, Receipts},
    refund,
    subscription::{self, Subscription},
};
use jiff::{SignedDuration, Timestamp};

/// How often a checkout is read at most for one decision.
const READINGS: u32 = 3;

/// What brings a checkout up.
enum About<'a> {
    /// News of the checkout; they may say that it is completed.
    Checkout {
        /// Whether they do.
        completed: bool,
    },
    /// News of one of its payments.
    Payment(&'a payment::News),
    /// News that a delayed payment has arrived.
    Paid,
}

/// A decision, and the order or the subscription that it was taken on.
#[derive(Debug)]
pub(crate) struct Gathered {
    pub(crate) decision: Decision,
    pub(crate) order: Option<Order>,
    pub(crate) subscription: Option<Subscription>,
}

impl Gathered {
    fn about_order(decision: Decision, order: Option<Order>) -> Self {
        Self {
            decision,
            order,
            subscription: None,
        }
    }

    fn about_subscription(decision: Decision, subscription: Subscription) -> Self {
        Self {
            decision,
            order: None,
            subscription: Some(subscription),
        }
    }
}

impl From<Decision> for Gathered {
    fn from(decision: Decision) -> Self {
        Self::about_order(decision, None)
    }
}

/// What the provider says, or why a person must decide.
type Told<T> = Result<T, Doubt>;

/// Sorts a reading: the world away is a setback, "will not tell" is a doubt.
fn told<T>(read: Result<T, ReadError>) -> Result<Told<T>, Setback> {
    match read {
        Ok(value) => Ok(Ok(value)),
        Err(ReadError::Transient(setback)) => Err(setback),
        Err(ReadError::KeyRefused { status }) => {
            let cause = format!("our API key is answered with {status}");
            Err(Setback::SetUp {
                service: "the provider's API",
                cause,
            })
        }
        Err(error @ (ReadError::Permanent { .. } | ReadError::NotUnderstood(_))) => {
            Ok(Err(Doubt::NotTold(error)))
        }
    }
}

impl<E, L, N, R, Q, P, C> Fulfillment<E, L, N, R, Q, P, C>
where
    E: Events,
    L: Ledger,
    N: Entitlements,
    R: Receipts,
    Q: Queue<ReceiptJob>,
    P: ProviderApi,
    C: Clock,
{
    /// Reads what an event's news call for, and decides.
    pub(crate) async fn gather(
        &self,
        event: &StoredEvent,
        news: &News,
    ) -> Result<Gathered, Setback> {
        match news {
            News::Checkout {
                order_id,
                completed,
            } => {
                let order = self.order(order_id).await?;
                self.checkout(
                    event,
                    order_id,
                    &About::Checkout {
                        completed: *completed,
                    },
                    order,
                )
                .await
            }
            News::CheckoutPaid { order_id } => {
                let order = self.order(order_id).await?;
                self.checkout(event, order_id, &About::Paid, order).await
            }
            News::Payment(news) => self.payment(event, news).await,
            News::Refund(news) => {
                let payment = &news.told.payment_intent_id;
                let order = self
                    .order_of(event, payment, news.subscription_id.as_ref())
                    .await?;
                self.refunds(event, event.told_at(), std::slice::from_ref(news), order)
                    .await
            }
            News::RefundsOf(of) => self.refunds_of(event, of).await,
            News::Dispute(news) => self.dispute(event, news).await,
            News::Subscription(news) => self.subscription(event, news).await,
            News::Invoice(news) => self.invoice(event, news).await,
            News::Customer(news) => self.customer(event, news).await,
            News::NotNeeded | News::Unhandled => Ok(Decision::Park(Doubt::NoSubject).into()),
        }
    }

    async fn order(&self, id: &OrderId) -> Result<Option<Order>, Setback> {
        let wanted = Wanted {
            order: Some(id.clone()),
            ..Wanted::default()
        };
        Ok(self.ledger.read(&wanted).await?.order)
    }

    /// A checkout: what is fulfilled is done, anything else is looked at where it is true.
    async fn checkout(
        &self,
        event: &StoredEvent,
        order_id: &OrderId,
        about: &About<'_>,
        order: Option<Order>,
    ) -> Result<Gathered, Setback> {
        if let Some(order) = order.as_ref().filter(|order| order.fulfilled_at.is_some()) {
            let rows = match about {
                About::Checkout { completed: true } => {
                    self.ledger.read(&restored::wanted_shelves(order)).await?
                }
                About::Checkout { .. } | About::Payment(_) | About::Paid => Rows::default(),
            };
            let decision = restored::decide(event, order, &rows, self.clock.now());
            return Ok(Gathered::about_order(decision, Some(order.clone())));
        }
        let mut readings = 0;
        loop {
            readings += 1;
            let read_at = self.clock.now();
            let mut checkout = match told(self.api.checkout(event.provider, order_id).await)? {
                Ok(checkout) => checkout,
                Err(doubt) => return Ok(Decision::Park(doubt).into()),
            };
            if let (None, Some(id)) = (&checkout.customer.customer_id, &checkout.subscription_id) {
                checkout.customer.customer_id = self.entitlements.customer_of(id).await?;
            }
            let wanted = checkout::wanted(&checkout);
            let known = Rows {
                order: order.clone(),
                ..Rows::default()
            };
            let mut rows = known.and(self.ledger.read(&wanted).await?);
            if !wanted.mapping.is_empty() {
                let shelves = self
                    .ledger
                    .read(&checkout::wanted_shelves(&checkout, &rows))
                    .await?;
                rows = rows.and(shelves);
            }
            let now = self.clock.now();
            let decide = |rows: &Rows| match about {
                About::Checkout { completed } => {
                    checkout::decide(event, *completed, &checkout, rows, &self.policy, now)
                }
                About::Payment(_) => {
                    checkout::decide(event, false, &checkout, rows, &self.policy, now)
                }
                About::Paid => checkout::decide_paid(event, &checkout, rows, &self.policy, now),
            };
            let decision = match about {
                About::Payment(news) => decide(&after_sale::noted(event, news, rows.clone())),
                About::Checkout { .. } | About::Paid => decide(&rows),
            };
            // What was heard of a payment while the provider was asked may not be in its answer.
            if readings == READINGS || !checkout::read_too_early(&decision, &rows, read_at) {
                return Ok(Gathered::about_order(decision, rows.order));
            }
        }
    }

    /// A payment: it may be what an order waits for.
    async fn payment(
        &self,
        event: &StoredEvent,
        news: &payment::News,
    ) -> Result<Gathered, Setback> {
        let id = &news.payment_intent_id;
        let mut rows = self
            .ledger
            .read(&Wanted {
                links: vec![id.clone()],
                ..Wanted::default()
            })
            .await?;
        if let Some(order_id) = rows.links.get(id).and_then(|link| link.order_id.clone()) {
            rows.order = self.order(&order_id).await?;
        }
        match after_sale::payment(event, news, &rows, &self.policy, self.clock.now()) {
            AboutPayment::Decided(decision) => Ok(Gathered::about_order(decision, rows.order)),
            AboutPayment::LookAgain => {
                match rows.order.as_ref().map(|order| order.order_id.clone()) {
                    Some(order_id) => {
                        self.checkout(event, &order_id, &About::Payment(news), rows.order)
                            .await
                    }
                    None => Err(Setback::Fault("an order waits and is not there".to_owned())),
                }
            }
        }
    }

    /// The order that a payment was made for: by its link, by the subscription that it renewed, else by asking the
    /// provider, for orders from before links were kept.
    async fn order_of(
        &self,
        event: &StoredEvent,
        payment: &PaymentIntentId,
        subscription: Option<&SubscriptionId>,
    ) -> Result<Option<Order>, Setback> {
        let rows = self
            .ledger
            .read(&Wanted {
                links: vec![payment.clone()],
                ..Wanted::default()
            })
            .await?;
        let linked = rows
            .links
            .get(payment)
            .and_then(|link| link.order_id.clone());
        let order_id = match (linked, subscription) {
            (Some(order_id), _) => Some(order_id),
            (None, Some(id)) => self.beginning_of(id).await?,
            (None, None) => None,
        };
        let order_id = match order_id {
            Some(order_id) => Some(order_id),
            // "Will not tell" is no answer either way: the order may still come.
            None => told(self.api.checkout_of(event.provider, payment).await)?
                .ok()
                .flatten(),
        };
        match order_id {
            Some(order_id) => self.order(&order_id).await,
            None => Ok(None),
        }
    }

    /// The order that a subscription began with.
    async fn beginning_of(&self, id: &SubscriptionId) -> Result<Option<OrderId>, Setback> {
        let Some(customer_id) = self.entitlements.customer_of(id).await? else {
            return Ok(None);
        };
        let subscription = self.entitlements.subscription(&customer_id, id).await?;
        Ok(subscription
            .and_then(|subscription| subscription.beginning)
            .map(|beginning| beginning.order_id))
    }

    async fn refunds(
        &self,
        event: &StoredEvent,
        told_at: Timestamp,
        news: &[refund::News],
        order: Option<Order>,
    ) -> Result<Gathered, Setback> {
        let shelves = match &order {
            Some(order) => {
                self.ledger
                    .read(&after_sale::wanted_shelves(order, &self.policy))
                    .await?
            }
            None => Rows::default(),
        };
        let rows = Rows { order, ..shelves };
        let now = self.clock.now();
        let decision = after_sale::refunds(event, told_at, news, &rows, &self.policy, now);
        Ok(Gathered::about_order(decision, rows.order))
    }

    /// Refunds that an event does not name: all there are, from the provider.
    async fn refunds_of(&self, event: &StoredEvent, of: &RefundsOf) -> Result<Gathered, Setback> {
        let read_at = self.clock.now();
        let mut news = match told(self.api.refunds(event.provider, of).await)? {
            Ok(news) => news,
            Err(doubt) => return Ok(Decision::Park(doubt).into()),
        };
        let order = match of {
            RefundsOf::Checkout(order_id) => {
                let order = self.order(order_id).await?;
                // A list of somebody else's refunds must never become this customer's mails.
                let own = order
                    .as_ref()
                    .map(|order| order.payment_intents.as_slice())
                    .unwrap_or_default();
                news.retain(|news| order.is_none() || own.contains(&news.told.payment_intent_id));
                order
            }
            RefundsOf::Payment(payment) => {
                let subscription = news.iter().find_map(|news| news.subscription_id.as_ref());
                self.order_of(event, payment, subscription).await?
            }
        };
        if news.is_empty() {
            return Ok(Decision::Wait {
                commit: None,
                doubt: Doubt::NoRefund,
            }
            .into());
        }
        self.refunds(event, read_at, &news, order).await
    }

    async fn dispute(
        &self,
        event: &StoredEvent,
        news: &dispute::News,
    ) -> Result<Gathered, Setback> {
        let order = self
            .order_of(event, &news.told.payment_intent_id, None)
            .await?;
        let rows = Rows {
            order,
            ..Rows::default()
        };
        let decision = after_sale::dispute(event, news, &rows, &self.policy);
        Ok(Gathered::about_order(decision, rows.order))
    }

    async fn subscription(
        &self,
        event: &StoredEvent,
        news: &subscription::News,
    ) -> Result<Gathered, Setback> {
        let key = (news.customer_id.clone(), news.subscription_id.clone());
        let rows = self
            .ledger
            .read(&Wanted {
                subscription: Some(key),
                ..Wanted::default()
            })
            .await?;
        let mut learned = learned(event, news, rows.subscription.as_ref());
        if let Err(doubt) = self.ask(event, &mut learned).await? {
            return Ok(Decision::Park(doubt).into());
        }
        let rows = rows.and(
            self.ledger
                .read(&rules::wanted_entitlements(&learned))
                .await?,
        );
        let now = self.clock.now();
        let decision = rules::decide(event, news, &learned, &rows, &self.policy, now);
        Ok(Gathered::about_subscription(decision, learned))
    }

    async fn invoice(
        &self,
        event: &StoredEvent,
        news: &subscription::InvoiceNews,
    ) -> Result<Gathered, Setback> {
        let customer_id = match self.customer_of(event, news).await? {
            Ok(customer_id) => customer_id,
            Err(doubt) => return Ok(Decision::Park(doubt).into()),
        };
        let wanted = Wanted {
            subscription: Some((customer_id.clone(), news.subscription_id.clone())),
            links: news.bill.payment_intent_id.iter().cloned().collect(),
            ..Wanted::default()
        };
        let rows = self.ledger.read(&wanted).await?;
        let mut learned = learned_invoice(event, news, &customer_id, rows.subscription.as_ref());
        if let Err(doubt) = self.ask(event, &mut learned).await? {
            return Ok(Decision::Park(doubt).into());
        }
        let wanted = Wanted {
            order: learned
                .beginning
                .as_ref()
                .map(|beginning| beginning.order_id.clone()),
            ..rules::wanted_entitlements(&learned)
        };
        let rows = rows.and(self.ledger.read(&wanted).await?);
        let now = self.clock.now();
        let decision = rules::decide_invoice(event, news, &learned, &rows, &self.policy, now);
        Ok(Gathered::about_subscription(decision, learned))
    }

    /// Whose an invoice is: what it says, what is stored, what the provider says.
    async fn customer_of(
        &self,
        event: &StoredEvent,
        news: &subscription::InvoiceNews,
    ) -> Result<Told<CustomerId>, Setback> {
        if let Some(customer_id) = &news.customer_id {
            return Ok(Ok(customer_id.clone()));
        }
        if let Some(customer_id) = self.entitlements.customer_of(&news.subscription_id).await? {
            return Ok(Ok(customer_id));
        }
        let read = told(
            self.api
                .subscription(event.provider, &news.subscription_id)
                .await,
        )?;
        Ok(read.map(|news| news.customer_id))
    }

    /// Asks the provider what a subscription is like, where the facts contradict each other or do not say enough. That
    /// it knows of none leaves them as they are; that its answer is not understood is a doubt where something would be
    /// taken away.
    async fn ask(
        &self,
        event: &StoredEvent,
        learned: &mut Subscription,
    ) -> Result<Told<()>, Setback> {
        if !rules::asks(learned) {
            return Ok(Ok(()));
        }
        // Dated before it is asked: what is announced while it answers may not be in the answer.
        let asked_at = self.clock.now();
        match told(
            self.api
                .subscription(event.provider, &learned.subscription_id)
                .await,
        )? {
            Ok(news) => {
                // It knows what it had announced when it was asked, whatever our clock says.
                let announced_at = learned.snapshot.as_ref().map(|told| told.at);
                let next =
                    announced_at.and_then(|at| at.checked_add(SignedDuration::from_secs(1)).ok());
                learned.learn(
                    next.map_or(asked_at, |next| next.max(asked_at)),
                    news.snapshot,
                );
                Ok(Ok(()))
            }
            Err(doubt @ Doubt::NotTold(ReadError::NotUnderstood(_)))
                if learned.is_contradicted() =>
            {
                Ok(Err(doubt))
            }
            Err(_) => Ok(Ok(())),
        }
    }

    async fn customer(
        &self,
        event: &StoredEvent,
        news: &contact::News,
    ) -> Result<Gathered, Setback> {
        let wanted = Wanted {
            contact: Some(news.customer_id.clone()),
            ..Wanted::default()
        };
        let rows = self.ledger.read(&wanted).await?;
        Ok(customer(event, news, &rows, &self.policy).into())
    }
}
