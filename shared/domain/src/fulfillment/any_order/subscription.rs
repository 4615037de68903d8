//! Histories of subscriptions: the merged rows against the model.

use crate::fulfillment::any_order::{
    Arrival, arrival, difference, in_every_order,
    model::{Happens, LIFE, Model, rank},
};
use crate::{
    access::subscription::{InvoiceEvent, Reason, Source, SubscriptionFacts},
    delivery::event::{Change, Event},
    fulfillment::{
        still_so,
        testing::{
            DAY, End, SALE, Shop, at, bill, facts, id, invoice_change, item, line, sale, snapshot,
            subscription_change,
        },
    },
    receipt::ReceiptKind as Mail,
    sale::{
        payment::Link,
        statement::{Sale, SaleKind},
    },
    testing::Tables,
    values::{facts::Fact, ids::SubscriptionId},
};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const PERIOD: i64 = 30 * DAY;
const PRICE: i64 = 4999;
/// The length limit of a long history, in events.
const MOST: usize = 22;

/// The outcome of a renewal.
#[derive(Debug, Clone, Copy)]
enum Renewal {
    Paid,
    /// This number of tries fails, then one succeeds.
    Recovers(u8),
    /// It is never paid, but a later one is.
    Forgiven,
}

/// The end of the life, if it ends.
#[derive(Debug, Clone, Copy)]
enum Ending {
    GoesOn,
    Now,
    AtPeriodEnd,
    /// This number of tries fails. The other fields say if the customer asks to leave, if the provider gives up, and if
    /// it deletes the subscription.
    Unpaid {
        tries: u8,
        leaves: bool,
        gives_up: bool,
        deleted: bool,
    },
    Paused,
    /// The provider uses an unknown word for it.
    Strange,
    /// The provider calls it canceled at once, and ends it with its period.
    Canceled,
    /// It ends at once; the unpaid amount is paid afterwards.
    NowThenPaid,
}

/// One subscription's life, and the part of it that the provider states.
#[derive(Debug, Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a way of telling that is there or not"
)]
struct Life {
    trial_days: Option<i64>,
    /// True if a trial is first announced as incomplete.
    starts_incomplete: bool,
    renewals: Vec<Renewal>,
    ending: Ending,
    /// Seconds between the events of one change.
    gaps: Vec<i64>,
    /// True if the invoice is announced before the change that it causes.
    invoice_first: bool,
    /// True if a payment is announced under both names.
    both_names: bool,
    /// True if changes by payment have no event.
    silent: bool,
    /// True if the first payment fails before it succeeds.
    first_fails: bool,
    /// True if a trial has an invoice over zero.
    bills_nothing: bool,
    /// True if a new period is announced before its payment is tried.
    announces: bool,
    /// True if its trial is extended.
    extends: bool,
    /// True if a failed try is announced after the successful one.
    straggles: bool,
    /// True if invoices are for the past period.
    bills_the_past: bool,
    /// Flags for the sources that show its first invoice: the sale, its creation, its payment. Without any, only
    /// its time does.
    first_known_by: [bool; 3],
    /// True if the provider states when the subscription was created.
    says_when: bool,
    /// True if the plan changes after the first period.
    changes_plan: bool,
}

/// An announced change: its event, its meaning, and the API's view of the subscription from then on.
#[derive(Debug, Clone)]
struct Moment {
    at: i64,
    event: Event,
    of: usize,
    happens: Option<Happens>,
    truth: SubscriptionFacts,
    /// The mail that is due for it.
    mail: Option<String>,
}

/// The provider, living a subscription's life.
struct Provider<'a> {
    life: &'a Life,
    n: usize,
    now: i64,
    stands: SubscriptionFacts,
    gaps: std::iter::Cycle<std::slice::Iter<'a, i64>>,
    invoices: u32,
    moments: Vec<Moment>,
}

