//! The events of a shop on a stormy day, from a seed, and the expected end. There are sales, announced more than
//! once and under more than one id, refunds of some of them, and lives of subscriptions. All of it is shuffled.
#![expect(
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "indexing a `Value` to write makes the member; a place in the day needs no precision"
)]

use kit::prelude::*;
use kit::{dice::Dice, shop::event};

/// One of this many stories is a subscription's life.
const LIVES: u64 = 50;
/// The first number of a life. Lives share no id with a sale.
const FIRST_LIFE: u64 = 1 << 20;
/// How many SKUs there are of each kind, so that orders meet on the shelves.
const KINDS: u64 = 10;
/// How much lies on a shelf in the morning.
const ON_HAND: i64 = 50_000;
/// The scarce thing, and its stock.
const SCARCE: (&str, i64) = ("LAST-ONES", 20);
/// The deliveries of one story lie this close together, except late ones of the sale itself.
const TOGETHER: f64 = 200.0;
/// When the refunds of the samples are asked for and decided, by Flex's clock.
const REFUND_TOLD: [i64; 2] = [1_760_186_400, 1_760_339_700];

/// A body to be delivered.
#[derive(Debug, Clone)]
pub(crate) struct Post {
    pub(crate) body: Vec<u8>,
    pub(crate) what: What,
}

/// Why a body is delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum What {
    Sale,
    Refund,
    Life,
    /// A body that is delivered in its own right as well.
    Duplicate,
    /// A sale under another event id.
    Twin,
}

/// A movement: how many were taken, and how many are back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moved {
    pub(crate) deducted: i64,
    pub(crate) restocked: i64,
}

/// A day, and its end.
#[derive(Debug, Default)]
pub(crate) struct Day {
    /// In the order in which they are sent.
    pub(crate) posts: Vec<Post>,
    /// The contents of Flex's API: the stand-in's seed file.
    pub(crate) seed_file: Value,
    /// The shelves in the morning.
    pub(crate) stock_levels: BTreeMap<String, i64>,
    /// All orders that there must be in the end.
    pub(crate) orders: BTreeSet<String>,
    /// All events.
    pub(crate) events: BTreeSet<String>,
    /// All movements, by SKU and order, but for what is scarce.
    pub(crate) moved: BTreeMap<(String, String), Moved>,
    /// Who asks for what is scarce: one piece each.
    pub(crate) scarce: BTreeSet<String>,
    /// All receipts that must be sent in the end, with the order that each is of.
    pub(crate) receipts: BTreeMap<String, String>,
    /// Mails that are sent or not, as it happens: a notice is withdrawn when it is not so any more.
    pub(crate) notices: BTreeMap<String, String>,
    /// Customer and product of each life.
    pub(crate) access: BTreeSet<(String, String)>,
}

struct Draft {
    dice: Dice,
    together: f64,
    placed: Vec<(f64, Post)>,
    day: Day,
    sessions: Vec<Value>,
    customers: BTreeMap<String, Value>,
    subscriptions: Vec<Value>,
}

impl Day {
    /// How many deliveries there are of each kind, while they are here.
    pub(crate) fn counts(&self) -> BTreeMap<What, usize> {
        let mut counts = BTreeMap::new();
        for post in &self.posts {
            *counts.entry(post.what).or_default() += 1;
        }
        counts
    }
}

/// The scarce thing, and its stock.
pub(crate) fn scarce() -> (&'static str, i64) {
    SCARCE
}

/// The day of that seed, with at least that many deliveries.
pub(crate) fn day(seed: u64, deliveries: usize) -> Day {
    let mut draft = Draft {
        dice: Dice::of(seed, 1),
        together: TOGETHER / deliveries.max(1) as f64,
        placed: Vec::new(),
        day: Day::default(),
        sessions: Vec::new(),
        customers: BTreeMap::new(),
        subscriptions: Vec::new(),
    };
    for n in 1.. {
        if draft.placed.len() >= deliveries {
            break;
        }
        if n % LIVES == LIVES / 2 {
            draft.life(FIRST_LIFE + n);
        } else {
            draft.sale(n);
        }
    }
    draft.finished()
}

impl Draft {
    /// Puts a delivery somewhere about `at`, and in one case of ten once more.
    fn place(&mut self, at: f64, what: What, event_id: &str, body: Vec<u8>) {
        self.day.events.insert(event_id.to_owned());
        let place = at + self.dice.unit() * self.together;
        if self.dice.percent(10) {
            // A sale's event may come again at any time. An event that needs an order must not come hours
            // before it.
            let again = if matches!(what, What::Sale | What::Twin) {
                self.dice.unit()
            } else {
                at + self.dice.unit() * self.together
            };
            let post = Post {
                body: body.clone(),
                what: What::Duplicate,
            };
            self.placed.push((again, post));
        }
        self.placed.push((place, Post { body, what }));
    }

