//! The edge of reconcile: what the provider's lists have and nobody told us of is driven through the path of a webhook.
//!
//! list → compare → wait a moment → see what waits → compare again → record → queue. Nothing but events is written here,
//! each under an id that is the same whenever the same gap is found, so that a second run, or two at once, come to the
//! same as one. What follows from an event is fulfillment's alone, under its own conditions.

use domain::{
    delivery::{
        Delivery,
        event::{Change, Reading, Unreadable},
        job::FulfillmentJob,
        reference_state::reference_state,
        stored_event::{EventState, StoredEvent},
    },
    fulfillment::read_set::{ReadSet, Snapshot},
    ports::{Clock, Entitlements, Events, Ledger, Listing, Queue, Recorded, ReferenceStates},
    upkeep::reconcile::{
        self, Ask, Found, Listed, Page, What, event_id, goes_on, is_asked_again, is_missing,
        is_overtaken, order_that_waits, stated_at,
    },
    values::{
        fingerprint::fingerprint,
        ids::{DeliveryId, EventId, OrderId, ReferenceState, SubscriptionId},
        mode::Mode,
        outcome::{ReadError, RetryableError},
        provider::Provider,
    },
};
use futures_util::{StreamExt, stream};
use jiff::{SignedDuration, Timestamp};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::Duration,
};

/// How many things are compared, or made up for, at the same time.
const AT_ONCE: usize = 10;
/// The most that a run makes up for of a list; the next one goes on, since by then these have their events.
pub const MOST_GAPS: usize = 1_000;
/// The most pages that are read of a list: with a hundred things each, more than a shop has in some days.
pub const MOST_PAGES: usize = 200;
/// The most events that are looked at of those that wait, in each of their states.
pub const MOST_WAITING: usize = 10_000;
/// What a row holds, as intake takes it.
const MAX_BODY_BYTES: usize = 300_000;
/// What stands where a webhook's event has the id of its message.
const DELIVERY_ID: &str = "reconcile";

/// What reconcile needs of the world.
#[derive(Debug)]
pub struct Reconcile<A, L, N, E, Q, C> {
    /// The provider's lists.
    pub api: A,
    /// What is stored.
    pub ledger: L,
    /// Whose a subscription is.
    pub entitlements: N,
    /// Where events are kept.
    pub events: E,
    /// Where fulfillment waits for work.
    pub queue: Q,
    /// The time.
    pub clock: C,
    /// What this stack deals in.
    pub mode: Mode,
    /// How far back a run looks.
    pub look_back: SignedDuration,
    /// How long lists are read, each for its share. Shorter than the function's time, so that what is found by then is
    /// made up for.
    pub reading_time: Duration,
    /// How long to wait before a gap counts: a webhook that was on its way has arrived by then.
    pub second_look: Duration,
}

/// What became of the things of one list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// How many were compared with what is stored.
    pub examined: usize,
    /// How many were missing, for the first time: no webhook has told of them.
    pub missing: usize,
    /// How many an event that is here already tells of, and waits: for its next try, or for a person. Nothing is added.
    pub waiting: usize,
    /// How many are told once more, which is no gap: a parked event has something to go on by now, or an order has a
    /// part of its money and waits.
    pub resumed: usize,
    /// How many have come to an end before and are still not there: somebody has dropped them or decides, or nothing
    /// follows.
    pub seen_before: usize,
    /// How many cannot be read.
    pub unreadable: usize,
}

impl Count {
    fn and(self, other: Self) -> Self {
        Self {
            examined: self.examined + other.examined,
            missing: self.missing + other.missing,
            waiting: self.waiting + other.waiting,
            resumed: self.resumed + other.resumed,
            seen_before: self.seen_before + other.seen_before,
            unreadable: self.unreadable + other.unreadable,
        }
    }
}

/// What a run came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reconciled {
    /// By list.
    pub counts: BTreeMap<What, Count>,
    /// Whether there was more than a run takes. The next one begins at the first page again.
    pub more: bool,
}

impl Reconciled {
    /// All lists together.
    #[must_use]
    pub fn total(&self) -> Count {
        self.counts
            .values()
            .copied()
            .fold(Count::default(), Count::and)
    }

    fn of(&mut self, what: What) -> &mut Count {
        self.counts.entry(what).or_default()
    }
}

/// For the log: `checkouts 3/40, refunds 0/2`, those missing out of those examined.
impl fmt::Display for Reconciled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let facts = self
            .counts
            .iter()
            .map(|(what, count)| format!("{what} {}/{}", count.missing, count.examined));
        f.write_str(&facts.collect::<Vec<_>>().join(", "))
    }
}

