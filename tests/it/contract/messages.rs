//! The behavior of a standard queue: the queue in memory, and SQS.

use super::unique;
use aws_sdk_sqs::types::{MessageSystemAttributeName, QueueAttributeName};
use kit::prelude::*;
use kit::{
    dice::Dice,
    drive::{HIDDEN_FOR, MOST_RECEIVES},
    sqs::{Received, Sqs},
};

/// A message as it was received.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Taken {
    id: String,
    body: String,
    receives: u32,
    handle: String,
}

/// A queue that gives a message up after [`MOST_RECEIVES`] receives.
trait Messages {
    /// How long a received message is hidden.
    const HIDDEN_FOR: Duration;
    async fn send(&mut self, body: &str);
    /// One message that is visible, if there is one.
    async fn receive(&mut self) -> Option<Taken>;
    /// Whatever is answered.
    async fn delete(&mut self, message: &Taken);
    /// From now on, whatever is answered.
    async fn hide(&mut self, message: &Taken, by: Duration);
    /// Lets time pass.
    async fn pass(&mut self, by: Duration);
    /// Expects this message to be given up on.
    async fn gives_up(&mut self, body: &str);
}

struct InMemory {
    queue: Sqs,
    now: Timestamp,
    dice: Dice,
    given_up: Vec<String>,
}

impl Messages for InMemory {
    const HIDDEN_FOR: Duration = HIDDEN_FOR;

    async fn send(&mut self, body: &str) {
        self.queue.send(&body, self.now);
    }

    async fn receive(&mut self) -> Option<Taken> {
        let (mut received, mut messages) = self.queue.receive(self.now, 1, &mut self.dice, 0);
        self.given_up.extend(self.queue.spent());
        let (received, message) = (received.pop()?, messages.pop()?);
        Some(Taken {
            id: received.id,
            body: serde_json::from_str(&message.body.unwrap()).unwrap(),
            receives: message.attributes["ApproximateReceiveCount"]
                .parse()
                .unwrap(),
            handle: received.handle,
        })
    }

    async fn delete(&mut self, message: &Taken) {
        let received = Received {
            id: message.id.clone(),
            handle: message.handle.clone(),
        };
        self.queue.delete(&received, &mut self.dice);
    }

    async fn hide(&mut self, message: &Taken, by: Duration) {
        self.queue.hide(&message.handle, by, self.now);
    }

    async fn pass(&mut self, by: Duration) {
        self.now += by;
    }

    async fn gives_up(&mut self, body: &str) {
        assert_eq!(self.given_up, [format!("\"{body}\"")]);
    }
}

struct OnSqs {
    play: Play,
    client: aws_sdk_sqs::Client,
    url: String,
    dead_letter_url: String,
}

impl Messages for OnSqs {
    const HIDDEN_FOR: Duration = Duration::from_secs(4);

    async fn send(&mut self, body: &str) {
        self.play.put_message(&self.url, body).await.unwrap();
    }

    async fn receive(&mut self) -> Option<Taken> {
        let receive = self
            .client
            .receive_message()
            .queue_url(&self.url)
            .max_number_of_messages(1);
        let receive = receive
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount);
        let message = receive.send().await.unwrap().messages?.pop()?;
        let attributes = message.attributes.unwrap();
        Some(Taken {
            id: message.message_id.unwrap(),
            body: message.body.unwrap(),
            receives: attributes[&MessageSystemAttributeName::ApproximateReceiveCount]
                .parse()
                .unwrap(),
            handle: message.receipt_handle.unwrap(),
        })
    }

    async fn delete(&mut self, message: &Taken) {
        let delete = self
            .client
            .delete_message()
            .queue_url(&self.url)
            .receipt_handle(&message.handle);
        let _ = delete.send().await;
    }

    async fn hide(&mut self, message: &Taken, by: Duration) {
        let hide = self.client.change_message_visibility().queue_url(&self.url);
        let hide = hide.visibility_timeout(i32::try_from(by.as_secs()).unwrap());
        let _ = hide.receipt_handle(&message.handle).send().await;
    }

    async fn pass(&mut self, by: Duration) {
        tokio::time::sleep(by).await;
    }

    async fn gives_up(&mut self, body: &str) {
        let look = async || {
            let there = self.play.peek(&self.dead_letter_url).await?;
            Ok((!there.is_empty()).then_some(there))
        };
        let given_up = until("it is given up on", Duration::from_secs(10), look)
            .await
            .unwrap();
        assert_eq!(given_up, [body]);
    }
}

fn in_memory() -> InMemory {
    let now = Timestamp::from_second(1_760_000_000).unwrap();
    InMemory {
        queue: Sqs::named("own"),
        now,
        dice: Dice::of(1, 1),
        given_up: Vec::new(),
    }
}

