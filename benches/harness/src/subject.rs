//! The functions to measure: ours, the floor and the peers.

use crate::{Failure, aws::Aws};
use std::path::{Path, PathBuf};

/// A function, and how it is started.
#[derive(Debug, Clone)]
pub(crate) struct Subject {
    pub(crate) name: String,
    /// A binary and its arguments.
    pub(crate) command: (PathBuf, Vec<String>),
    pub(crate) environment: Vec<(String, String)>,
    /// The unpacked code.
    pub(crate) folder: PathBuf,
    pub(crate) zip: PathBuf,
    /// The log of its last process.
    pub(crate) log: PathBuf,
    /// It verifies signatures.
    pub(crate) verifies: bool,
    /// It is machine code: valgrind can count its instructions.
    pub(crate) is_native: bool,
}

/// Where the functions run.
pub(crate) struct Place<'a> {
    built: &'a Path,
    aws: &'a Aws,
    /// The certificate that they trust, if AWS answers over TLS.
    trusted: Option<PathBuf>,
}

impl<'a> Place<'a> {
    pub(crate) fn new(built: &'a Path, aws: &'a Aws, trusted: Option<PathBuf>) -> Self {
        let trusted = trusted.map(|file| absolute(&file));
        Self {
            built,
            aws,
            trusted,
        }
    }

    /// The function of that name.
    pub(crate) fn subject(&self, name: &str) -> Result<Subject, Failure> {
        let folder = absolute(&self.built.join(name));
        let (program, arguments): (PathBuf, &[&str]) = match name {
            "intake" | "bare" => (folder.join("bootstrap"), &[]),
            "node" => (PathBuf::from("node"), &["runtime.cjs"]),
            // As AWS's own bootstrap does.
            "python" => (
                absolute(&self.built.join("environment/bin/python3")),
                &["-m", "awslambdaric", "handler.handler"],
            ),
            _ => return Err(Failure::UnknownSubject(name.to_owned())),
        };
        Ok(Subject {
            environment: self.environment(&folder),
            name: name.to_owned(),
            command: (
                program,
                arguments.iter().map(|it| (*it).to_owned()).collect(),
            ),
            zip: self.built.join(format!("{name}.zip")),
            log: absolute(&self.built.join(format!("{name}.log"))),
            folder,
            verifies: name != "bare",
            is_native: ["intake", "bare"].contains(&name),
        })
    }

    /// The variables that Lambda sets, then the settings of the template. Each function takes what it knows.
    fn environment(&self, folder: &Path) -> Vec<(String, String)> {
        let folder = folder.display().to_string();
        // The Node.js SDK prefers the queue's host to the endpoint.
        let queue = format!("{}/123456789012/fulfillment", self.aws.url);
        let path = std::env::var("PATH").unwrap_or_default();
        let mut pairs = vec![
            ("PATH", path.as_str()),
            ("LANG", "en_US.UTF-8"),
            ("TZ", ":UTC"),
            ("LAMBDA_TASK_ROOT", &folder),
            // The packages are beside the handler, as in the zip.
            ("PYTHONPATH", &folder),
            ("_HANDLER", "handler.handler"),
            ("AWS_REGION", "us-east-1"),
            ("AWS_DEFAULT_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", "AKIABENCH"),
            ("AWS_SECRET_ACCESS_KEY", "bench"),
            ("AWS_SESSION_TOKEN", "bench"),
            ("AWS_LAMBDA_FUNCTION_NAME", "bench"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
            ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
            ("AWS_LAMBDA_LOG_GROUP_NAME", "bench"),
            ("AWS_LAMBDA_LOG_STREAM_NAME", "bench"),
            ("AWS_ENDPOINT_URL", &self.aws.url),
            ("FUNCTION", "intake"),
            ("RUST_LOG", "info"),
            ("EVENTS_TABLE", "events"),
            ("IDEMPOTENCY_TABLE", "idempotency"),
            ("FULFILLMENT_QUEUE_URL", &queue),
            ("FLEX_WEBHOOK_SECRETS_ARN", "webhooks"),
            ("WEBHOOK_SECRETS_ARN", "webhooks"),
            ("MAX_BODY_BYTES", "262144"),
            ("EVENT_RETENTION_DAYS", "90"),
        ];
        let trusted = self.trusted.as_ref().map(|file| file.display().to_string());
        for name in ["SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "AWS_CA_BUNDLE"] {
            pairs.extend(trusted.as_deref().map(|file| (name, file)));
        }
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        pairs.into_iter().map(owned).collect()
    }
}

/// Without links resolved: a virtual environment is known by the link to its Python.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
