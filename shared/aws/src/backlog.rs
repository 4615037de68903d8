//! The overdue rows of Events and Receipts.
//!
//! A run of sweep notes on a row that it queues the row again (`swept_at`), before it does. The update's condition is
//! that the row is due.

use crate::{
    failure::{classified, past_conflicts},
    guard::{guarded, is_refused},
    index::{Index, IndexedEvent, IndexedReceipt},
    receipts::due,
    row::{self, number, text},
    store::{DYNAMODB, Store},
};
use aws_sdk_dynamodb::types::ReturnValue;
use domain::{
    delivery::stored_event::EventState,
    ports::{Backlogs, Reserved},
    upkeep::sweep::{Backlog, BacklogItem, Due, EventBacklog, ReceiptBacklog},
    values::outcome::RetryableError,
};
use jiff::Timestamp;
use serde::{Deserialize, de::DeserializeOwned};

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
            Err(error) if is_refused(&error) => Ok(Reserved::NotNow),
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

/// A kind of backlog in an index.
trait Indexed: Backlog {
    /// A row's attributes in the index.
    type Row: DeserializeOwned + Into<BacklogItem<Self::Id>> + Send;

    fn index(store: &Store) -> Index<'_>;

    /// The key of its rows in the index.
    fn key(self) -> String;
}

impl Indexed for EventBacklog {
    type Row = IndexedEvent;

    fn index(store: &Store) -> Index<'_> {
        store.open_event_index()
    }

    fn key(self) -> String {
        let state = match self {
            Self::Stored => EventState::Stored,
            Self::Committed => EventState::Committed,
        };
        state.to_string()
    }
}

impl Indexed for ReceiptBacklog {
    type Row = IndexedReceipt;

    fn index(store: &Store) -> Index<'_> {
        store.open_receipt_index()
    }

    fn key(self) -> String {
        match self {
            Self::Unsent => "unsent".to_owned(),
            Self::Leased => "leased".to_owned(),
            Self::Due(day) => due(day),
        }
    }
}

impl<B: Indexed> Backlogs<B> for Store {
    async fn overdue(
        &self,
        place: B,
        until: Timestamp,
        most: usize,
    ) -> Result<Vec<BacklogItem<B::Id>>, RetryableError> {
        let index = B::index(self);
        index.overdue::<B::Row, _>(place.key(), until, most).await
    }

    async fn take(&self, place: B, id: &B::Id, turn: &Due) -> Result<Reserved, RetryableError> {
        let index = B::index(self);
        index.take(place.key(), &id.to_string(), turn).await
    }

    async fn give_back(
        &self,
        _: B,
        id: &B::Id,
        taken_at: Timestamp,
        before: Option<Timestamp>,
    ) -> Result<(), RetryableError> {
        let index = B::index(self);
        index.give_back(&id.to_string(), taken_at, before).await
    }
}