impl Provider<'_> {
    fn name(&self) -> String {
        format!("fsub_{}", self.n)
    }

    fn tells(&mut self, happens: Option<Happens>, mail: Option<String>, change: Change) {
        self.now += self.gaps.next().copied().unwrap_or_default();
        let event_id = format!("fevt_{}_{}", self.n, self.moments.len());
        let event = facts(&event_id, self.now, change);
        let truth = self.stands.clone();
        self.moments.push(Moment {
            at: self.now,
            event,
            of: self.n,
            happens,
            truth,
            mail,
        });
    }

    fn tells_state(&mut self, source: Source) {
        let status = match self.stands.status.as_str() {
            "incomplete" => "incomplete",
            "trialing" => "trialing",
            "active" => "active",
            "past_due" => "past_due",
            "unpaid" => "unpaid",
            "paused" => "paused",
            "canceled" => "canceled",
            _ => "a word of next year",
        };
        let happens = if source == Source::Deleted {
            Happens::Over
        } else {
            Happens::Stands {
                new: source == Source::Created,
                status,
                period_end: self.stands.period_end.unwrap().as_second(),
                trial_end: self.stands.trial_end.map(Timestamp::as_second),
            }
        };
        let born_with = source != Source::Created || self.life.first_known_by[1];
        let snapshot = SubscriptionFacts {
            source,
            latest_invoice: self.stands.latest_invoice.clone().filter(|_| born_with),
            ..self.stands.clone()
        };
        let change = subscription_change(&self.name(), snapshot);
        self.tells(Some(happens), None, change);
    }

    fn invoice(&self) -> String {
        format!("fin_{}_{}", self.n, self.invoices)
    }

    fn next_invoice(&mut self) {
        self.invoices += 1;
        self.stands.latest_invoice = Some(id(&self.invoice()));
    }

    /// The invoice is paid, or is not, for `period`.
    fn tells_invoice(
        &mut self,
        event: InvoiceEvent,
        amount: i64,
        period: (i64, i64),
        is_first: bool,
    ) {
        let on_paper = match (self.life.bills_the_past, is_first) {
            (false, _) => period,
            (true, true) => (period.0, period.0),
            (true, false) => (period.0 - PERIOD, period.0),
        };
        let mut bill = bill(event, amount, on_paper);
        if amount > 0 && (!is_first || self.life.first_known_by[2]) {
            bill.payment_intent_id = Some(id(&format!("fpi_{}_{}", self.n, self.invoices)));
        }
        let paid = event == InvoiceEvent::Paid;
        let happens = if paid {
            Happens::Paid { until: period.1 }
        } else {
            Happens::NotPaid { until: period.1 }
        };
        let name = if paid { "order" } else { "payment_failed" };
        let mail = (amount > 0 && !is_first).then(|| format!("{}-{name}", self.invoice()));
        let change = invoice_change(&self.name(), &self.invoice(), event, bill);
        self.tells(Some(happens), mail.clone(), change.clone());
        if paid && self.life.both_names {
            let at = self.now;
            self.tells(Some(happens), mail, change);
            // The two names of one payment come in one second.
            self.now = at;
            let twin = self.moments.last_mut().unwrap();
            twin.at = self.now;
            twin.event.occurred_at = Some(super::super::testing::at(self.now));
        }
    }

    /// A change of state that an invoice brings with it.
    fn changes(&mut self, status: &str, invoice: impl Fn(&mut Self), silent: bool) {
        self.stands.status = status.into();
        if self.life.invoice_first {
            invoice(self);
        }
        if !silent {
            self.tells_state(Source::Updated);
        }
        if !self.life.invoice_first {
            invoice(self);
        }
    }

    fn period_end(&self) -> i64 {
        self.stands.period_end.unwrap().as_second()
    }

    fn begins(&mut self) {
        let start = self.now;
        self.next_invoice();
        if let Some(days) = self.life.trial_days {
            let trial_end = start + days * DAY;
            self.stands.trial_end = Some(at(trial_end));
            self.stands.period_end = Some(at(trial_end));
            let nothing = move |provider: &mut Self| {
                if provider.life.bills_nothing {
                    provider.tells_invoice(InvoiceEvent::Paid, 0, (start, trial_end), true);
                }
            };
            if self.life.starts_incomplete {
                self.tells_state(Source::Created);
                self.changes("trialing", nothing, false);
            } else {
                self.stands.status = "trialing".into();
                self.tells_state(Source::Created);
                nothing(self);
            }
            if self.life.extends {
                self.now += DAY;
                self.stands.trial_end = Some(at(trial_end + 7 * DAY));
                self.stands.period_end = self.stands.trial_end;
                self.tells_state(Source::Updated);
            }
        } else {
            self.stands.period_end = Some(at(start + PERIOD));
            self.tells_state(Source::Created);
            if self.life.first_fails {
                self.tells_invoice(
                    InvoiceEvent::PaymentFailed,
                    PRICE,
                    (start, start + PERIOD),
                    true,
                );
                self.now += 30;
            }
            let paid = move |provider: &mut Self| {
                provider.tells_invoice(InvoiceEvent::Paid, PRICE, (start, start + PERIOD), true);
            };
            self.changes("active", paid, self.life.silent);
        }
    }

    /// The period turns: another invoice.
    fn turns(&mut self) -> (i64, i64) {
        let period = (self.period_end(), self.period_end() + PERIOD);
        self.now = self.now.max(period.0);
        self.stands.period_end = Some(at(period.1));
        self.next_invoice();
        if self.life.announces {
            self.stands.status = "active".into();
            self.tells_state(Source::Updated);
        }
        period
    }

    fn fails(&mut self, period: (i64, i64), tries: u8) {
        for n in 0..tries {
            let failed = move |provider: &mut Self| {
                provider.tells_invoice(InvoiceEvent::PaymentFailed, PRICE, period, false);
            };
            self.changes("past_due", failed, self.life.silent);
            if n + 1 < tries {
                self.now += 2 * DAY;
            }
        }
    }

    fn renews(&mut self, renewal: Renewal) {
        let period = self.turns();
        let paid = move |provider: &mut Self| {
            provider.tells_invoice(InvoiceEvent::Paid, PRICE, period, false);
        };
        match renewal {
            Renewal::Paid => self.changes("active", paid, self.life.silent),
            Renewal::Recovers(tries) => {
                self.fails(period, tries);
                self.now += DAY;
                self.changes("active", paid, false);
                if self.life.straggles {
                    self.now += 1;
                    self.tells_invoice(InvoiceEvent::PaymentFailed, PRICE, period, false);
                }
            }
            Renewal::Forgiven => {
                self.fails(period, 1);
                let period = self.turns();
                let paid = move |provider: &mut Self| {
                    provider.tells_invoice(InvoiceEvent::Paid, PRICE, period, false);
                };
                self.changes("active", paid, false);
            }
        }
    }

    fn ends(&mut self) {
        self.stands.status = "canceled".into();
        self.tells_state(Source::Deleted);
    }

    fn comes_to(&mut self, ending: Ending) {
        match ending {
            Ending::GoesOn => {}
            Ending::Now => {
                self.now += 10 * DAY;
                self.ends();
            }
            Ending::AtPeriodEnd => {
                self.now += 10 * DAY;
                self.stands.cancel_at_period_end = true;
                self.tells_state(Source::Updated);
                self.now = self.now.max(self.period_end());
                self.ends();
            }
            Ending::Unpaid {
                tries,
                leaves,
                gives_up,
                deleted,
            } => {
                let period = self.turns();
                self.fails(period, tries);
                if leaves {
                    self.now += DAY;
                    self.stands.cancel_at_period_end = true;
                    self.tells_state(Source::Updated);
                }
                if gives_up {
                    self.now += DAY;
                    self.stands.status = "unpaid".into();
                    self.tells_state(Source::Updated);
                }
                if deleted {
                    self.now += DAY;
                    self.ends();
                }
            }
            Ending::Strange => {
                self.now += 10 * DAY;
                self.stands.status = "a word of next year".into();
                self.tells_state(Source::Updated);
            }
            Ending::Paused => {
                self.now += 10 * DAY;
                self.stands.status = "paused".into();
                self.tells_state(Source::Updated);
            }
            Ending::Canceled => {
                self.now += 10 * DAY;
                self.stands.status = "canceled".into();
                self.tells_state(Source::Updated);
                self.now = self.now.max(self.period_end());
                self.ends();
            }
            Ending::NowThenPaid => {
                let period = self.turns();
                self.fails(period, 1);
                self.now += DAY;
                self.ends();
                self.now += DAY;
                self.tells_invoice(InvoiceEvent::Paid, PRICE, period, false);
            }
        }
    }
}