/// Something that was missing at the first look.
struct Gap {
    what: What,
    found: Box<Found>,
    /// When the provider told of it.
    read_at: Timestamp,
    /// The event that makes up for it: its id has the version of the row that was looked at.
    event_id: EventId,
}

/// A run under way.
#[derive(Default)]
struct Run {
    reconciled: Reconciled,
    gaps: Vec<Gap>,
    /// What has been looked at: lists overlap, and may shift while they are read.
    seen: BTreeSet<(&'static str, String)>,
    /// What waited when the first gap was found.
    waited: Option<Waiting>,
    /// The first thing that went wrong.
    error: Option<RetryableError>,
}

impl Run {
    /// Notes what went wrong with one thing or list, which stops no other, and hands on what stops all of them.
    fn goes_on(&mut self, error: RetryableError) -> Result<(), RetryableError> {
        match error {
            error @ (RetryableError::Fault(_) | RetryableError::Missing { .. }) => {
                self.error.get_or_insert(error);
                Ok(())
            }
            error => Err(error),
        }
    }
}

/// What a gap is at the second look.
enum Look {
    /// None any more.
    Gone,
    /// An event that tells of it waits.
    Waits,
    /// It has come to an end.
    Ended,
    /// There to be made up for.
    Stays(Remedy),
}

/// How to make up for a gap.
struct Remedy {
    stated_at: Timestamp,
    /// Whether this is no gap: its webhook has come, and was parked or has left an order that waits.
    resumes: bool,
    /// Whether there is an order that waits.
    waits: bool,
}

/// What became of a gap that was made up for.
enum Fate {
    Missing,
    Resumed,
    Waiting,
    SeenBefore,
}

/// What the events tell that have not had their effect.
struct Waiting {
    overdue: BTreeSet<ReferenceState>,
    parked: BTreeSet<ReferenceState>,
    /// Perhaps done by hand.
    dropped: BTreeSet<ReferenceState>,
}

impl Waiting {
    /// Whether an event tells of a gap already, so that there is nothing to do about it.
    fn look(&self, found: &Found, rows: &Snapshot) -> Option<Look> {
        let subject = reference_state(&found.change)?;
        if self.overdue.contains(&subject)
            || self.parked.contains(&subject) && !goes_on(&found.change, rows)
        {
            return Some(Look::Waits);
        }
        self.dropped.contains(&subject).then_some(Look::Ended)
    }
}

/// Whether an event is to tell of what was found: it is missing, or to be asked for again.
fn is_told(found: &Found, rows: &Snapshot) -> bool {
    is_missing(found, rows) || is_asked_again(found, rows)
}

impl<A, L, N, E, Q, C> Reconcile<A, L, N, E, Q, C>
where
    A: Listing,
    L: Ledger,
    N: Entitlements,
    E: Events + ReferenceStates,
    Q: Queue<FulfillmentJob>,
    C: Clock,
{
    /// Makes up for what is missing, and writes the one line that the log keeps of a run. What was found before
    /// something went wrong is made up for all the same.
    pub async fn run(&self) -> Result<Reconciled, RetryableError> {
        let started_at = self.clock.now();
        let mut run = Run::default();
        if self.look_back > SignedDuration::ZERO {
            let read = self.read_lists(started_at, &mut run).await;
            let made_up = self.make_up(&mut run).await;
            if let Err(error) = read.and(made_up) {
                run.error = Some(error);
            }
        }
        let Run {
            reconciled, error, ..
        } = run;
        log(
            &reconciled,
            error.as_ref(),
            self.clock.now().duration_since(started_at),
        );
        error.map_or(Ok(reconciled), Err)
    }

    async fn read_lists(&self, started_at: Timestamp, run: &mut Run) -> Result<(), RetryableError> {
        let ends_at = started_at
            .saturating_add(self.reading_time)
            .unwrap_or(Timestamp::MAX);
        let since = started_at
            .saturating_sub(self.look_back)
            .unwrap_or(Timestamp::MIN);
        for (place, what) in What::ALL.into_iter().enumerate() {
            // What lists before it have left of their time is shared by those to come: none keeps another from its own.
            let left = ends_at.duration_since(self.clock.now());
            let lists_left = i32::try_from(What::ALL.len() - place).unwrap_or(i32::MAX);
            let ends_at = self
                .clock
                .now()
                .saturating_add(left / lists_left)
                .unwrap_or(ends_at);
            let gaps_before = run.gaps.len();
            // There is a line for it, whatever it has.
            run.reconciled.of(what);
            let mut after: Option<String> = None;
            for page in 0.. {
                let now = self.clock.now();
                if page >= MOST_PAGES || now >= ends_at || run.gaps.len() - gaps_before >= MOST_GAPS
                {
                    run.reconciled.more = true;
                    break;
                }
                let ask = Ask {
                    what,
                    since,
                    now,
                    after: after.as_deref(),
                };
                let Some(page) = self.page(ask, run).await? else {
                    break;
                };
                let Page { listed, next, .. } = page;
                self.examine(what, listed, now, run).await?;
                after = next;
                if after.is_none() {
                    break;
                }
            }
        }
        Ok(())
    }

    /// A page; `None` if the provider will or can not tell it. That is said at the run's end, when the other lists are
    /// read: nothing but a key that it refuses is common to all of them.
    async fn page(&self, ask: Ask<'_>, run: &mut Run) -> Result<Option<Page>, RetryableError> {
        const SERVICE: &str = "the provider's API";
        match self.api.list(Provider::Flex, ask).await {
            Ok(page) => Ok(Some(page)),
            Err(ReadError::Transient(error)) => {
                run.error.get_or_insert(error);
                Ok(None)
            }
            Err(ReadError::KeyRefused { status }) => {
                let cause = format!("our API key is answered with {status}");
                Err(RetryableError::SetUp {
                    service: SERVICE,
                    cause,
                })
            }
            Err(error @ (ReadError::Permanent { .. } | ReadError::NotUnderstood(_))) => {
                let cause = format!("the list of {}: {error}", ask.what);
                run.error.get_or_insert(RetryableError::SetUp {
                    service: SERVICE,
                    cause,
                });
                Ok(None)
            }
        }
    }

    /// The first look at what a page has.
    async fn examine(
        &self,
        what: What,
        listed: Vec<Listed>,
        read_at: Timestamp,
        run: &mut Run,
    ) -> Result<(), RetryableError> {
        let mut all = Vec::new();
        for listed in listed {
            match listed {
                Listed::Found(found) if !self.is_ours(&found, read_at) => {}
                Listed::Found(found) if found.object.len() > MAX_BODY_BYTES => {
                    let Found { id, object, .. } = *found;
                    self.keep_unreadable((what, Some(&id)), object, Unreadable::TooLarge, run)
                        .await?;
                }
                Listed::Found(found) => {
                    if run.seen.insert((found.resource, found.id.clone())) {
                        all.push(found);
                    }
                }
                Listed::Unreadable { id, object, why } => {
                    self.keep_unreadable((what, id.as_deref()), object, why, run)
                        .await?;
                }
            }
        }
        run.reconciled.of(what).examined += all.len();
        let looks = all.into_iter().map(|found| async {
            let rows = self.rows(&found).await;
            let is_gap = |rows: &Snapshot| {
                is_told(&found, rows) && !is_overtaken(&found, rows, read_at, self.clock.now())
            };
            (rows.map(|rows| Some(rows).filter(is_gap)), found)
        });
        let mut looks = stream::iter(looks).buffered(AT_ONCE);
        while let Some((look, found)) = looks.next().await {
            match look {
                Ok(Some(rows)) => self.note_gap(what, found, &rows, read_at, run).await?,
                Ok(None) => {}
                Err(error) => run.goes_on(error)?,
            }
        }
        Ok(())
    }

    /// Keeps a gap for the second look, unless it has its event: however many of these there are, they keep no other from
    /// being looked at.
    async fn note_gap(
        &self,
        what: What,
        found: Box<Found>,
        rows: &Snapshot,
        read_at: Timestamp,
        run: &mut Run,
    ) -> Result<(), RetryableError> {
        if run.waited.is_none() {
            run.waited = Some(self.waiting(run).await?);
        }
        match run
            .waited
            .as_ref()
            .and_then(|waited| waited.look(&found, rows))
        {
            Some(Look::Waits) => run.reconciled.of(what).waiting += 1,
            Some(_) => run.reconciled.of(what).seen_before += 1,
            None => {
                let event_id = event_id(&found, rows, read_at);
                match self.events.event(&event_id).await {
                    Ok(Some(event)) if !event.state.is_unfinished() => {
                        run.reconciled.of(what).seen_before += 1;
                    }
                    Ok(_) => run.gaps.push(Gap {
                        what,
                        found,
                        read_at,
                        event_id,
                    }),
                    Err(error) => run.goes_on(error)?,
                }
            }
        }
        Ok(())
    }

    /// Whether it is this stack's to look after, and old enough.
    fn is_ours(&self, found: &Found, now: Timestamp) -> bool {
        found.mode.is_none_or(|mode| mode == self.mode) && !found.is_young(now)
    }

    /// The rows that a thing is compared with.
    async fn rows(&self, found: &Found) -> Result<Snapshot, RetryableError> {
        let mut read_set = reconcile::read_set(&found.change);
        if let Change::Invoice(change) = &found.change
            && change.customer_id.is_none()
        {
            let customer_id = self
                .entitlements
                .customer_of(&change.subscription_id)
                .await?;
            read_set.subscription =
                customer_id.map(|customer_id| (customer_id, change.subscription_id.clone()));
        }
        let rows = self.ledger.read(&read_set).await?;
        let mut order = reconcile::order_to_read(&found.change, &rows);
        // As fulfillment finds the order of a renewal's payment that has no link.
        if let Change::Refund(change) = &found.change
            && order.is_none()
            && let Some(id) = &change.subscription_id
        {
            order = self.beginning_of(id).await?;
        }
        if order.is_none() {
            return Ok(rows);
        }
        Ok(rows.and(
            self.ledger
                .read(&ReadSet {
                    order,
                    ..ReadSet::default()
                })
                .await?,
        ))
    }

    /// The order that a subscription began with.
    async fn beginning_of(&self, id: &SubscriptionId) -> Result<Option<OrderId>, RetryableError> {
        let Some(customer_id) = self.entitlements.customer_of(id).await? else {
            return Ok(None);
        };
        let read_set = ReadSet {
            subscription: Some((customer_id, id.clone())),
            ..ReadSet::default()
        };
        let row = self.ledger.read(&read_set).await?.subscription;
        Ok(row
            .and_then(|row| row.beginning)
            .map(|beginning| beginning.order_id))
    }

    /// Looks at each gap once more, and drives what is still missing.
    async fn make_up(&self, run: &mut Run) -> Result<(), RetryableError> {
        let gaps = std::mem::take(&mut run.gaps);
        if gaps.is_empty() {
            return Ok(());
        }
        tokio::time::sleep(self.second_look).await;
        let waiting = self.waiting(run).await?;
        // All are looked at before one is driven, since what follows from one changes the rows of others.
        let mut remedies = Vec::new();
        let mut looked = Ok(());
        let looks = gaps
            .into_iter()
            .map(|gap| async { (self.look_again(&gap, &waiting).await, gap) });
        let mut looks = stream::iter(looks).buffered(AT_ONCE);
        while let Some((look, gap)) = looks.next().await {
            match look {
                Ok(Look::Gone) => {}
                Ok(Look::Waits) => run.reconciled.of(gap.what).waiting += 1,
                Ok(Look::Ended) => run.reconciled.of(gap.what).seen_before += 1,
                Ok(Look::Stays(remedy)) => remedies.push((gap, remedy)),
                Err(error) => looked = run.goes_on(error),
            }
            if looked.is_err() {
                break;
            }
        }
        let fates = remedies
            .into_iter()
            .map(|(gap, remedy)| async move { (gap.what, self.drive(&gap, &remedy).await) });
        let mut fates = stream::iter(fates).buffered(AT_ONCE);
        while let Some((what, fate)) = fates.next().await {
            let count = run.reconciled.of(what);
            match fate {
                Ok(Fate::Missing) => count.missing += 1,
                Ok(Fate::Resumed) => count.resumed += 1,
                Ok(Fate::Waiting) => count.waiting += 1,
                Ok(Fate::SeenBefore) => count.seen_before += 1,
                Err(error) => run.goes_on(error)?,
            }
        }
        looked
    }

    /// What tells of gaps already, and has not had its effect yet.
    async fn waiting(&self, run: &mut Run) -> Result<Waiting, RetryableError> {
        let mut facts = async |state| -> Result<BTreeSet<ReferenceState>, RetryableError> {
            let subjects = self.events.subjects(state, MOST_WAITING).await?;
            run.reconciled.more |= subjects.len() >= MOST_WAITING;
            Ok(subjects.into_iter().flatten().collect())
        };
        let (mut overdue, committed) = (
            facts(EventState::Stored).await?,
            facts(EventState::Committed).await?,
        );
        overdue.extend(committed);
        let (parked, dropped) = (
            facts(EventState::Parked).await?,
            facts(EventState::Dropped).await?,
        );
        Ok(Waiting {
            overdue,
            parked,
            dropped,
        })
    }

    /// Whether a gap is still there. Beside a row that has changed since the first look it is not: what was listed may
    /// be older than the news that changed it, and must not replace them. The next run lists it anew.
    async fn look_again(&self, gap: &Gap, waiting: &Waiting) -> Result<Look, RetryableError> {
        let Gap {
            found,
            read_at,
            event_id: first,
            ..
        } = gap;
        let rows = self.rows(found).await?;
        if !is_told(found, &rows) || event_id(found, &rows, *read_at) != *first {
            return Ok(Look::Gone);
        }
        if let Some(look) = waiting.look(found, &rows) {
            return Ok(look);
        }
        let is_parked =
            reference_state(&found.change).is_some_and(|subject| waiting.parked.contains(&subject));
        Ok(Look::Stays(Remedy {
            stated_at: stated_at(found, &rows, *read_at),
            resumes: is_parked || is_asked_again(found, &rows),
            waits: order_that_waits(&rows).is_some(),
        }))
    }

    /// Records the event that a webhook should have brought, and queues it as intake does.
    async fn drive(&self, gap: &Gap, remedy: &Remedy) -> Result<Fate, RetryableError> {
        let body = flex::event(&gap.found, &gap.event_id, remedy.stated_at, remedy.waits);
        let reading = flex::read(&body);
        let event = StoredEvent::first(&self.delivery(body, reading)?);
        Ok(match self.events.record(&event).await? {
            // Again: our own first try, whose answer was lost, since nothing told of it a moment ago.
            Recorded::First | Recorded::Again(EventState::Stored) => {
                // Told before anything can stop us: the next run finds its event, and has nothing to tell.
                let fate = if remedy.resumes {
                    tracing::info!(outcome = "resumed", event_id = %event.event_id, "this is looked at once more");
                    Fate::Resumed
                } else {
                    tracing::warn!(outcome = "missing", event_id = %event.event_id, "no webhook has told of this");
                    Fate::Missing
                };
                // Should this fail or never be reached, sweep queues it.
                self.queue
                    .send(&FulfillmentJob::V1 {
                        event_id: event.event_id.clone(),
                    })
                    .await?;
                fate
            }
            // Another body under one of our ids is the same gap, told at another time.
            Recorded::Again(state) | Recorded::OtherBody(state) if state.is_unfinished() => {
                Fate::Waiting
            }
            Recorded::Again(_) | Recorded::OtherBody(_) => Fate::SeenBefore,
        })
    }

    /// Keeps what cannot be read as intake keeps an unreadable event: once, for a person. Of what is too large for a row
    /// its id is kept.
    async fn keep_unreadable(
        &self,
        (what, id): (What, Option<&str>),
        object: Vec<u8>,
        why: Unreadable,
        run: &mut Run,
    ) -> Result<(), RetryableError> {
        let is_too_large = object.len() > MAX_BODY_BYTES;
        let (why, body) = if is_too_large {
            (Unreadable::TooLarge, flex::stub(what, id))
        } else {
            (why, object)
        };
        let reason = why.to_string();
        let event = StoredEvent::first(&self.delivery(body, Reading::Unreadable(why))?);
        match self.events.record(&event).await {
            Ok(Recorded::First) => {
                run.reconciled.of(what).unreadable += 1;
                log_unreadable(id, &reason);
                Ok(())
            }
            Ok(_) => {
                run.reconciled.of(what).seen_before += 1;
                Ok(())
            }
            Err(error) => run.goes_on(error),
        }
    }

    fn delivery(&self, body: Vec<u8>, reading: Reading) -> Result<Delivery, RetryableError> {
        Ok(Delivery {
            provider: Provider::Flex,
            delivery_id: DeliveryId::new(DELIVERY_ID)
                .map_err(|bad| RetryableError::Fault(bad.to_string()))?,
            fingerprint: fingerprint(&body),
            body,
            received_at: self.clock.now(),
            reading,
        })
    }
}

fn log_unreadable(id: Option<&str>, reason: &str) {
    tracing::warn!(
        outcome = "unreadable",
        subject = id,
        reason,
        "a thing of the provider's lists cannot be read"
    );
}

fn log(reconciled: &Reconciled, error: Option<&RetryableError>, took: SignedDuration) {
    let duration_ms = u64::try_from(took.as_millis()).unwrap_or_default();
    let Count {
        examined,
        missing,
        waiting,
        resumed,
        seen_before,
        unreadable,
    } = reconciled.total();
    let more = reconciled.more;
    let lists = reconciled.to_string();
    tracing::info!(
        outcome = "reconciled",
        examined,
        missing,
        waiting,
        resumed,
        seen_before,
        unreadable,
        more,
        lists,
        duration_ms,
        "compared with the provider"
    );
    if let Some(error) = error {
        tracing::warn!(outcome = "retry", reason = %error, duration_ms, "will be tried again");
    }
}
