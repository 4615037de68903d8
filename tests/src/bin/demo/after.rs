//! Act two: what comes after a sale. A partial refund with a restock, and two subscriptions' lives, one in
//! its true order and one shuffled.

use crate::{DemoError, Story, WITHIN, sku_of};
use domain::{
    access::entitlement::Entitlement,
    delivery::stored_event::EventState,
    fulfillment::read_set::ReadSet,
    ports::Commits as _,
    values::ids::{CustomerId, ProductId},
};
use jiff::Timestamp;
use kit::{
    life::{Life, Moment},
    play::{Play, PlayError, until},
    shop::{Purchase, id, sample},
};
use serde_json::{Value, json};

/// The order of the second life's events: its end first, its first payment last but one.
const SHUFFLED: [usize; 10] = [9, 4, 7, 2, 8, 0, 5, 3, 1, 6];

impl Story {
    pub(crate) async fn after_the_sale(
        &self,
        play: &Play,
        purchase: &Purchase,
    ) -> Result<(), DemoError> {
        println!("\n{}", self.bold("Act two: after the sale"));
        self.refund(play, purchase).await?;
        let facts = self.life_in_true_order(play).await?;
        self.life_shuffled(play, &facts).await
    }

    async fn refund(&self, play: &Play, purchase: &Purchase) -> Result<(), DemoError> {
        self.act(
            5,
            "The customer sends the tote back and gets the money for it",
        );
        let tote = sku_of("TOTE")?;
        let before = play
            .tables
            .stock_levels
            .on_hand(&tote)
            .await
            .map_err(PlayError::from)?
            .unwrap_or_default();
        // The success is announced before the request, and both twice.
        for n in [11, 10, 11, 10] {
            let kind = if n == 10 {
                "refund.created"
            } else {
                "refund.updated"
            };
            let event = renamed(sample(kind), &id("fevt", n));
            play.deliver_signed(event.to_string().as_bytes()).await?;
        }
        for n in [10, 11] {
            play.until_event(&id("fevt", n), EventState::Processed, WITHIN)
                .await?;
        }
        let order = play
            .order(purchase.order_id())
            .await?
            .ok_or(DemoError::Missing("there is no order"))?;
        let (back, paid) = (order.money(order.refunded()), order.money(order.paid()));
        self.station(
            "order",
            &format!("{}: {back} of {paid} went back", order.state()),
        );
        let after = play
            .tables
            .stock_levels
            .on_hand(&tote)
            .await
            .map_err(PlayError::from)?
            .unwrap_or_default();
        self.station("stock", &format!("TOTE     {before:>3} → {after}"));
        self.claim(after == before + 1, "the tote is back on the shelf, once");
        let mails = until("the refund's receipt is mailed", WITHIN, async || {
            let mails = play.mails(purchase.order_id()).await?;
            Ok((mails.len() > 1).then_some(mails))
        })
        .await?;
        if let Some(mail) = mails.last() {
            self.station("mail", &mail.subject);
        }
        self.claim(
            mails.len() == 2,
            "one receipt for the sale, one for the refund",
        );
        Ok(())
    }

    /// Tells a life as it happens, and looks at the access at each moment.
    async fn life_in_true_order(&self, play: &Play) -> Result<Entitlement, DemoError> {
        self.act(
            6,
            "A subscription: paid, renewed, failed, recovered, cancelled at its period's end",
        );
        let life = Life::of(7001);
        play.sell(&life.purchase).await?;
        play.knows_subscription(&life.subscription).await?;
        for moment in &life.moments {
            self.tell(play, moment).await?;
            let access = access(play, &life).await?;
            self.access_at(moment, access.as_ref());
        }
        let end = access(play, &life)
            .await?
            .ok_or(DemoError::Missing("there is no access row"))?;
        self.claim(
            day(end.access_until) == "2026-04-10",
            "what was paid for was given, to its last day: nothing more, nothing less",
        );
        self.receipts(play, &life).await?;
        Ok(end)
    }

