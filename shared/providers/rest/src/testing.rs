//! A server on this machine that answers as a test likes, and what tests of several providers share.
#![expect(
    clippy::missing_panics_doc,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]

use domain::delivery::event::{Event, Reading, Unreadable};
use serde_json::Value;
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

/// The server's reaction to a request.
pub enum Reply {
    /// Answers with this status, these headers and this body.
    Answer(u16, &'static str, String),
    /// Closes the connection without an answer.
    HangUp,
    /// Announces a body of this length, sends one byte, and closes the connection.
    BreakOff,
    /// Sends nothing and keeps the connection open.
    Silence,
    /// Sends an endless body.
    Endless,
}

/// Answers 200 with this JSON.
#[must_use]
pub fn ok(body: &str) -> Reply {
    Reply::Answer(200, "content-type: application/json\r\n", body.to_owned())
}

/// Answers with this status and an empty body.
#[must_use]
pub fn status(status: u16) -> Reply {
    Reply::Answer(status, "", String::new())
}

/// The heads of the requests that a server received, in order of arrival.
pub type Heads = Arc<Mutex<Vec<String>>>;

/// Starts a server that reads one request per connection. `reply` gets the path and the number of
/// its earlier requests.
pub async fn serve(reply: impl Fn(&str, usize) -> Reply + Send + 'static) -> (String, Heads) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let heads = Heads::default();
    let seen = Arc::clone(&heads);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            // A connection that was cancelled before its request has requested nothing.
            let Some(head) = read_head(&mut stream).await else {
                continue;
            };
            let path = path_of(&head).to_owned();
            let before = seen
                .lock()
                .unwrap()
                .iter()
                .filter(|head| path_of(head) == path)
                .count();
            seen.lock().unwrap().push(head);
            tokio::spawn(answer(stream, reply(&path, before)));
        }
    });
    (url, heads)
}

async fn read_head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    String::from_utf8(head).ok()
}

/// The path and query of a request.
#[must_use]
pub fn path_of(head: &str) -> &str {
    head.split(' ').nth(1).unwrap()
}

async fn answer(mut stream: TcpStream, reply: Reply) {
    match reply {
        Reply::Answer(status, headers, body) => {
            let length = body.len();
            let head = format!(
                "HTTP/1.1 {status} Any\r\n{headers}connection: close\r\ncontent-length: {length}\r\n\r\n"
            );
            let _ = stream.write_all(head.as_bytes()).await;
            let _ = stream.write_all(body.as_bytes()).await;
        }
        Reply::HangUp => {}
        Reply::BreakOff => {
            let _ = stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{")
                .await;
        }
        Reply::Silence => tokio::time::sleep(Duration::from_mins(1)).await,
        Reply::Endless => {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
            while stream.write_all(&[b' '; 4096]).await.is_ok() {}
        }
    }
}

/// The event of a readable body.
#[must_use]
pub fn event(reading: Reading) -> Event {
    match reading {
        Reading::Event(event) => *event,
        Reading::Unreadable(why) => panic!("{why}"),
    }
}

/// The reason why a body is unreadable.
#[must_use]
pub fn why_unreadable(reading: Reading) -> Unreadable {
    match reading {
        Reading::Unreadable(why) => why,
        Reading::Event(event) => panic!("{event:?}"),
    }
}

/// Adds the JSON pointers of all values in a value at this place.
pub fn places(value: &Value, here: &str, into: &mut Vec<String>) {
    into.push(here.to_owned());
    let mut add = |name: &str, value| places(value, &format!("{here}/{name}"), into);
    match value {
        Value::Object(members) => members.iter().for_each(|(name, value)| add(name, value)),
        Value::Array(values) => {
            let each = values.iter().enumerate();
            each.for_each(|(n, value)| add(&n.to_string(), value));
        }
        _ => {}
    }
}