/// The sale that a life begins with.
fn sale_of(life: &Life, n: usize) -> Sale {
    let price = if life.trial_days.is_some() { 0 } else { PRICE };
    Sale {
        order_id: id(&format!("fcs_{n}")),
        kind: SaleKind::Subscription,
        // Each life begins at its own time: the event dates it.
        created_at: None,
        client_reference_id: None,
        subscription_id: Some(id(&format!("fsub_{n}"))),
        invoice_id: life.first_known_by[0].then(|| id(&format!("fin_{n}_1"))),
        payment_intents: (price > 0)
            .then(|| id(&format!("fpi_{n}_1")))
            .into_iter()
            .collect(),
        ..sale(vec![line("gym", 1, price, None)])
    }
}

/// The lives of one customer, one after the other, as the provider states them.
#[derive(Debug, Clone)]
struct History {
    lives: Vec<Life>,
    moments: Vec<Moment>,
}

impl History {
    fn of(lives: Vec<Life>) -> Self {
        let mut moments = Vec::new();
        let mut now = SALE;
        for (n, life) in lives.iter().enumerate() {
            let stands = SubscriptionFacts {
                items: vec![item("fprod_gym")],
                created_at: life.says_when.then(|| at(now)),
                ..snapshot("incomplete", now)
            };
            let gaps = life.gaps.iter().cycle();
            let mut provider = Provider {
                life,
                n,
                now,
                stands,
                gaps,
                invoices: 0,
                moments: Vec::new(),
            };
            provider.begins();
            let completed = Change::Sale {
                order_id: id(&format!("fcs_{n}")),
                completed: true,
            };
            provider.tells(None, Some(format!("fcs_{n}-order")), completed);
            for (done, renewal) in life.renewals.iter().enumerate() {
                provider.renews(*renewal);
                if done == 0 && life.changes_plan {
                    provider.now += DAY;
                    provider.stands.items = vec![item("fprod_pool")];
                    provider.tells_state(Source::Updated);
                }
            }
            provider.comes_to(life.ending);
            now = provider.now + 3 * DAY;
            moments.extend(provider.moments);
        }
        Self { lives, moments }
    }

