//! Runs a function process, and serves the Runtime API to it.
//!
//! <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>

use crate::{Failure, subject::Subject};
use axum::{
    Router,
    body::Bytes,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
    serve::ListenerExt as _,
};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::{
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    net::TcpListener,
    process::{Child, Command},
    sync::{Mutex, mpsc},
    task::AbortHandle,
};

/// Something that the function did.
#[derive(Debug)]
enum Step {
    /// It asked for an event.
    Asked(Instant),
    /// It got one.
    Given(Instant),
    /// It answered, or reported an error.
    Answered(Instant, Result<Bytes, String>),
}

struct Api {
    events: Mutex<mpsc::UnboundedReceiver<Bytes>>,
    steps: mpsc::UnboundedSender<Step>,
    invocations: AtomicU64,
}

async fn next(State(api): State<Arc<Api>>) -> Response {
    let _ = api.steps.send(Step::Asked(Instant::now()));
    let Some(event) = api.events.lock().await.recv().await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let n = api.invocations.fetch_add(1, Ordering::Relaxed);
    let deadline = Timestamp::now().as_millisecond() + 30_000;
    let headers = [
        (
            "lambda-runtime-aws-request-id",
            format!("00000000-0000-4000-8000-{n:012}"),
        ),
        ("lambda-runtime-deadline-ms", deadline.to_string()),
        (
            "lambda-runtime-invoked-function-arn",
            "arn:aws:lambda:us-east-1:123456789012:function:bench".to_owned(),
        ),
        (
            "lambda-runtime-trace-id",
            format!("Root=1-68e8d6d2-{n:024};Sampled=0"),
        ),
        ("content-type", "application/json".to_owned()),
    ];
    let _ = api.steps.send(Step::Given(Instant::now()));
    (headers, event).into_response()
}

async fn response(State(api): State<Arc<Api>>, Path(_): Path<String>, body: Bytes) -> StatusCode {
    let _ = api.steps.send(Step::Answered(Instant::now(), Ok(body)));
    StatusCode::ACCEPTED
}

async fn error(State(api): State<Arc<Api>>, body: Bytes) -> StatusCode {
    let text = String::from_utf8_lossy(&body).into_owned();
    let _ = api.steps.send(Step::Answered(Instant::now(), Err(text)));
    StatusCode::ACCEPTED
}

/// The answer that a function has to give.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Expected {
    /// An HTTP status.
    Status(u16),
    /// No failure in a batch.
    NoFailures,
    /// A batch, each record of which may have failed.
    Batch,
    /// The end of a scheduled run.
    Nothing,
}

impl Expected {
    fn is(self, answer: &Value) -> bool {
        match self {
            Self::Status(status) => answer["statusCode"] == status,
            Self::NoFailures => answer["batchItemFailures"] == json!([]),
            Self::Batch => answer["batchItemFailures"].is_array(),
            Self::Nothing => answer.is_null(),
        }
    }
}

/// The times of a cold start, from the start of the process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ColdStart {
    /// Until the function asks for its first event.
    pub(crate) ready: Duration,
    /// Until its first answer.
    pub(crate) answered: Duration,
}

/// A running function. Its process ends when this is dropped.
pub(crate) struct Function<'a> {
    subject: &'a Subject,
    child: Child,
    events: mpsc::UnboundedSender<Bytes>,
    steps: mpsc::UnboundedReceiver<Step>,
    server: AbortHandle,
}

