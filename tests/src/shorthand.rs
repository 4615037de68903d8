//! The story of the shop in few words: the inputs and the checks of most tests.
#![expect(
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::expect_used,
    reason = "a test looks at what it knows to be there"
)]

use crate::{
    drive::Bundle,
    fakes::Fault,
    story::{Delivery, End, purchase, sale, sku},
};
use domain::{
    delivery::stored_event::{EventState, StoredEvent},
    receipt::{Receipt, ReceiptState},
    sale::order::Order,
    values::{
        ids::{EventId, MessageId, OrderId, OwnerToken, ReceiptId},
        note::{Action, Noted},
        outcome::ReadError,
    },
};
use jiff::Timestamp;
use mail::SendError;

/// An id of an event.
pub fn event_id(text: &str) -> EventId {
    EventId::new(text).expect("an id")
}

/// An action of an operator.
pub fn operator_note(did: Action, at: Timestamp) -> Noted {
    Noted {
        at,
        by: "ops".to_owned(),
        did,
        why: "by hand".to_owned(),
    }
}

/// Asserts that a text has a part, and prints the text if it does not.
#[track_caller]
pub fn assert_says(said: &impl ToString, part: &str) {
    let said = said.to_string();
    assert!(said.contains(part), "{part:?} is not in: {said}");
}

/// A receipt whose mail SES took under that id.
pub fn sent_as(message_id: &str, sent_at: Timestamp) -> ReceiptState {
    ReceiptState::Sent {
        message_id: MessageId::new(message_id).expect("an id"),
        sent_at,
    }
}

pub fn leased_by(owner: &str, lease_ends_at: Timestamp) -> ReceiptState {
    ReceiptState::Leased {
        owner: OwnerToken::new(owner).expect("a token"),
        lease_ends_at,
    }
}

pub fn failed_for(reason: &str) -> ReceiptState {
    ReceiptState::Failed {
        reason: reason.to_owned(),
    }
}

pub fn withdrawn_for(reason: &str) -> ReceiptState {
    ReceiptState::Withdrawn {
        reason: reason.to_owned(),
    }
}

/// Unsent again, for a reason.
pub fn unsent_for(reason: &str) -> ReceiptState {
    ReceiptState::Unsent {
        reason: Some(reason.to_owned()),
    }
}

impl Bundle {
    /// Intake takes a delivery; no queue is drained.
    pub async fn take(&self, delivery: &Delivery) {
        self.deliver(delivery, false).await;
    }

    /// Intake takes a delivery, and both queues are drained.
    pub async fn play(&self, delivery: &Delivery) {
        self.take(delivery).await;
        self.drain().await;
    }

    /// The provider knows the `n`th purchase, and intake takes its event `fevt_n`.
    pub async fn sell(&self, n: u64) {
        self.provider_has(&sale(&purchase(n)));
        self.take(&Delivery::of(&purchase(n), &format!("fevt_{n}")))
            .await;
    }

    pub fn end(&self) -> End {
        End::of(&self.world.kept())
    }

    pub fn event(&self, id: &str) -> StoredEvent {
        self.world.kept().events[&event_id(id)].clone()
    }

    pub fn state(&self, id: &str) -> EventState {
        self.event(id).state
    }

    /// The states of all events, by their ids.
    pub fn states(&self) -> Vec<EventState> {
        let kept = self.world.kept();
        kept.events.values().map(|event| event.state).collect()
    }

    /// The order of the `n`th purchase.
    pub fn order(&self, n: u64) -> Order {
        let id = OrderId::new(purchase(n).order_id()).expect("an id");
        self.world.kept().orders[&id].clone()
    }

    pub fn receipt(&self, id: &ReceiptId) -> Receipt {
        self.world.kept().receipts[id].clone()
    }

    /// Changes a receipt behind the functions' backs.
    pub fn change_receipt(&self, id: &ReceiptId, change: impl FnOnce(&mut Receipt)) {
        change(self.world.kept().receipts.get_mut(id).expect("a receipt"));
    }

    /// Corrects an order's address.
    pub fn correct_address(&self, id: &OrderId, email: &str) {
        let mut kept = self.world.kept();
        let order = kept.orders.get_mut(id).expect("an order");
        order.customer.email = Some(email.to_owned());
    }

    pub fn on_hand(&self, name: &str) -> i64 {
        self.world.kept().counters[&sku(name)]
    }

    pub fn mails(&self) -> usize {
        self.world.kept().mails.len()
    }

    /// The address of the `n`th mail, from 0.
    pub fn mailed_to(&self, n: usize) -> String {
        self.world.kept().mails[n].to.as_str().to_owned()
    }

    /// SES answers the next mails so.
    pub fn ses_answers(&self, answer: &SendError, times: usize) {
        let answers = vec![answer.clone(); times];
        self.world.kept().mail_faults.extend(answers);
    }

    /// The provider's API answers the next questions so.
    pub fn provider_answers(&self, answer: &ReadError, times: usize) {
        let answers = vec![answer.clone(); times];
        self.world.kept().read_faults.extend(answers);
    }

    /// A fault strikes at a call, counted from 0 since the beginning.
    pub fn strike(&self, call: usize, fault: Fault) {
        self.world.kept().faults.insert(call, fault);
    }

    /// A fault strikes at a call, counted from 0 from now on.
    pub fn strike_next(&self, call: usize, fault: Fault) {
        let made = self.world.kept().calls.len();
        self.strike(made + call, fault);
    }
}