    /// True if a life is for that product in the end.
    fn is_for(&self, n: usize, product: &str) -> bool {
        let last = self.moments.iter().rev().find(|moment| moment.of == n);
        last.is_some_and(|moment| moment.truth.items == [item(product)])
    }

    /// For people.
    fn story(&self) -> String {
        let line = |(n, moment): (usize, &Moment)| {
            let happens = moment
                .happens
                .map_or("the sale is completed".to_owned(), |what| {
                    format!("{what:?}")
                });
            format!("\n{n}: {:+} {}: {happens}", moment.at - SALE, moment.of)
        };
        self.moments.iter().enumerate().map(line).collect()
    }

    fn cut(&self, most: usize) -> Self {
        let moments = self.moments.iter().take(most).cloned().collect();
        Self {
            lives: self.lives.clone(),
            moments,
        }
    }

    fn events(&self) -> Vec<Event> {
        self.moments
            .iter()
            .map(|moment| moment.event.clone())
            .collect()
    }

    /// The histories that this one once was: cut after each second in which something happened.
    fn beginnings(&self) -> Vec<Self> {
        let ends = |n: &usize| {
            let next = self.moments.get(*n);
            next.is_none_or(|next| next.at > self.moments[n - 1].at)
        };
        (1..=self.moments.len())
            .filter(ends)
            .map(|n| self.cut(n))
            .collect()
    }