    fn sale(&mut self, n: u64) {
        let at = self.dice.unit();
        let mut purchase = Purchase::numbered(n);
        let scarce = self.dice.rarely(250);
        let brace = format!("BRACE-{}", self.dice.below(KINDS));
        let tote = if scarce {
            SCARCE.0.to_owned()
        } else {
            format!("TOTE-{}", self.dice.below(KINDS))
        };
        for (line, sku) in [&brace, &tote].into_iter().enumerate() {
            purchase.line_items[line]["price"]["product"]["client_reference_id"] = json!(sku);
        }
        let order = purchase.order_id().to_owned();
        self.know(&purchase);
        self.day.orders.insert(order.clone());
        self.day
            .receipts
            .insert(format!("{order}-order"), order.clone());
        for (sku, on_hand) in [
            (&brace, ON_HAND),
            (&tote, if scarce { SCARCE.1 } else { ON_HAND }),
        ] {
            self.day.stock_levels.insert(sku.clone(), on_hand);
        }
        let event_id = id("fevt", n * 64);
        self.place(at, What::Sale, &event_id, purchase.completed(&event_id));
        if self.dice.percent(10) {
            let twin = id("fevt", n * 64 + 1);
            let anywhere = self.dice.unit();
            self.place(anywhere, What::Twin, &twin, purchase.completed(&twin));
        }
        // Scarce things get no refunds: the restock would depend on the order of the sales.
        let back = if !scarce && self.dice.percent(10) {
            self.refund(n, &purchase, &tote, at)
        } else {
            [0, 0]
        };
        self.day.moved.insert(
            (brace, order.clone()),
            Moved {
                deducted: 2,
                restocked: back[0],
            },
        );
        if scarce {
            self.day.scarce.insert(order);
        } else {
            self.day.moved.insert(
                (tote, order),
                Moved {
                    deducted: 1,
                    restocked: back[1],
                },
            );
        }
    }

    /// A refund of the tote, of everything, or one that fails. How many pieces of each line go back.
    fn refund(&mut self, n: u64, purchase: &Purchase, tote: &str, at: f64) -> [i64; 2] {
        let refund_id = id("fre", n);
        let kind = self.dice.below(3);
        let (of_tote, all) = (
            &purchase.line_items[1]["amount_total"],
            &purchase.session["amount_total"],
        );
        let restock = json!({"restock": format!("{tote}:1")});
        let (amount, end, restock, back) = match kind {
            0 => (of_tote, "succeeded", restock, [0, 1]),
            1 => (all, "succeeded", Value::Null, [2, 1]),
            _ => (all, "failed", Value::Null, [0, 0]),
        };
        let mut refund = sample("refund.created")["object"]["refund"].take();
        refund["refund_id"] = json!(refund_id);
        refund["payment_intent_id"] = purchase.session["payment_intent"].clone();
        refund["items"][0]["payment_intent"] = purchase.session["payment_intent"].clone();
        refund["amount"] = amount.clone();
        refund["items"][0]["amount_refunded"] = amount.clone();
        refund["metadata"] = restock;
        let steps = [("created", "pending"), ("updated", end)];
        for (nth, (kind, status)) in steps.into_iter().enumerate() {
            refund["status"] = json!(status);
            let event_id = id("fevt", n * 64 + 2 + u64::from(nth > 0));
            let body = event(
                &format!("refund.{kind}"),
                &event_id,
                REFUND_TOLD[nth],
                "refund",
                &refund,
            );
            self.place(at, What::Refund, &event_id, body);
        }
        if end == "succeeded" {
            self.day.receipts.insert(
                format!("{refund_id}-refund"),
                purchase.order_id().to_owned(),
            );
        }
        back
    }

    fn life(&mut self, n: u64) {
        let at = self.dice.unit();
        let life = Life::of(n);
        let order = life.purchase.order_id().to_owned();
        self.know(&life.purchase);
        self.subscriptions.push(life.subscription.clone());
        self.day.orders.insert(order.clone());
        self.day
            .receipts
            .insert(format!("{order}-order"), order.clone());
        for month in 1..=2 {
            let renewal = life.invoice_id(month);
            self.day.orders.insert(renewal.clone());
            self.day
                .receipts
                .insert(format!("{renewal}-order"), renewal);
        }
        self.day
            .notices
            .insert(format!("{}-payment_failed", life.invoice_id(2)), order);
        self.day
            .access
            .insert((life.customer_id(), life.product_id()));
        for moment in life.moments {
            self.place(at, What::Life, &moment.event_id, moment.body);
        }
    }

    fn know(&mut self, purchase: &Purchase) {
        self.sessions
            .push(json!({"session": purchase.session, "line_items": purchase.line_items}));
        let customer = purchase.customer["customer_id"].to_string();
        self.customers.insert(customer, purchase.customer.clone());
    }

    fn finished(mut self) -> Day {
        self.placed.sort_by(|one, other| one.0.total_cmp(&other.0));
        self.day.posts = self.placed.into_iter().map(|(_, post)| post).collect();
        self.day.seed_file = json!({
            "sessions": self.sessions,
            "customers": self.customers.into_values().collect::<Vec<_>>(),
            "subscriptions": self.subscriptions,
            "refunds": [],
        });
        self.day
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_one_day() {
        let (one, again, other) = (day(1, 500), day(1, 500), day(2, 500));
        let bodies = |day: &Day| {
            day.posts
                .iter()
                .map(|post| post.body.clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(bodies(&one), bodies(&again));
        assert_ne!(bodies(&one), bodies(&other));
    }

    #[test]
    fn about_a_tenth_comes_again_and_a_tenth_of_the_checkouts_has_a_twin() {
        let day = day(7, 5000);
        let share = |what: What, of: What| {
            let count = |what| day.posts.iter().filter(|post| post.what == what).count();
            count(what) as f64 / count(of) as f64
        };
        assert!(day.posts.len() < 5020);
        assert!((0.08..0.14).contains(&share(What::Twin, What::Sale)));
        assert!((0.08..0.16).contains(&share(What::Duplicate, What::Sale)));
        assert!((0.12..0.28).contains(&share(What::Refund, What::Sale)));
        assert!(day.scarce.len() > usize::try_from(SCARCE.1).unwrap());
    }

    #[test]
    fn every_number_is_an_order_of_its_own() {
        let day = day(3, 2000);
        let lives = day.access.len();
        assert!(lives > 5);
        let sales = day
            .posts
            .iter()
            .filter(|post| post.what == What::Sale)
            .count();
        // A life is a sale and two renewals.
        assert_eq!(day.orders.len(), sales + 3 * lives);
    }
}
