//! The edge of reconcile: things in the providers' lists that no delivery brought become events.
//!
//! list → compare → wait → compare again → record → queue.
//!
//! Reconcile writes nothing but events. The same gap always gets the same event id. A second run, or two at once,
//! therefore have the same result as one. Only fulfillment acts on the events.

mod recover;

pub mod config;

use domain::{
    delivery::{
        event::{Change, Unreadable},
        job::FulfillmentJob,
        reference::Reference,
        stored_event::EventState,
    },
    fulfillment::read_set::{ReadSet, Snapshot},
    ports::{Clock, Commits, Entitlements, Events, OpenRows, Queue},
    sale::shop::ShopFilter,
    upkeep::{
        reconcile::{self, Ask, Found, Listed, Page, event_id},
        recovery::{Count, Gap, List, Look, OpenStates, Reconciled, Stored, is_gap},
    },
    values::{
        ids::{EventId, ReferenceState},
        mode::Mode,
        outcome::{ReadError, RetryableError},
        provider::ProviderId,
    },
};
use futures_util::{StreamExt, stream};
use jiff::{SignedDuration, Timestamp};
use providers::Providers;
use std::{collections::BTreeSet, sync::Arc, time::Duration};

/// How many things are compared, or recovered, at the same time.
const AT_ONCE: usize = 10;
/// The most gaps of a list that a run recovers. The next run continues, since these have their events then.
pub const MOST_GAPS: usize = 1_000;
/// The most pages that are read of a list: at a hundred things each, more than a shop has in some days.
pub const MOST_PAGES: usize = 200;
/// The most open events that are looked at, in each of their states.
pub const MOST_WAITING: usize = 10_000;
/// A page that comes later than this after its request is not used: it may show later states than those of that time.
/// The client gives up sooner, so only a process that stood still meanwhile gets such a page.
const PAGE_LASTS: SignedDuration = SignedDuration::from_secs(60);
/// The largest body of a row, as at intake.
const MAX_BODY_BYTES: usize = 300_000;

/// Reconcile over a store `S`.
#[derive(Debug)]
pub struct Reconcile<S> {
    pub store: S,
    pub providers: Providers,
    pub clock: Arc<dyn Clock>,
    pub mode: Mode,
    /// The sales that belong to this shop.
    pub shop: ShopFilter,
    /// How far back a run looks.
    pub look_back: SignedDuration,
    /// How long lists are read in all. Shorter than the function's time, so that the gaps found by then are recovered.
    pub reading_time: Duration,
    /// The wait before the second look: a delivery that was on its way has arrived by then.
    pub second_look: Duration,
}

/// The ports of reconcile's store.
pub trait ReconcileStore:
    Commits + Entitlements + Events + OpenRows + Queue<FulfillmentJob>
{
}

impl<S: Commits + Entitlements + Events + OpenRows + Queue<FulfillmentJob>> ReconcileStore for S {}

/// A run under way.
#[derive(Default)]
struct Run {
    reconciled: Reconciled,
    gaps: Vec<Gap>,
    /// The things that were compared: lists overlap, and may shift while they are read.
    seen: BTreeSet<(ProviderId, &'static str, String)>,
    /// The providers that refuse our API key.
    refusing: BTreeSet<ProviderId>,
    /// The things of the listed events that are missing.
    announced: BTreeSet<Reference>,
    /// The open events when the first gap was found.
    open: Option<OpenStates>,
    /// The first error.
    error: Option<RetryableError>,
}

impl Run {
    fn note_gap(&mut self, list: &List, found: Box<Found>, read_at: Timestamp, event_id: EventId) {
        self.gaps.push(Gap {
            list: list.clone(),
            found,
            read_at,
            event_id,
        });
    }

    /// Notes an error of one thing or list, which stops no other, and returns one that stops all.
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

impl<S: ReconcileStore> Reconcile<S> {
    /// Recovers the missing events, and logs one line. Gaps that were found before an error still get their events.
    pub async fn run(&self) -> Result<Reconciled, RetryableError> {
        let started_at = self.clock.now();
        let mut run = Run::default();
        if self.look_back > SignedDuration::ZERO {
            let read = self.read_lists(started_at, &mut run).await;
            let recovered = self.recover(&mut run).await;
            if let Err(error) = read.and(recovered) {
                run.error = Some(error);
            }
        }
        let Run {
            reconciled, error, ..
        } = run;
        let took = self.clock.now().duration_since(started_at);
        log(&reconciled, error.as_ref(), took);
        error.map_or(Ok(reconciled), Err)
    }