    fn shop(&self, grace: i64) -> Shop {
        let mut shop = Shop::new();
        shop.policy.grace = SignedDuration::from_secs(grace);
        shop.policy.payment_failed_mail = true;
        shop.policy.trial_ends_mail = true;
        shop.now = at(self.last_at() + 5);
        for (n, life) in self.lives.iter().enumerate() {
            let sale = sale_of(life, n);
            shop.api.sales.insert(sale.order_id.clone(), sale);
        }
        for moment in &self.moments {
            let name: SubscriptionId = id(&format!("fsub_{}", moment.of));
            shop.api.subscriptions.insert(name, moment.truth.clone());
        }
        shop
    }

    /// Each life in true order, by the documented order within a second.
    fn models(&self, grace: i64) -> Vec<Model> {
        let walk = |n: usize| {
            let mut model = Model::new(grace);
            let mine = self.moments.iter().filter(|moment| moment.of == n);
            let mut steps: Vec<(i64, Happens)> = mine
                .filter_map(|moment| Some((moment.at, moment.happens?)))
                .collect();
            steps.sort_by_key(|(at, what)| (*at, rank(what)));
            for (at, what) in steps {
                model.step(at, what);
            }
            model
        };
        (0..self.lives.len()).map(walk).collect()
    }

    fn last_at(&self) -> i64 {
        self.moments.last().unwrap().at
    }

    /// The moments to check, from one on: every end of anything, and a second around it.
    fn moments_to_look(&self, grace: i64, from: i64) -> BTreeSet<i64> {
        let mut looks = BTreeSet::from([from, from + 1]);
        for moment in &self.moments {
            let truth = &moment.truth;
            let ends = [truth.period_end, truth.trial_end]
                .into_iter()
                .flatten()
                .map(Timestamp::as_second);
            for end in ends.chain([moment.at, moment.at + grace]) {
                looks.extend([end - 1, end, end + 1]);
            }
        }
        looks.retain(|look| *look >= from);
        looks
    }

    /// The expected mails: each renewal's receipt once its place in the life is known, and a notice while it is true.
    fn mails(&self) -> BTreeSet<String> {
        let mut mails = BTreeSet::new();
        for (n, life) in self.lives.iter().enumerate() {
            let mine: Vec<&Moment> = self
                .moments
                .iter()
                .filter(|moment| moment.of == n)
                .collect();
            let is_sold = mine
                .iter()
                .any(|moment| matches!(moment.event.change, Change::Sale { .. }));
            let is_born = life.first_known_by[1]
                && mine.iter().any(|moment| {
                    matches!(moment.happens, Some(Happens::Stands { new: true, .. }))
                });
            let is_placed = is_sold || is_born || life.says_when || life.bills_the_past;
            let over = mine
                .iter()
                .any(|moment| matches!(moment.happens, Some(Happens::Over)));
            let facts: BTreeSet<&String> = mine
                .iter()
                .filter_map(|moment| moment.mail.as_ref())
                .collect();
            mails.extend(
                facts
                    .iter()
                    .filter(|mail| {
                        let failed = mail.strip_suffix("-payment_failed");
                        failed.map_or(is_placed || mail.starts_with("fcs"), |invoice| {
                            is_sold && !over && !facts.contains(&format!("{invoice}-order"))
                        })
                    })
                    .map(|mail| (*mail).clone()),
            );
            let last = mine.iter().rev().find_map(|moment| match moment.happens {
                Some(Happens::Stands {
                    status, trial_end, ..
                }) if LIFE.contains(&status) => Some((status, trial_end, &moment.truth)),
                _ => None,
            });
            if let Some(("trialing", Some(trial_end), truth)) = last
                && is_sold
                && !over
                && !truth.cancel_at_period_end
                && trial_end > self.last_at() + 5
            {
                mails.insert(format!("fsub_{n}-trial_ends-{trial_end}"));
            }
        }
        mails
    }
}

