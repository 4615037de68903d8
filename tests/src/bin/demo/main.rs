//! Plays on the local stack and shows what happened at every station: one sale; then what comes after a
//! sale; then an order of the second provider. Checks each of its claims, and fails if one is false.

mod after;
mod announced;
mod flint;

use domain::ports::Receipts as _;
use kit::prelude::*;
use kit::{play::PlayError, signed::signed_request, subscriber::Subscriber};
use std::{
    cell::Cell,
    fs,
    io::{self, IsTerminal},
    path::Path,
    process::ExitCode,
};

const WITHIN: Duration = Duration::from_mins(1);
/// The stock before the sale, and how many pieces the sample sale sells.
const SHELVES: [(&str, i64, i64); 2] = [("BRACE-M", 12, 2), ("TOTE", 5, 1)];

#[derive(Debug, thiserror::Error)]
enum DemoError {
    #[error(transparent)]
    Play(#[from] PlayError),
    #[error("the receipt could not be written: {0}")]
    Write(#[from] io::Error),
    #[error("{0}")]
    Missing(&'static str),
}

#[tokio::main]
async fn main() -> ExitCode {
    let story = Story::new();
    match story.play().await {
        Ok(()) if story.false_claims.get() == 0 => {
            println!(
                "\n{} All {} claims hold.",
                story.green("✓"),
                story.claims.get()
            );
            ExitCode::SUCCESS
        }
        Ok(()) => {
            println!(
                "\n{} {} of {} claims are false.",
                story.red("✗"),
                story.false_claims.get(),
                story.claims.get()
            );
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("\n{} {error}", story.red("✗"));
            ExitCode::FAILURE
        }
    }
}

/// The visible state: enough to detect any change.
#[derive(Debug, Clone, PartialEq)]
struct Seen {
    order: Option<domain::sale::order::Order>,
    on_hand: Vec<Option<i64>>,
    mails: usize,
}

struct Story {
    colors: bool,
    claims: Cell<usize>,
    false_claims: Cell<usize>,
}

impl Story {
    fn new() -> Self {
        let colors = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Self {
            colors,
            claims: Cell::new(0),
            false_claims: Cell::new(0),
        }
    }

    async fn play(&self) -> Result<(), DemoError> {
        let play = Play::on_named_stack().await?;
        let mut subscriber = Subscriber::of(&play).await?;
        let purchase = Purchase::sample();
        play.sell(&purchase).await?;
        for (sku, count, _) in SHELVES {
            play.tables
                .stock_levels
                .put_counter(&sku_of(sku)?, count)
                .await
                .map_err(PlayError::from)?;
        }
        println!(
            "\n{}",
            self.bold("Act one: a paid sale, from the webhook to the receipt")
        );
        println!(
            "The deployed template.yaml, real functions, DynamoDB, SQS and SES; the providers' APIs are stand-ins."
        );

        let body = purchase.completed(&id("fevt", 1));
        self.sale(&play, &purchase, &body).await?;
        let seen = self.look(&play, &purchase).await?;
        self.duplicate(&play, &purchase, &body, &seen).await?;
        self.forgery(&play, &purchase, &seen).await?;
        self.twin(&play, &purchase, &seen).await?;
        self.after_the_sale(&play, &purchase).await?;
        self.order_at_flint(&play).await?;
        self.announcements(&play, &purchase, &mut subscriber)
            .await?;
        self.sum_up(&play, &purchase).await
    }

    /// The way of one delivery through all stations.
    async fn sale(&self, play: &Play, purchase: &Purchase, body: &[u8]) -> Result<(), DemoError> {
        self.act(1, "Flex says that a sale is completed");
        let answer = play.deliver_signed(body).await?;
        let event_id = id("fevt", 1);
        self.station(
            "delivery",
            &format!("POST /webhooks/flex, {} bytes, signed", body.len()),
        );
        self.claim(
            answer.status == 200,
            &format!(
                "answered {} in {} ms",
                answer.status,
                answer.took.as_millis()
            ),
        );
        let event = play
            .until_event(&event_id, EventState::Processed, WITHIN)
            .await?;
        self.station(
            "intake",
            &format!("stored {event_id} byte for byte, then queued it"),
        );
        self.claim(event.body == body, "the stored bytes are the signed ones");

        let order = play
            .order(purchase.order_id())
            .await?
            .ok_or(DemoError::Missing("there is no order"))?;
        let asked = play.asked_for(purchase.order_id()).await?;
        self.station(
            "fulfillment",
            &format!("read session, customer and lines from Flex ({asked} requests), then decided"),
        );
        self.station(
            "order",
            &format!(
                "{}, the merchant's {}",
                order.order_id,
                order.client_reference_id.as_deref().unwrap_or("-")
            ),
        );
        self.lines(&order);
        self.claim(
            order.difference.is_none(),
            "the lines add up to what was paid",
        );
        for ((sku, before, sold), after) in
            SHELVES.iter().zip(self.look(play, purchase).await?.on_hand)
        {
            self.station(
                "stock",
                &format!("{sku:<8} {before:>3} → {}", after.unwrap_or_default()),
            );
            self.claim(
                after == Some(before - sold),
                &format!("{sku} went down by {sold}"),
            );
        }

        let receipt = until("the receipt is sent", WITHIN, async || {
            let Some(receipt_id) = &order.receipt_id else {
                return Ok(None);
            };
            let receipt = play.tables.store.receipt(receipt_id).await?;
            Ok(receipt.filter(|receipt| matches!(receipt.state, ReceiptState::Sent { .. })))
        })
        .await?;
        let mails = play.mails(purchase.order_id()).await?;
        let mail = mails
            .first()
            .ok_or(DemoError::Missing("there is no mail"))?;
        self.station(
            "receipts",
            &format!(
                "claimed, rendered, handed to SES, marked: {}",
                receipt.receipt_id
            ),
        );
        self.station("mail", &format!("to {}", mail.to.join(", ")));
        self.station("", &mail.subject);
        self.claim(
            !mail
                .to
                .iter()
                .any(|to| Some(to) == order.customer.email.as_ref()),
            "test money: the mail went to the merchant, not to the customer",
        );
        Ok(())
    }

    /// The order line by line, and its total.
    fn lines(&self, order: &Order) {
        for line in &order.lines {
            let eligible = if line.is_eligible() {
                "HSA/FSA eligible"
            } else {
                "not eligible"
            };
            let total = order.money(line.amounts.total).to_string();
            self.station(
                "",
                &format!(
                    "{} × {:<34}{total:>9}   {eligible}",
                    line.quantity, line.description
                ),
            );
        }
        let total = order.money(order.totals.total).to_string();
        self.station(
            "",
            &format!(
                "{:<38}{total:>9}   {} payments: a split cart",
                "total",
                order.payment_intents.len()
            ),
        );
    }

    async fn duplicate(
        &self,
        play: &Play,
        purchase: &Purchase,
        body: &[u8],
        seen: &Seen,
    ) -> Result<(), DemoError> {
        self.act(2, "The same delivery comes again");
        let answer = play.deliver_signed(body).await?;
        self.claim(
            answer.status == 200,
            &format!("answered {}: known, and done", answer.status),
        );
        self.nothing_changed(play, purchase, seen).await
    }

    async fn forgery(
        &self,
        play: &Play,
        purchase: &Purchase,
        seen: &Seen,
    ) -> Result<(), DemoError> {
        self.act(3, "Somebody forges a delivery");
        let event_id = id("fevt", 2);
        let forged = purchase.completed(&event_id);
        let text = String::from_utf8_lossy(&forged).into_owned();
        let headers = signed_request(
            "fwhsec_c29tZWJvZHkgZWxzZSdzIHNlY3JldA==",
            &text,
            Timestamp::now(),
        );
        let answer = play.deliver(forged, &headers).await?;
        self.claim(
            answer.status == 401 && answer.body.is_empty(),
            &format!("answered {}, without a word", answer.status),
        );
        self.claim(play.event(&event_id).await?.is_none(), "nothing was stored");
        self.nothing_changed(play, purchase, seen).await
    }

    async fn twin(&self, play: &Play, purchase: &Purchase, seen: &Seen) -> Result<(), DemoError> {
        self.act(4, "Flex announces the same sale under a new event id");
        let event_id = id("fevt", 3);
        let answer = play.deliver_signed(&purchase.completed(&event_id)).await?;
        self.claim(
            answer.status == 200,
            &format!("answered {}: genuine, and stored", answer.status),
        );
        play.until_event(&event_id, EventState::Processed, WITHIN)
            .await?;
        play.until_idle(WITHIN).await?;
        self.station("fulfillment", "found the order there already");
        self.nothing_changed(play, purchase, seen).await
    }

    async fn sum_up(&self, play: &Play, purchase: &Purchase) -> Result<(), DemoError> {
        println!("\n{}", self.bold("In the end"));
        let seen = self.look(play, purchase).await?;
        self.claim(
            seen.order.is_some() && seen.mails == 2,
            "one order, one receipt for it, one for its refund",
        );
        play.until_idle(WITHIN).await?;
        let queues = &play.stack.queues;
        let dead = play.depth(&queues.fulfillment_dead_letter).await?
            + play.depth(&queues.receipt_dead_letter).await?;
        self.claim(
            dead == 0,
            "nothing is left on a queue, and nothing is in a dead-letter queue",
        );
        let mails = play.mails(purchase.order_id()).await?;
        let mail = mails
            .first()
            .ok_or(DemoError::Missing("there is no mail"))?;
        let refund = mails
            .last()
            .ok_or(DemoError::Missing("there is no mail about the refund"))?;
        let folder = Path::new("out");
        fs::create_dir_all(folder)?;
        fs::write(folder.join("receipt.html"), &mail.body_html)?;
        fs::write(folder.join("receipt.txt"), &mail.body_text)?;
        fs::write(folder.join("refund.html"), &refund.body_html)?;
        let page = folder.canonicalize()?.join("receipt.html");
        println!(
            "\nThe receipt: {}",
            self.bold(&format!("file://{}", page.display()))
        );
        Ok(())
    }

    async fn look(&self, play: &Play, purchase: &Purchase) -> Result<Seen, DemoError> {
        let mut on_hand = Vec::new();
        for (sku, ..) in SHELVES {
            on_hand.push(
                play.tables
                    .stock_levels
                    .on_hand(&sku_of(sku)?)
                    .await
                    .map_err(PlayError::from)?,
            );
        }
        let order = play.order(purchase.order_id()).await?;
        Ok(Seen {
            order,
            on_hand,
            mails: play.mails(purchase.order_id()).await?.len(),
        })
    }

    async fn nothing_changed(
        &self,
        play: &Play,
        purchase: &Purchase,
        before: &Seen,
    ) -> Result<(), DemoError> {
        let now = self.look(play, purchase).await?;
        self.claim(now == *before, "order, stock and mail are as they were");
        Ok(())
    }

    fn act(&self, n: u32, title: &str) {
        println!("\n{}", self.bold(&format!("{n}. {title}")));
    }

    #[expect(clippy::unused_self, reason = "one voice tells the story")]
    fn station(&self, name: &str, what: &str) {
        println!("   {name:<12} {what}");
    }

    fn claim(&self, holds: bool, what: &str) {
        self.claims.set(self.claims.get() + 1);
        if holds {
            println!("   {:<12} {} {what}", "", self.green("✓"));
        } else {
            self.false_claims.set(self.false_claims.get() + 1);
            println!("   {:<12} {} {what}: NOT SO", "", self.red("✗"));
        }
    }

    fn bold(&self, text: &str) -> String {
        self.styled("1", text)
    }

    fn green(&self, text: &str) -> String {
        self.styled("32", text)
    }

    fn red(&self, text: &str) -> String {
        self.styled("31", text)
    }

    fn styled(&self, code: &str, text: &str) -> String {
        if self.colors {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }
}

fn sku_of(text: &str) -> Result<Sku, PlayError> {
    Ok(Sku::new(text)?)
}