    /// Every list of every provider.
    fn lists(&self) -> Vec<List> {
        let of = |id: &ProviderId| {
            let provider = self.providers.of(id).ok()?;
            let names = provider.lists().iter();
            let list = |name: &&'static str| List {
                provider: id.clone(),
                name,
            };
            Some(names.map(list).collect::<Vec<_>>())
        };
        self.providers.ids().filter_map(of).flatten().collect()
    }

    async fn read_lists(&self, started_at: Timestamp, run: &mut Run) -> Result<(), RetryableError> {
        let add = |at: Timestamp, by: SignedDuration| at.saturating_add(by).unwrap_or(at);
        let reading_time = SignedDuration::try_from(self.reading_time).unwrap_or_default();
        let ends_at = add(started_at, reading_time);
        let lists = self.lists();
        for (place, list) in lists.iter().enumerate() {
            // Each list shares the time that is left with those after it: none takes another's time.
            let lists_left = i32::try_from(lists.len() - place).unwrap_or(i32::MAX);
            let now = self.clock.now();
            let share = ends_at.duration_since(now) / lists_left;
            // A line for it, whatever it has.
            run.reconciled.of(list);
            if !run.refusing.contains(&list.provider) {
                self.read_list(list, started_at, add(now, share), run)
                    .await?;
            }
        }
        Ok(())
    }