/// The mails that the shop would send in the end.
fn sent(shop: &Shop) -> BTreeSet<String> {
    let is_sent = |kind: &Mail| {
        let id = kind.subscription_id();
        still_so(
            kind,
            id.and_then(|id| shop.subscriptions().get(id).copied()),
        )
    };
    let receipts = shop
        .tables
        .receipts
        .values()
        .filter(|receipt| is_sent(&receipt.kind));
    receipts
        .map(|receipt| receipt.receipt_id.to_string())
        .collect()
}

/// The rows, without versions and without values that depend on the time of a read from the provider. The reason of
/// access is such a value, until the last state at the provider is announced.
fn bare(shop: &Shop, up_to_date: bool) -> Tables {
    let mut tables = shop.tables.clone();
    assert_eq!(tables.unannounced(), Vec::<String>::new());
    tables.batches.clear();
    for order in tables.orders.values_mut() {
        order.version = 0;
        // The list of events is about their arrival.
        order.event_history.cut_all();
    }
    for row in tables.entitlements.values_mut() {
        row.version = 0;
        if !up_to_date {
            row.reason = Reason::Paid;
            row.reason_text.clear();
            row.grants
                .values_mut()
                .for_each(|access| access.reason = Reason::Paid);
        }
    }
    for row in tables.links.values_mut() {
        *row = Link {
            version: 0,
            facts: None,
            heard_at: None,
            ..row.clone()
        };
    }
    for row in tables.subscription_rows.values_mut() {
        row.version = 0;
        row.snapshot = None;
        row.past_due = None;
        if let Some(plan) = &mut row.plan {
            *plan = Fact::new(at(0), plan.value.clone());
        }
        row.trial_notice_id = None;
        row.invoices
            .values_mut()
            .for_each(|invoice| invoice.notice_id = None);
    }
    let sent = sent(shop);
    tables.receipts.retain(|id, _| sent.contains(id.as_str()));
    tables
}

/// The state of the subscriptions, without the time and the source of the facts.
fn stand(shop: &Shop) -> BTreeMap<SubscriptionId, SubscriptionFacts> {
    let stands = |facts: &Fact<SubscriptionFacts>| SubscriptionFacts {
        source: Source::Updated,
        latest_invoice: None,
        ..facts.value.clone()
    };
    let rows = shop.subscriptions().into_iter();
    rows.filter_map(|(id, row)| Some((id.clone(), stands(row.snapshot.as_ref()?))))
        .collect()
}

/// Compares the rows with the model.
fn check_access(
    history: &History,
    shop: &Shop,
    grace: i64,
    from: i64,
    order: &dyn std::fmt::Debug,
) -> Result<(), TestCaseError> {
    let models = history.models(grace);
    for now in history.moments_to_look(grace, from) {
        for product in ["fprod_gym", "fprod_pool"] {
            let lets_in = |n: usize| models[n].lets_in(now) && history.is_for(n, product);
            let row = shop.tables.entitlements.get(&(id("fcus_1"), id(product)));
            prop_assert_eq!(
                row.is_some_and(|row| at(now) < row.access_until),
                (0..models.len()).any(lets_in),
                "{} at {:+}, in the order {:?}: {}\n{:#?}",
                product,
                now - SALE,
                order,
                history.story(),
                shop.tables.subscription_rows
            );
        }
    }
    Ok(())
}

