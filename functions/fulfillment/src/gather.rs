//! The reading phase: for each kind of news, the rows and the provider's answers that its decision is taken on.

use crate::Fulfillment;
use domain::{
    access::{
        contact,
        subscription::{self, Subscription},
    },
    delivery::{
        event::{Change, RefundsOf},
        job::ReceiptJob,
        stored_event::StoredEvent,
    },
    fulfillment::{
        Decision, ParkReason,
        after_sale::{self, AboutPayment},
        checkout, customer,
        read_set::{ReadSet, Snapshot},
        restored, subscription as rules,
        subscription::{learned, learned_invoice},
    },
    ports::{Clock, Entitlements, Events, Ledger, ProviderApi, Queue, Receipts},
    sale::{dispute, order::Order, payment, refund},
    values::{
        ids::{CustomerId, OrderId, PaymentIntentId, SubscriptionId},
        outcome::{ReadError, RetryableError},
    },
};
use jiff::{SignedDuration, Timestamp};

/// How often a checkout is read at most for one decision.
const READINGS: u32 = 3;

/// What brings a checkout up.
enum About<'a> {
    /// Change of the checkout; they may say that it is completed.
    Checkout {
        /// Whether they do.
        completed: bool,
    },
    /// Change of one of its payments.
    Payment(&'a payment::PaymentChange),
    /// Change that a delayed payment has arrived.
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
type Told<T> = Result<T, ParkReason>;

/// Sorts a reading: the world away is a setback, "will not tell" is a doubt.
fn facts<T>(read: Result<T, ReadError>) -> Result<Told<T>, RetryableError> {
    match read {
        Ok(value) => Ok(Ok(value)),
        Err(ReadError::Transient(error)) => Err(error),
        Err(ReadError::KeyRefused { status }) => {
            let cause = format!("our API key is answered with {status}");
            Err(RetryableError::SetUp {
                service: "the provider's API",
                cause,
            })
        }
        Err(error @ (ReadError::Permanent { .. } | ReadError::NotUnderstood(_))) => {
            Ok(Err(ParkReason::NotTold(error)))
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
        change: &Change,
    ) -> Result<Gathered, RetryableError> {
        match change {
            Change::Checkout {
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
            Change::CheckoutPaid { order_id } => {
                let order = self.order(order_id).await?;
                self.checkout(event, order_id, &About::Paid, order).await
            }
            Change::Payment(change) => self.payment(event, change).await,
            Change::Refund(change) => {
                let payment = &change.facts.payment_intent_id;
                let order = self
                    .order_of(event, payment, change.subscription_id.as_ref())
                    .await?;
                self.refunds(
                    event,
                    event.stated_at(),
                    std::slice::from_ref(change),
                    order,
                )
                .await
            }
            Change::RefundsOf(of) => self.refunds_of(event, of).await,
            Change::Dispute(change) => self.dispute(event, change).await,
            Change::Subscription(change) => self.subscription(event, change).await,
            Change::Invoice(change) => self.invoice(event, change).await,
            Change::Customer(change) => self.customer(event, change).await,
            Change::NotNeeded | Change::Unhandled => {
                Ok(Decision::Park(ParkReason::NoSubject).into())
            }
        }
    }

    async fn order(&self, id: &OrderId) -> Result<Option<Order>, RetryableError> {
        let read_set = ReadSet {
            order: Some(id.clone()),
            ..ReadSet::default()
        };
        Ok(self.ledger.read(&read_set).await?.order)
    }

    /// A checkout: what is fulfilled is done, anything else is looked at where it is true.
    async fn checkout(
        &self,
        event: &StoredEvent,
        order_id: &OrderId,
        about: &About<'_>,
        order: Option<Order>,
    ) -> Result<Gathered, RetryableError> {
        if let Some(order) = order.as_ref().filter(|order| order.fulfilled_at.is_some()) {
            let rows = match about {
                About::Checkout { completed: true } => {
                    self.ledger.read(&restored::stock_read_set(order)).await?
                }
                About::Checkout { .. } | About::Payment(_) | About::Paid => Snapshot::default(),
            };
            let decision = restored::decide(event, order, &rows, self.clock.now());
            return Ok(Gathered::about_order(decision, Some(order.clone())));
        }
        let mut readings = 0;
        loop {
            readings += 1;
            let read_at = self.clock.now();
            let mut checkout = match facts(self.api.checkout(event.provider, order_id).await)? {
                Ok(checkout) => checkout,
                Err(park_reason) => return Ok(Decision::Park(park_reason).into()),
            };
            if let (None, Some(id)) = (&checkout.customer.customer_id, &checkout.subscription_id) {
                checkout.customer.customer_id = self.entitlements.customer_of(id).await?;
            }
            let read_set = checkout::read_set(&checkout);
            let known = Snapshot {
                order: order.clone(),
                ..Snapshot::default()
            };
            let mut rows = known.and(self.ledger.read(&read_set).await?);
            if !read_set.mapping.is_empty() {
                let stock_levels = self
                    .ledger
                    .read(&checkout::stock_read_set(&checkout, &rows))
                    .await?;
                rows = rows.and(stock_levels);
            }
            let now = self.clock.now();
            let decide = |rows: &Snapshot| match about {
                About::Checkout { completed } => {
                    checkout::decide(event, *completed, &checkout, rows, &self.policy, now)
                }
                About::Payment(_) => {
                    checkout::decide(event, false, &checkout, rows, &self.policy, now)
                }
                About::Paid => checkout::decide_paid(event, &checkout, rows, &self.policy, now),
            };
            let decision = match about {
                About::Payment(change) => decide(&after_sale::noted(event, change, rows.clone())),
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
        change: &payment::PaymentChange,
    ) -> Result<Gathered, RetryableError> {
        let id = &change.payment_intent_id;
        let mut rows = self
            .ledger
            .read(&ReadSet {
                links: vec![id.clone()],
                ..ReadSet::default()
            })
            .await?;
        if let Some(order_id) = rows.links.get(id).and_then(|link| link.order_id.clone()) {
            rows.order = self.order(&order_id).await?;
        }
        match after_sale::payment(event, change, &rows, &self.policy, self.clock.now()) {
            AboutPayment::Decided(decision) => Ok(Gathered::about_order(decision, rows.order)),
            AboutPayment::LookAgain => {
                match rows.order.as_ref().map(|order| order.order_id.clone()) {
                    Some(order_id) => {
                        self.checkout(event, &order_id, &About::Payment(change), rows.order)
                            .await
                    }
                    None => Err(RetryableError::Fault(
                        "an order waits and is not there".to_owned(),
                    )),
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
    ) -> Result<Option<Order>, RetryableError> {
        let rows = self
            .ledger
            .read(&ReadSet {
                links: vec![payment.clone()],
                ..ReadSet::default()
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
            None => facts(self.api.checkout_of(event.provider, payment).await)?
                .ok()
                .flatten(),
        };
        match order_id {
            Some(order_id) => self.order(&order_id).await,
            None => Ok(None),
        }
    }

    /// The order that a subscription began with.
    async fn beginning_of(&self, id: &SubscriptionId) -> Result<Option<OrderId>, RetryableError> {
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
        stated_at: Timestamp,
        change: &[refund::RefundChange],
        order: Option<Order>,
    ) -> Result<Gathered, RetryableError> {
        let stock_levels = match &order {
            Some(order) => {
                self.ledger
                    .read(&after_sale::stock_read_set(order, &self.policy))
                    .await?
            }
            None => Snapshot::default(),
        };
        let rows = Snapshot {
            order,
            ..stock_levels
        };
        let now = self.clock.now();
        let decision = after_sale::refunds(event, stated_at, change, &rows, &self.policy, now);
        Ok(Gathered::about_order(decision, rows.order))
    }

    /// Refunds that an event does not name: all there are, from the provider.
    async fn refunds_of(
        &self,
        event: &StoredEvent,
        of: &RefundsOf,
    ) -> Result<Gathered, RetryableError> {
        let read_at = self.clock.now();
        let mut change = match facts(self.api.refunds(event.provider, of).await)? {
            Ok(change) => change,
            Err(park_reason) => return Ok(Decision::Park(park_reason).into()),
        };
        let order = match of {
            RefundsOf::Checkout(order_id) => {
                let order = self.order(order_id).await?;
                // A list of somebody else's refunds must never become this customer's mails.
                let own = order
                    .as_ref()
                    .map(|order| order.payment_intents.as_slice())
                    .unwrap_or_default();
                change.retain(|change| {
                    order.is_none() || own.contains(&change.facts.payment_intent_id)
                });
                order
            }
            RefundsOf::Payment(payment) => {
                let subscription = change
                    .iter()
                    .find_map(|change| change.subscription_id.as_ref());
                self.order_of(event, payment, subscription).await?
            }
        };
        if change.is_empty() {
            return Ok(Decision::Wait {
                commit: None,
                park_reason: ParkReason::NoRefund,
            }
            .into());
        }
        self.refunds(event, read_at, &change, order).await
    }

    async fn dispute(
        &self,
        event: &StoredEvent,
        change: &dispute::DisputeChange,
    ) -> Result<Gathered, RetryableError> {
        let order = self
            .order_of(event, &change.facts.payment_intent_id, None)
            .await?;
        let rows = Snapshot {
            order,
            ..Snapshot::default()
        };
        let decision = after_sale::dispute(event, change, &rows, &self.policy);
        Ok(Gathered::about_order(decision, rows.order))
    }

    async fn subscription(
        &self,
        event: &StoredEvent,
        change: &subscription::SubscriptionChange,
    ) -> Result<Gathered, RetryableError> {
        let key = (change.customer_id.clone(), change.subscription_id.clone());
        let rows = self
            .ledger
            .read(&ReadSet {
                subscription: Some(key),
                ..ReadSet::default()
            })
            .await?;
        let mut learned = learned(event, change, rows.subscription.as_ref());
        if let Err(park_reason) = self.ask(event, &mut learned).await? {
            return Ok(Decision::Park(park_reason).into());
        }
        let rows = rows.and(
            self.ledger
                .read(&rules::entitlement_read_set(&learned))
                .await?,
        );
        let now = self.clock.now();
        let decision = rules::decide(event, change, &learned, &rows, &self.policy, now);
        Ok(Gathered::about_subscription(decision, learned))
    }

    async fn invoice(
        &self,
        event: &StoredEvent,
        change: &subscription::InvoiceChange,
    ) -> Result<Gathered, RetryableError> {
        let customer_id = match self.customer_of(event, change).await? {
            Ok(customer_id) => customer_id,
            Err(park_reason) => return Ok(Decision::Park(park_reason).into()),
        };
        let read_set = ReadSet {
            subscription: Some((customer_id.clone(), change.subscription_id.clone())),
            links: change.bill.payment_intent_id.iter().cloned().collect(),
            ..ReadSet::default()
        };
        let rows = self.ledger.read(&read_set).await?;
        let mut learned = learned_invoice(event, change, &customer_id, rows.subscription.as_ref());
        if let Err(park_reason) = self.ask(event, &mut learned).await? {
            return Ok(Decision::Park(park_reason).into());
        }
        let read_set = ReadSet {
            order: learned
                .beginning
                .as_ref()
                .map(|beginning| beginning.order_id.clone()),
            ..rules::entitlement_read_set(&learned)
        };
        let rows = rows.and(self.ledger.read(&read_set).await?);
        let now = self.clock.now();
        let decision = rules::decide_invoice(event, change, &learned, &rows, &self.policy, now);
        Ok(Gathered::about_subscription(decision, learned))
    }

    /// Whose an invoice is: what it says, what is stored, what the provider says.
    async fn customer_of(
        &self,
        event: &StoredEvent,
        change: &subscription::InvoiceChange,
    ) -> Result<Told<CustomerId>, RetryableError> {
        if let Some(customer_id) = &change.customer_id {
            return Ok(Ok(customer_id.clone()));
        }
        if let Some(customer_id) = self
            .entitlements
            .customer_of(&change.subscription_id)
            .await?
        {
            return Ok(Ok(customer_id));
        }
        let read = facts(
            self.api
                .subscription(event.provider, &change.subscription_id)
                .await,
        )?;
        Ok(read.map(|change| change.customer_id))
    }

    /// Asks the provider what a subscription is like, where the facts contradict each other or do not say enough. That
    /// it knows of none leaves them as they are; that its answer is not understood is a doubt where something would be
    /// taken away.
    async fn ask(
        &self,
        event: &StoredEvent,
        learned: &mut Subscription,
    ) -> Result<Told<()>, RetryableError> {
        if !rules::asks(learned) {
            return Ok(Ok(()));
        }
        // Dated before it is asked: what is announced while it answers may not be in the answer.
        let asked_at = self.clock.now();
        match facts(
            self.api
                .subscription(event.provider, &learned.subscription_id)
                .await,
        )? {
            Ok(change) => {
                // It knows what it had announced when it was asked, whatever our clock says.
                let announced_at = learned.snapshot.as_ref().map(|facts| facts.at);
                let next =
                    announced_at.and_then(|at| at.checked_add(SignedDuration::from_secs(1)).ok());
                learned.learn(
                    next.map_or(asked_at, |next| next.max(asked_at)),
                    change.snapshot,
                );
                Ok(Ok(()))
            }
            Err(park_reason @ ParkReason::NotTold(ReadError::NotUnderstood(_)))
                if learned.is_contradicted() =>
            {
                Ok(Err(park_reason))
            }
            Err(_) => Ok(Ok(())),
        }
    }

    async fn customer(
        &self,
        event: &StoredEvent,
        change: &contact::ContactChange,
    ) -> Result<Gathered, RetryableError> {
        let read_set = ReadSet {
            contact: Some(change.customer_id.clone()),
            ..ReadSet::default()
        };
        let rows = self.ledger.read(&read_set).await?;
        Ok(customer(event, change, &rows, &self.policy).into())
    }
}
