//! `local/stack.py`: what it keeps private, and the deployed binaries as `make invoke` runs them without Docker, under
//! AWS's runtime emulator. A bench has separate tables, so that no deployed function takes part.

use domain::ports::{Events as _, Orders as _, Receipts as _};
use kit::prelude::*;
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Output},
};

/// The event of the samples, and its order.
const EVENT: &str = "fevt_01K76N0000000000000000000A";
pub(crate) const ORDER: &str = "fcs_01K76N0000000000000000000B";

/// Runs `local/stack.py` on the stack that `STACK_FILE` names.
pub(crate) fn stack_py(arguments: &[&str]) -> Output {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned());
    Command::new(python)
        .arg("local/stack.py")
        .args(arguments)
        .current_dir(project)
        .output()
        .unwrap()
}

/// A place to run functions by hand.
pub(crate) struct Bench {
    stack: Stack,
    tables: Ports,
}

/// The answer and the log of a function.
pub(crate) struct Invoked {
    pub(crate) succeeded: bool,
    pub(crate) answer: Value,
    pub(crate) log: String,
}

impl Bench {
    pub(crate) async fn new(name: &str) -> Self {
        let stack = Stack::named().unwrap_or_else(|error| panic!("{error}"));
        let suffix = format!("-{name}-{}", Timestamp::now().as_microsecond());
        let stack = stack.with_copied_tables(&suffix).await;
        Self {
            tables: stack.tables().await,
            stack,
        }
    }

    /// Runs a function on a file, or else on its sample.
    pub(crate) async fn invoke(
        &self,
        function: &str,
        file: Option<&str>,
        settings: &[(&str, &str)],
    ) -> Invoked {
        let mut arguments = vec!["invoke".to_owned(), "--no-container".to_owned()];
        for (name, value) in self.stack.tables.settings().iter().chain(settings) {
            arguments.extend(["--set".to_owned(), format!("{name}={value}")]);
        }
        arguments.extend([function].into_iter().chain(file).map(str::to_owned));
        let run = move || stack_py(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        // A stand-in of the test's own has to answer meanwhile.
        let output = tokio::task::spawn_blocking(run).await.unwrap();
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        let answer = serde_json::from_slice(&output.stdout);
        let answer = answer.unwrap_or_else(|_| panic!("{function}: no answer; {log}"));
        Invoked {
            succeeded: output.status.success(),
            answer,
            log,
        }
    }

    /// Runs intake on its sample, so that there is an event to fulfill.
    pub(crate) async fn store_event(&self) {
        let deducted = self.invoke("IntakeFunction", None, &[]).await;
        assert_eq!(deducted.answer["statusCode"], 200, "{}", deducted.log);
    }

    pub(crate) async fn event(&self) -> StoredEvent {
        self.tables
            .store
            .event(&EventId::new(EVENT).unwrap())
            .await
            .unwrap()
            .unwrap()
    }

    pub(crate) async fn order(&self) -> Option<Order> {
        self.tables
            .store
            .order(&OrderId::new(ORDER).unwrap())
            .await
            .unwrap()
    }

    async fn receipt_state(&self) -> ReceiptState {
        let id = ReceiptId::new(format!("{ORDER}-order")).unwrap();
        self.tables.store.receipt(&id).await.unwrap().unwrap().state
    }
}

/// The answer of a batch without failures.
pub(crate) fn no_failures() -> Value {
    json!({"batchItemFailures": []})
}

#[test]
fn only_the_owner_can_read_the_stack_file_and_what_lies_beside_it() {
    let file = std::env::var("STACK_FILE").unwrap();
    let folder = Path::new(&file).parent().unwrap();
    for path in [
        Path::new(&file),
        folder,
        &folder.join("scratch"),
        &folder.join("logs"),
    ] {
        let mode = fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{} has mode {mode:o}", path.display());
    }
}

#[tokio::test]
async fn each_deployed_function_answers_its_sample_under_the_runtime_emulator() {
    let bench = Bench::new("samples").await;
    for file in [None, Some("events/intake.base64.json")] {
        let deducted = bench.invoke("IntakeFunction", file, &[]).await;
        assert_eq!(deducted.answer["statusCode"], 200, "{}", deducted.log);
        assert_eq!(bench.event().await.state, Stored);
    }
    let mut tried = BTreeSet::from(["intake".to_owned()]);
    for (function, expected) in [
        ("FulfillmentFunction", no_failures()),
        ("ReceiptsFunction", no_failures()),
        ("FeedbackFunction", no_failures()),
        ("SweepFunction", Value::Null),
        ("ReconcileFunction", Value::Null),
        ("AnnouncementsFunction", Value::Null),
    ] {
        let Invoked {
            succeeded,
            answer,
            log,
        } = bench.invoke(function, None, &[]).await;
        assert_eq!((succeeded, answer), (true, expected), "{function}: {log}");
        tried.insert(function.trim_end_matches("Function").to_lowercase());
    }
    assert_eq!(tried, bench.stack.functions.keys().cloned().collect());
    assert_eq!(bench.event().await.state, Processed);
    assert!(bench.order().await.is_some());
    assert_matches!(bench.receipt_state().await, ReceiptState::Sent { .. });
}

#[tokio::test]
async fn an_invocation_that_fails_has_its_error_as_the_answer() {
    let bench = Bench::new("failing").await;
    let settings = [("EVENTS_TABLE", "no-such-table")];
    let failed = bench.invoke("SweepFunction", None, &settings).await;
    assert!(!failed.succeeded, "{}", failed.answer);
    assert!(
        failed.answer["errorMessage"].is_string(),
        "{}",
        failed.answer
    );
}