/// True if the last event about each subscription states the same as the provider's API.
fn is_up_to_date(history: &History, shop: &Shop) -> bool {
    let stands = stand(shop);
    shop.api.subscriptions.iter().all(|(id, truth)| {
        let facts = history
            .moments
            .iter()
            .rev()
            .find_map(|moment| match &moment.event.change {
                Change::Subscription(change) if change.subscription_id == *id => {
                    Some(&change.snapshot.value)
                }
                _ => None,
            });
        let bare = |of: &SubscriptionFacts| SubscriptionFacts {
            source: Source::Updated,
            latest_invoice: None,
            ..of.clone()
        };
        stands.contains_key(id) && facts.map(bare) == Some(bare(truth))
    })
}

/// The result of a history that arrives in that way.
fn end_of(history: &History, grace: i64, arrival: &Arrival) -> Shop {
    let mut shop = history.shop(grace);
    arrival.deliver(&mut shop, &history.events());
    shop
}

/// The result of a history in any order equals that of its true order, and the model's.
fn check_all_orders(history: &History, grace: i64) -> Result<(), TestCaseError> {
    let shop = history.shop(grace);
    let in_order = end_of(history, grace, &Arrival::in_order());
    let up_to_date = is_up_to_date(history, &in_order);
    let (rows, stands) = (bare(&in_order, up_to_date), stand(&in_order));
    let mut failure = Ok(());
    in_every_order(&shop, &history.events(), &mut |end, order| {
        if failure.is_err() {
            return;
        }
        failure = check_end(
            history,
            end,
            grace,
            &order,
            &rows,
            up_to_date.then_some(&stands),
        );
    });
    failure
}

fn check_end(
    history: &History,
    end: &Shop,
    grace: i64,
    order: &dyn std::fmt::Debug,
    rows: &Tables,
    stands: Option<&BTreeMap<SubscriptionId, SubscriptionFacts>>,
) -> Result<(), TestCaseError> {
    check_access(history, end, grace, history.last_at(), order)?;
    prop_assert_eq!(
        sent(end),
        history.mails(),
        "in the order {:?}: {}",
        order,
        history.story()
    );
    let bare = bare(end, stands.is_some());
    let differs = || {
        (
            difference(&bare, rows),
            stands.map(|stands| difference(&stand(end), stands)),
        )
    };
    let same = bare == *rows && stands.is_none_or(|stands| stand(end) == *stands);
    prop_assert!(
        same,
        "{:?} in the order {:?}: {}",
        differs(),
        order,
        history.story()
    );
    Ok(())
}

fn renewal() -> impl Strategy<Value = Renewal> {
    prop_oneof![
        3 => Just(Renewal::Paid),
        2 => (1_u8..3).prop_map(Renewal::Recovers),
        1 => Just(Renewal::Forgiven),
    ]
}

fn ending() -> impl Strategy<Value = Ending> {
    prop_oneof![
        2 => Just(Ending::GoesOn),
        1 => Just(Ending::Now),
        2 => Just(Ending::AtPeriodEnd),
        2 => (1_u8..3, any::<[bool; 3]>()).prop_map(|(tries, [leaves, gives_up, deleted])| {
            Ending::Unpaid { tries, leaves, gives_up, deleted }
        }),
        1 => Just(Ending::Paused),
        1 => Just(Ending::Strange),
        1 => Just(Ending::Canceled),
        1 => Just(Ending::NowThenPaid),
    ]
}