    /// Tells another such life in the wrong order, everything twice.
    async fn life_shuffled(&self, play: &Play, expected: &Entitlement) -> Result<(), DemoError> {
        self.act(
            7,
            "Another one just like it, told shuffled, and every event twice",
        );
        let life = Life::of(7002);
        play.sell(&life.purchase).await?;
        play.knows_subscription(&life.subscription).await?;
        for moment in SHUFFLED.iter().filter_map(|n| life.moments.get(*n)) {
            for _ in 0..2 {
                play.deliver_signed(&moment.body).await?;
            }
            self.station(&day(moment.at), moment.what);
        }
        for moment in &life.moments {
            play.until_event(&moment.event_id, EventState::Processed, WITHIN)
                .await?;
        }
        let end = access(play, &life)
            .await?
            .ok_or(DemoError::Missing("there is no access row"))?;
        self.station(
            "in the end",
            &format!(
                "access until {}, {}",
                day(end.access_until),
                end.reason_text
            ),
        );
        self.claim(
            (end.access_until, end.reason) == (expected.access_until, expected.reason),
            "the end is the same as in true order",
        );
        self.receipts(play, &life).await
    }

    /// Delivers, and waits until it has had its effect.
    async fn tell(&self, play: &Play, moment: &Moment) -> Result<(), DemoError> {
        play.deliver_signed(&moment.body).await?;
        play.until_event(&moment.event_id, EventState::Processed, WITHIN)
            .await?;
        Ok(())
    }

    fn access_at(&self, moment: &Moment, access: Option<&Entitlement>) {
        let given = access.filter(|access| moment.at < access.access_until);
        let word = match (given, access) {
            (Some(access), _) => format!(
                "{} until {}: {}",
                self.green("yes"),
                day(access.access_until),
                access.reason.as_str()
            ),
            (None, Some(access)) => format!("{}: {}", self.red("no"), access.reason.as_str()),
            (None, None) => format!("{}: nothing is known", self.red("no")),
        };
        self.station(
            &day(moment.at),
            &format!("{:<42} access {word}", moment.what),
        );
    }

    /// One receipt for the sale, one for each renewal, none for the first invoice.
    async fn receipts(&self, play: &Play, life: &Life) -> Result<(), DemoError> {
        let read_set = 3;
        let mails = until("the receipts are mailed", WITHIN, async || {
            play.until_idle(WITHIN).await?;
            let mut receipts = Vec::new();
            for order_id in [
                life.purchase.order_id(),
                &life.invoice_id(1),
                &life.invoice_id(2),
            ] {
                let mails = play.mails(order_id).await?;
                receipts.extend(mails.into_iter().filter(|mail| is_receipt(&mail.subject)));
            }
            Ok((receipts.len() >= read_set).then_some(receipts))
        })
        .await?;
        for mail in &mails {
            self.station("mail", &mail.subject);
        }
        self.claim(
            mails.len() == read_set,
            "one receipt for the sale and one for each of two renewals",
        );
        let renewal = play
            .order(&life.invoice_id(1))
            .await?
            .ok_or(DemoError::Missing("the renewal has no order"))?;
        let period = renewal.period.map(|period| (period.start, period.end));
        let covered = period.map(|(start, end)| format!("{} – {}", day(start), day(end)));
        self.station(
            "renewal",
            &format!(
                "{}: {} of {}, for {}",
                renewal.order_id,
                renewal.state(),
                renewal.money(renewal.totals.total),
                covered.as_deref().unwrap_or("an unknown period")
            ),
        );
        self.claim(
            renewal.lines.len() == 1 && covered.as_deref() == Some("2026-02-10 – 2026-03-10"),
            "the renewal is an order of its own, with its line and the month that it pays for",
        );
        Ok(())
    }
}

/// An event under another id.
fn renamed(mut event: Value, id: &str) -> Value {
    if let Some(known) = event.get_mut("event_id") {
        *known = json!(id);
    }
    event
}

/// The notice of a failed payment depends on its time: it is sent only while the payment is due.
fn is_receipt(subject: &str) -> bool {
    subject.to_lowercase().contains("receipt")
}

/// The row that the merchant's own application reads.
async fn access(play: &Play, life: &Life) -> Result<Option<Entitlement>, DemoError> {
    let bad = |_| DemoError::Missing("an id is not one");
    let customer = CustomerId::new(life.customer_id()).map_err(bad)?;
    let product = ProductId::new(life.product_id()).map_err(bad)?;
    let read_set = ReadSet {
        entitlements: vec![(customer, product)],
        ..ReadSet::default()
    };
    let rows = play
        .tables
        .store
        .read(&read_set)
        .await
        .map_err(PlayError::from)?;
    Ok(rows.entitlements.into_iter().next())
}

fn day(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d").to_string()
}