    async fn read_list(
        &self,
        list: &List,
        started_at: Timestamp,
        ends_at: Timestamp,
        run: &mut Run,
    ) -> Result<(), RetryableError> {
        let since = started_at
            .saturating_sub(self.look_back)
            .unwrap_or(Timestamp::MIN);
        let gaps_before = run.gaps.len();
        let mut after: Option<String> = None;
        for page in 0.. {
            let now = self.clock.now();
            let is_enough = run.gaps.len() - gaps_before >= MOST_GAPS;
            if page >= MOST_PAGES || now >= ends_at || is_enough {
                run.reconciled.more = true;
                break;
            }
            let ask = Ask {
                list: list.name,
                since,
                now,
                after: after.as_deref(),
            };
            let Some(page) = self.page(list, ask, run).await else {
                break;
            };
            if self.clock.now().duration_since(now) > PAGE_LASTS {
                run.reconciled.more = true;
                break;
            }
            self.examine(list, page.listed, now, run).await?;
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        Ok(())
    }

    /// A page; `None` if the provider does not answer. The error is reported at the end of the run, when the other
    /// lists are read. Only a refused key is common to all lists of its provider.
    async fn page(&self, list: &List, ask: Ask<'_>, run: &mut Run) -> Option<Page> {
        let set_up = |cause| RetryableError::SetUp {
            service: "the provider's API",
            cause,
        };
        let List { provider, name } = list;
        let error = match self.providers.list(provider, ask).await {
            Ok(page) => return Some(page),
            Err(ReadError::Transient(error)) => error,
            Err(ReadError::KeyRefused { status }) => {
                run.refusing.insert(provider.clone());
                set_up(format!("{provider} answers our API key with {status}"))
            }
            Err(error @ (ReadError::Permanent { .. } | ReadError::NotUnderstood(_))) => {
                set_up(format!("the list of {name} of {provider}: {error}"))
            }
        };
        run.error.get_or_insert(error);
        None
    }

    /// The first look at the things of a page.
    async fn examine(
        &self,
        list: &List,
        listed: Vec<Listed>,
        read_at: Timestamp,
        run: &mut Run,
    ) -> Result<(), RetryableError> {
        let all = self.understood(list, listed, read_at, run).await?;
        run.reconciled.of(list).examined += all.len();
        let looks = all.into_iter().map(|found| async {
            let stored = self.stored(&found).await;
            let is_gap = |stored: &Stored| is_gap(&found, stored, read_at, self.clock.now());
            (stored.map(|stored| Some(stored).filter(is_gap)), found)
        });
        let mut looks = stream::iter(looks).buffered(AT_ONCE);
        while let Some((look, found)) = looks.next().await {
            match look {
                Ok(Some(Stored::Rows(rows))) => {
                    self.note_gap(list, found, &rows, read_at, run).await?;
                }
                Ok(Some(Stored::Event { .. })) => {
                    run.announced.extend(reconcile::subject(&found.change));
                    let event_id = event_id(&found, &Snapshot::default(), read_at);
                    run.note_gap(list, found, read_at, event_id);
                }
                Ok(None) => {}
                Err(error) => run.goes_on(error)?,
            }
        }
        Ok(())
    }

    /// The things of a page to compare. Those that cannot be read are kept for a person.
    async fn understood(
        &self,
        list: &List,
        listed: Vec<Listed>,
        read_at: Timestamp,
        run: &mut Run,
    ) -> Result<Vec<Box<Found>>, RetryableError> {
        let mut all = Vec::new();
        for listed in listed {
            match listed {
                Listed::Found(found) if !self.is_ours(&found, read_at) => {}
                Listed::Found(found) if found.object.len() > MAX_BODY_BYTES => {
                    let Found { id, object, .. } = *found;
                    let why = Unreadable::TooLarge;
                    self.keep_unreadable((list, Some(&id)), object, why, run)
                        .await?;
                }
                Listed::Found(found) => {
                    let thing = (list.provider.clone(), found.resource, found.id.clone());
                    if run.seen.insert(thing) {
                        all.push(found);
                    }
                }
                Listed::Unreadable { id, object, why } => {
                    self.keep_unreadable((list, id.as_deref()), object, why, run)
                        .await?;
                }
            }
        }
        Ok(all)
    }

    /// Keeps a gap for the second look, unless it has its event: such gaps must not use up a run's limit. A listed event
    /// of this run is enough too.
    async fn note_gap(
        &self,
        list: &List,
        found: Box<Found>,
        rows: &Snapshot,
        read_at: Timestamp,
        run: &mut Run,
    ) -> Result<(), RetryableError> {
        let subject = reconcile::subject(&found.change);
        if subject.is_some_and(|subject| run.announced.contains(&subject)) {
            run.reconciled.of(list).waiting += 1;
            return Ok(());
        }
        if run.open.is_none() {
            run.open = Some(self.open_states(run).await?);
        }
        let open = run.open.as_ref();
        match open.and_then(|open| open.look(&found, rows)) {
            Some(Look::Waits) => run.reconciled.of(list).waiting += 1,
            Some(_) => run.reconciled.of(list).seen_before += 1,
            None => {
                let event_id = event_id(&found, rows, read_at);
                match self.store.event(&event_id).await {
                    Ok(Some(event)) if !event.state.is_unfinished() => {
                        run.reconciled.of(list).seen_before += 1;
                    }
                    Ok(_) => run.note_gap(list, found, read_at, event_id),
                    Err(error) => run.goes_on(error)?,
                }
            }
        }
        Ok(())
    }

    /// True if a thing is of this stack's mode and shop, and old enough.
    fn is_ours(&self, found: &Found, now: Timestamp) -> bool {
        let marks = found.marks.as_ref();
        found.mode.is_none_or(|mode| mode == self.mode)
            && marks.is_none_or(|marks| self.shop.takes(marks))
            && !found.is_young(now)
    }

    /// The rows that a thing is compared with. A listed event is compared with the Events table only.
    async fn stored(&self, found: &Found) -> Result<Stored, RetryableError> {
        match &found.event_id {
            Some(id) => {
                let is_stored = self.store.event(id).await?.is_some();
                Ok(Stored::Event { is_stored })
            }
            None => self.rows(found).await.map(Box::new).map(Stored::Rows),
        }
    }

    /// The rows that a thing is compared with.
    async fn rows(&self, found: &Found) -> Result<Snapshot, RetryableError> {
        let mut read_set = reconcile::read_set(&found.change);
        if let Change::Invoice(change) = &found.change
            && change.customer_id.is_none()
        {
            let customer_id = self.store.customer_of(&change.subscription_id).await?;
            let key = |customer_id| (customer_id, change.subscription_id.clone());
            read_set.subscription = customer_id.map(key);
        }
        let rows = self.store.read(&read_set).await?;
        let order = reconcile::order_to_read(&found.change, &rows);
        match order {
            Some(id) => Ok(rows.and(self.store.read(&ReadSet::of_order(&id)).await?)),
            None => Ok(rows),
        }
    }

    /// The states of things that the open events state.
    async fn open_states(&self, run: &mut Run) -> Result<OpenStates, RetryableError> {
        let mut of = async |state| -> Result<BTreeSet<ReferenceState>, RetryableError> {
            let states = self.store.reference_states(state, MOST_WAITING).await?;
            run.reconciled.more |= states.len() >= MOST_WAITING;
            Ok(states.into_iter().flatten().collect())
        };
        let mut unfinished = of(EventState::Stored).await?;
        unfinished.extend(of(EventState::Committed).await?);
        Ok(OpenStates {
            unfinished,
            parked: of(EventState::Parked).await?,
            dropped: of(EventState::Dropped).await?,
        })
    }
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
        tracing::warn!(outcome = "retry", reason = %error, duration_ms, "the next run tries again");
    }
}