fn life(renewals: std::ops::Range<usize>) -> impl Strategy<Value = Life> {
    (
        prop::option::weighted(0.4, prop_oneof![Just(3), Just(14)]),
        any::<bool>(),
        prop::collection::vec(renewal(), renewals),
        ending(),
        prop::collection::vec(
            prop_oneof![3 => Just(0_i64), 2 => Just(1), 1 => Just(60)],
            4..8,
        ),
        any::<[bool; 14]>(),
    )
        .prop_map(
            |(trial_days, starts_incomplete, renewals, ending, gaps, facts)| {
                let [
                    invoice_first,
                    both_names,
                    silent,
                    bills_the_past,
                    first_fails,
                    bills_nothing,
                    announces,
                    extends,
                    straggles,
                    changes_plan,
                    by_sale,
                    by_creation,
                    by_payment,
                    says_when,
                ] = facts;
                // If neither the status nor the invoice states the paid time, it cannot be known.
                let unknowable =
                    matches!(ending, Ending::Paused | Ending::Strange | Ending::Canceled);
                Life {
                    trial_days,
                    starts_incomplete,
                    renewals,
                    ending,
                    gaps,
                    invoice_first,
                    both_names,
                    silent,
                    first_fails,
                    bills_nothing,
                    announces,
                    extends,
                    straggles,
                    bills_the_past: bills_the_past && !unknowable,
                    first_known_by: [by_sale, by_creation, by_payment],
                    says_when,
                    changes_plan,
                }
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10, failure_persistence: None, ..ProptestConfig::default() })]

    /// Six events in each of their 720 orders. Each earlier part of the history, in each of its orders.
    #[test]
    fn a_short_history_ends_the_same_in_every_order(life in life(0..2), grace in prop_oneof![Just(0), Just(3 * DAY)]) {
        let history = History::of(vec![life]).cut(6);
        for beginning in history.beginnings() {
            check_all_orders(&beginning, grace)?;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    /// Longer histories, and a second subscription after or beside the first: shuffled, with twins and lost races.
    #[test]
    fn a_long_history_ends_the_same_in_any_order(
        lives in prop::collection::vec(life(0..4), 1..3),
        grace in prop_oneof![Just(0), Just(3 * DAY)],
        arrivals in prop::collection::vec(arrival(MOST), 3),
    ) {
        let history = History::of(lives).cut(MOST);
        for (beginning, arrival) in history.beginnings().iter().zip(arrivals.iter().cycle()) {
            let in_order = end_of(beginning, grace, &Arrival::in_order());
            let up_to_date = is_up_to_date(beginning, &in_order);
            let rows = bare(&in_order, up_to_date);
            let stands = up_to_date.then(|| stand(&in_order));
            check_end(beginning, &in_order, grace, &"true", &rows, stands.as_ref())?;
            let end = end_of(beginning, grace, arrival);
            check_end(beginning, &end, grace, arrival, &rows, stands.as_ref())?;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    /// In real time: each event arrives some time after its change, and the provider's API then shows its present
    /// state. Once all events have arrived, the access equals the model's.
    #[test]
    fn a_history_is_followed_as_it_happens(
        lives in prop::collection::vec(life(0..4), 1..3),
        grace in prop_oneof![Just(0), Just(3 * DAY)],
        delays in prop::collection::vec(prop_oneof![4 => 1_i64..9, 2 => 1_i64..4000, 1 => Just(2 * DAY)], MOST),
    ) {
        let history = History::of(lives).cut(MOST);
        let mut shop = history.shop(grace);
        let mut coming: Vec<(i64, usize)> =
            history.moments.iter().zip(&delays).enumerate().map(|(n, (moment, delay))| (moment.at + delay, n)).collect();
        coming.sort_unstable();
        let mut waiting = Vec::new();
        for (come, (now, n)) in coming.iter().enumerate() {
            let happened = history.cut(history.moments.iter().filter(|moment| moment.at <= *now).count());
            shop.api.subscriptions = happened.shop(grace).api.subscriptions;
            shop.now = at(*now);
            let event = &history.moments[*n].event;
            if let End::Waits(_) = shop.deliver(event) {
                waiting.push(event);
            }
            waiting.retain(|event| matches!(shop.deliver(event), End::Waits(_)));
            if come + 1 == happened.moments.len() {
                check_access(&happened, &shop, grace, *now, &coming)?;
            }
        }
    }
}
