//! The overdue rows of Events and Receipts.
//!
//! A run of sweep notes on a row that it queues the row again (`swept_at`), before it does. The update's condition is
//! that the row is due.

use crate::{
    failure::{classified, past_conflicts},
    guard::guarded,
    index::{Index, IndexedEvent, IndexedReceipt},
    receipts::due,
    row::{self, number, text},
    store::{DYNAMODB, Store},
};
use aws_sdk_dynamodb::{error::SdkError, types::ReturnValue};
use domain::{
    delivery::stored_event::EventState,
    ports::{Backlogs, Reserved},
    upkeep::sweep::{BacklogItem, Due, EventBacklog, ReceiptBacklog},
    values::{
        ids::{EventId, ReceiptId},
        outcome::RetryableError,
    },
};
use jiff::Timestamp;
use serde::Deserialize;

/// The time at which a row was last queued again.
#[derive(Deserialize)]
struct Noted {
    #[serde(default, with = "jiff::fmt::serde::timestamp::second::optional")]
    swept_at: Option<Timestamp>,
}

impl Index<'_> {
    /// The condition that a row was ready at the time of that name.
    fn ready(&self, time: &str) -> String {
        let others = self
            .not_before
            .iter()
            .map(|name| format!(" AND (attribute_not_exists({name}) OR {name} <= {time})"));
        format!("{} <= {time}{}", self.since, others.collect::<String>())
    }

    async fn take(&self, place: String, id: &str, turn: &Due) -> Result<Reserved, RetryableError> {
        let (rested, tried) = (self.ready(":rested"), self.ready(":tried"));
        let time = |at: Timestamp| number(at.as_second());
        let update = self
            .update(id)
            .update_expression("SET swept_at = :now")
            .condition_expression(format!(
                "#open = :place AND {rested} AND (swept_at <= :swept \
                 OR (attribute_not_exists(swept_at) AND (attempts <= :attempts OR ({tried}))))"
            ))
            .expression_attribute_names("#open", "open")
            .expression_attribute_values(":place", text(place))
            .expression_attribute_values(":now", time(turn.now))
            .expression_attribute_values(":rested", time(turn.rested))
            .expression_attribute_values(":tried", time(turn.tried))
            .expression_attribute_values(":swept", time(turn.swept))
            .expression_attribute_values(":attempts", number(turn.attempts))
            .return_values(ReturnValue::UpdatedOld);
        match past_conflicts(|| update.clone().send()).await {
            Ok(updated) => {
                let Noted { swept_at } =
                    row::from_item(self.name, updated.attributes.unwrap_or_default())?;
                Ok(Reserved::Now { before: swept_at })
            }
            Err(SdkError::ServiceError(refusal))
                if refusal.err().is_conditional_check_failed_exception() =>
            {
                Ok(Reserved::NotNow)
            }
            Err(error) => Err(classified(DYNAMODB, &error)),
        }
    }

    async fn give_back(
        &self,
        id: &str,
        taken_at: Timestamp,
        before: Option<Timestamp>,
    ) -> Result<(), RetryableError> {
        let update = self
            .update(id)
            .condition_expression("swept_at = :taken")
            .expression_attribute_values(":taken", number(taken_at.as_second()));
        let update = match before {
            None => update.update_expression("REMOVE swept_at"),
            Some(before) => update
                .update_expression("SET swept_at = :before")
                .expression_attribute_values(":before", number(before.as_second())),
        };
        guarded(update).await.map(drop)
    }
}

fn event_key(place: EventBacklog) -> String {
    let state = match place {
        EventBacklog::Stored => EventState::Stored,
        EventBacklog::Committed => EventState::Committed,
    };
    state.to_string()
}

fn receipt_key(place: ReceiptBacklog) -> String {
    match place {
        ReceiptBacklog::Unsent => "unsent".to_owned(),
        ReceiptBacklog::Leased => "leased".to_owned(),
        ReceiptBacklog::Due(day) => due(day),
    }
}

impl Backlogs<EventBacklog> for Store {
    async fn overdue(
        &self,
        place: EventBacklog,
        until: Timestamp,
        most: usize,
    ) -> Result<Vec<BacklogItem<EventId>>, RetryableError> {
        self.open_event_index()
            .overdue::<IndexedEvent, _>(event_key(place), until, most)
            .await
    }

    async fn take(
        &self,
        place: EventBacklog,
        id: &EventId,
        turn: &Due,
    ) -> Result<Reserved, RetryableError> {
        self.open_event_index()
            .take(event_key(place), id.as_str(), turn)
            .await
    }

    async fn give_back(
        &self,
        _: EventBacklog,
        id: &EventId,
        taken_at: Timestamp,
        before: Option<Timestamp>,
    ) -> Result<(), RetryableError> {
        self.open_event_index()
            .give_back(id.as_str(), taken_at, before)
            .await
    }
}

impl Backlogs<ReceiptBacklog> for Store {
    async fn overdue(
        &self,
        place: ReceiptBacklog,
        until: Timestamp,
        most: usize,
    ) -> Result<Vec<BacklogItem<ReceiptId>>, RetryableError> {
        self.open_receipt_index()
            .overdue::<IndexedReceipt, _>(receipt_key(place), until, most)
            .await
    }

    async fn take(
        &self,
        place: ReceiptBacklog,
        id: &ReceiptId,
        turn: &Due,
    ) -> Result<Reserved, RetryableError> {
        self.open_receipt_index()
            .take(receipt_key(place), id.as_str(), turn)
            .await
    }

    async fn give_back(
        &self,
        _: ReceiptBacklog,
        id: &ReceiptId,
        taken_at: Timestamp,
        before: Option<Timestamp>,
    ) -> Result<(), RetryableError> {
        self.open_receipt_index()
            .give_back(id.as_str(), taken_at, before)
            .await
    }
}