async fn on_sqs() -> OnSqs {
    let play = play().await;
    let client = aws_sdk_sqs::Client::new(&play.stack.config().await);
    let (url, _) = play.queue_of_its_own().await.unwrap();
    let (dead_letter_url, _) = play.queue_of_its_own().await.unwrap();
    let arn = QueueAttributeName::QueueArn;
    let asked = client
        .get_queue_attributes()
        .queue_url(&dead_letter_url)
        .attribute_names(arn.clone());
    let arn = asked
        .send()
        .await
        .unwrap()
        .attributes
        .unwrap()
        .remove(&arn)
        .unwrap();
    let redrive = serde_json::json!({"deadLetterTargetArn": arn, "maxReceiveCount": MOST_RECEIVES});
    let set = client.set_queue_attributes().queue_url(&url);
    let set = set.attributes(QueueAttributeName::RedrivePolicy, redrive.to_string());
    let hidden_for = OnSqs::HIDDEN_FOR.as_secs().to_string();
    set.attributes(QueueAttributeName::VisibilityTimeout, hidden_for)
        .send()
        .await
        .unwrap();
    OnSqs {
        play,
        client,
        url,
        dead_letter_url,
    }
}

/// Runs one suite on both.
macro_rules! on_queues {
    ($($suite:ident),+ $(,)?) => {$(
        mod $suite {
            #[tokio::test]
            async fn in_memory() {
                super::$suite(&mut super::in_memory()).await;
            }
            #[tokio::test]
            async fn on_sqs() {
                super::$suite(&mut super::on_sqs().await).await;
            }
        }
    )+};
}

on_queues! {
    what_is_received_is_hidden_for_a_while_and_comes_back_counted,
    what_is_hidden_for_nothing_is_back_at_once,
    what_is_hidden_for_longer_stays_away_for_longer,
    what_is_deleted_never_comes_back,
    an_old_receipt_handle_hides_nothing,
    what_was_received_too_often_is_given_up,
    each_message_goes_to_one,
}

/// A moment, until a timed change is over.
const MOMENT: Duration = Duration::from_millis(500);

async fn one(on: &mut impl Messages) -> Taken {
    on.receive().await.expect("a message")
}

async fn what_is_received_is_hidden_for_a_while_and_comes_back_counted<M: Messages>(on: &mut M) {
    let body = unique("body");
    assert_eq!(on.receive().await, None);
    on.send(&body).await;
    let first = one(on).await;
    assert_eq!((first.body.as_str(), first.receives), (body.as_str(), 1));
    assert_eq!(on.receive().await, None);
    on.pass(M::HIDDEN_FOR + MOMENT).await;
    let second = one(on).await;
    assert_eq!(second.id, first.id);
    assert_eq!(second.body, body);
    assert_eq!(second.receives, 2);
    assert_ne!(second.handle, first.handle);
}

async fn what_is_hidden_for_nothing_is_back_at_once(on: &mut impl Messages) {
    on.send("body").await;
    let first = one(on).await;
    on.hide(&first, Duration::ZERO).await;
    assert_eq!(one(on).await.receives, 2);
}

async fn what_is_hidden_for_longer_stays_away_for_longer<M: Messages>(on: &mut M) {
    on.send("body").await;
    let first = one(on).await;
    on.hide(&first, M::HIDDEN_FOR * 3).await;
    on.pass(M::HIDDEN_FOR + MOMENT).await;
    assert_eq!(on.receive().await, None);
    on.pass(M::HIDDEN_FOR * 2).await;
    assert_eq!(one(on).await.receives, 2);
}

async fn what_is_deleted_never_comes_back<M: Messages>(on: &mut M) {
    on.send("body").await;
    let first = one(on).await;
    on.delete(&first).await;
    on.pass(M::HIDDEN_FOR + MOMENT).await;
    assert_eq!(on.receive().await, None);
    // An old handle may delete, or not; the newest one does.
    on.send("another").await;
    let old = one(on).await;
    on.hide(&old, Duration::ZERO).await;
    let new = one(on).await;
    on.delete(&old).await;
    on.delete(&new).await;
    on.pass(M::HIDDEN_FOR + MOMENT).await;
    assert_eq!(on.receive().await, None);
}

async fn an_old_receipt_handle_hides_nothing<M: Messages>(on: &mut M) {
    on.send("body").await;
    let old = one(on).await;
    on.hide(&old, Duration::ZERO).await;
    let new = one(on).await;
    // Nor does it bring back a message in work.
    on.hide(&old, Duration::ZERO).await;
    assert_eq!(on.receive().await, None);
    on.hide(&new, Duration::ZERO).await;
    assert_eq!(one(on).await.receives, 3);
    on.hide(&old, M::HIDDEN_FOR * 10).await;
    on.pass(M::HIDDEN_FOR + MOMENT).await;
    assert_eq!(one(on).await.receives, 4);
}

async fn what_was_received_too_often_is_given_up(on: &mut impl Messages) {
    let body = unique("body");
    on.send(&body).await;
    for receives in 1..=MOST_RECEIVES {
        let message = one(on).await;
        assert_eq!(message.receives, receives);
        on.hide(&message, Duration::ZERO).await;
    }
    assert_eq!(on.receive().await, None);
    on.gives_up(&body).await;
}

async fn each_message_goes_to_one<M: Messages>(on: &mut M) {
    let sent: BTreeSet<String> = (0..4).map(|_| unique("body")).collect();
    for body in &sent {
        on.send(body).await;
    }
    let mut received = BTreeSet::new();
    while let Some(message) = on.receive().await {
        assert_eq!(message.receives, 1);
        assert!(received.insert(message.body));
    }
    assert_eq!(received, sent);
}