impl Drop for Function<'_> {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl<'a> Function<'a> {
    /// Starts a process and gives it its first event.
    pub(crate) async fn start(
        subject: &'a Subject,
        event: &Value,
        expected: Expected,
    ) -> Result<(Self, ColdStart), Failure> {
        let tcp = TcpListener::bind("127.0.0.1:0").await?;
        let address = tcp.local_addr()?.to_string();
        let (events, given) = mpsc::unbounded_channel();
        let (steps, happened) = mpsc::unbounded_channel();
        let api = Arc::new(Api {
            events: Mutex::new(given),
            steps,
            invocations: AtomicU64::new(0),
        });
        let router = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route(
                "/2018-06-01/runtime/invocation/{id}/response",
                post(response),
            )
            .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
            .route("/2018-06-01/runtime/init/error", post(error))
            .with_state(api);
        let tcp = tcp.tap_io(|stream| {
            let _ = stream.set_nodelay(true);
        });
        let server = tokio::spawn(async move { axum::serve(tcp, router).await });
        let log = std::fs::File::create(&subject.log)
            .map_err(|error| Failure::File(subject.log.clone(), error))?;
        let mut command = Command::new(&subject.command.0);
        command
            .args(&subject.command.1)
            .current_dir(&subject.folder)
            .env_clear()
            .envs(subject.environment.iter().cloned())
            .env("AWS_LAMBDA_RUNTIME_API", address)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true);
        let _ = events.send(Bytes::from(event.to_string()));
        let began = Instant::now();
        let child = command
            .spawn()
            .map_err(|error| Failure::File(subject.command.0.clone(), error))?;
        let mut function = Self {
            subject,
            child,
            events,
            steps: happened,
            server: server.abort_handle(),
        };
        let ready = function.asked().await?;
        let (_, answered, _) = function.answer(expected).await?;
        let start = ColdStart {
            ready: ready - began,
            answered: answered - began,
        };
        Ok((function, start))
    }

    /// The next step of the function, unless its process ends first.
    async fn step(&mut self) -> Result<Step, Failure> {
        let ended = || Failure::Ended(self.subject.name.clone(), self.subject.log.clone());
        tokio::select! {
            biased;
            step = self.steps.recv() => step.ok_or_else(ended),
            _ = self.child.wait() => Err(ended()),
        }
    }

    async fn asked(&mut self) -> Result<Instant, Failure> {
        match self.step().await? {
            Step::Asked(at) => Ok(at),
            Step::Given(_) | Step::Answered(..) => {
                Err(self.wrong("before it asked".to_owned(), Expected::Status(200)))
            }
        }
    }

    fn wrong(&self, answer: String, expected: Expected) -> Failure {
        Failure::Answer {
            subject: self.subject.name.clone(),
            answer,
            expected,
            log: self.subject.log.clone(),
        }
    }

    /// The times of the event and of its answer, and the answer, which must be as expected.
    async fn answer(&mut self, expected: Expected) -> Result<(Instant, Instant, Value), Failure> {
        let mut given = None;
        loop {
            match self.step().await? {
                Step::Asked(_) => {}
                Step::Given(at) => given = Some(at),
                Step::Answered(at, Ok(body)) => {
                    let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
                    if !expected.is(&answer) {
                        return Err(self.wrong(answer.to_string(), expected));
                    }
                    return Ok((given.unwrap_or(at), at, answer));
                }
                Step::Answered(_, Err(text)) => return Err(self.wrong(text, expected)),
            }
        }
    }

    /// Gives an event to the waiting function, and returns the time until its answer.
    pub(crate) async fn invoke(
        &mut self,
        event: &Value,
        expected: Expected,
    ) -> Result<Duration, Failure> {
        Ok(self.ask(event, expected).await?.0)
    }

    /// As [`Function::invoke`], with the answer.
    pub(crate) async fn ask(
        &mut self,
        event: &Value,
        expected: Expected,
    ) -> Result<(Duration, Value), Failure> {
        let event = Bytes::from(event.to_string());
        self.asked().await?;
        let _ = self.events.send(event);
        let (given, answered, answer) = self.answer(expected).await?;
        Ok((answered - given, answer))
    }

    /// The id of the process.
    pub(crate) fn pid(&self) -> Result<u32, Failure> {
        let ended = || Failure::Ended(self.subject.name.clone(), self.subject.log.clone());
        self.child.id().ok_or_else(ended)
    }

    /// Ends the process as Lambda does, by SIGTERM, and waits for its end.
    pub(crate) async fn end(mut self) -> Result<(), Failure> {
        let pid = self.pid()?.to_string();
        Command::new("kill").args(["-TERM", &pid]).status().await?;
        self.child.wait().await?;
        Ok(())
    }
}
