//! The functions to measure: ours, the floor and the peers.

use crate::{
    Failure,
    aws::Aws,
    tls::{self, Trusted},
};
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

/// The surroundings that the functions run in.
pub(crate) struct Place<'a> {
    built: &'a Path,
    aws: &'a Aws,
    /// If AWS answers over TLS.
    trusted: Option<Trusted>,
}

impl<'a> Place<'a> {
    pub(crate) fn new(built: &'a Path, aws: &'a Aws, trusted: Option<Trusted>) -> Self {
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
            "intake" | "bare" | "fulfillment" | "receipts" | "sweep" | "reconcile" => {
                (folder.join("bootstrap"), &[])
            }
            "node" => (PathBuf::from("node"), &["runtime.cjs"]),
            // As AWS's own bootstrap does.
            "python" => (
                absolute(&self.built.join("environment/bin/python3")),
                &["-m", "awslambdaric", "handler.handler"],
            ),
            _ => return Err(Failure::UnknownSubject(name.to_owned())),
        };
        Ok(Subject {
            environment: self.environment(name, &folder),
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
    fn environment(&self, name: &str, folder: &Path) -> Vec<(String, String)> {
        let folder = folder.display().to_string();
        // The Node.js SDK prefers the queue's host to the endpoint.
        let sqs = self.aws.sqs_url.as_deref().unwrap_or(&self.aws.url);
        let queue = |name: &str| format!("{sqs}/123456789012/{name}");
        let (fulfillment_queue, receipt_queue) = (queue("fulfillment"), queue("receipts"));
        let dead_letters = queue("dead-letters");
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
            ("FUNCTION", name),
            ("RUST_LOG", "info"),
            ("EVENTS_TABLE", "events"),
            ("IDEMPOTENCY_TABLE", "idempotency"),
            ("FULFILLMENT_QUEUE_URL", &fulfillment_queue),
            ("RECEIPT_QUEUE_URL", &receipt_queue),
            ("FULFILLMENT_DEAD_LETTER_QUEUE_URL", &dead_letters),
            ("RECEIPT_DEAD_LETTER_QUEUE_URL", &dead_letters),
            ("FEEDBACK_DEAD_LETTER_QUEUE_URL", &dead_letters),
            ("CONFIGURATION_SET", "bench"),
            ("MERCHANT_NAME", "Harbor & Pine Wellness"),
            ("MERCHANT_ADDRESS", "12 Wharf Street|Portland, ME 04101"),
            ("SUPPORT_EMAIL", "support@harborandpine.example"),
            ("RECEIPT_SENDER", "receipts@harborandpine.example"),
            ("TEST_RECEIPT_RECIPIENT", "test@harborandpine.example"),
            ("TIME_ZONE", "America/New_York"),
            ("RECEIPT_ON_UNKNOWN", "hold"),
            ("RECEIPT_TEMPLATES_DIR", "/opt/receipt-templates"),
            ("RECONCILE_DAYS", "3"),
            ("FLEX_API_KEY_ARN", "api-key"),
            ("FLEX_API_BASE_URL", &self.aws.url),
            ("LINKS_TABLE", "links"),
            ("ORDERS_TABLE", "orders"),
            ("STOCK_TABLE", "stock"),
            ("ENTITLEMENTS_TABLE", "entitlements"),
            ("RECEIPTS_TABLE", "receipts"),
            ("RESOURCES_TABLE", "resources"),
            ("ANNOUNCEMENTS_TABLE", "announcements"),
            ("MODE", "test"),
            ("GRACE_DAYS", "0"),
            ("ON_FULL_REFUND", "keep"),
            ("ON_LOST_DISPUTE", "keep"),
            ("RESTOCK", "never"),
            ("RENEWAL_STOCK", "move"),
            ("PART_PAYMENT", "hold"),
            ("PAYMENT_FAILED_MAIL", "off"),
            ("SHIPMENT_MAIL", "off"),
            ("TRIAL_ENDS_MAIL", "off"),
            ("RESERVE_STOCK", "off"),
            ("RETRY_BASE_SECONDS", "1"),
            ("MAX_RECEIVES", "5"),
            ("FLEX_WEBHOOK_SECRETS_ARN", "webhooks"),
            ("WEBHOOK_SECRETS_ARN", "webhooks"),
            ("MAX_BODY_BYTES", "262144"),
            ("EVENT_RETENTION_DAYS", "90"),
        ];
        for (variable, url) in [
            ("AWS_ENDPOINT_URL_DYNAMODB", &self.aws.dynamodb_url),
            ("AWS_ENDPOINT_URL_SQS", &self.aws.sqs_url),
        ] {
            pairs.extend(url.as_deref().map(|url| (variable, url)));
        }
        let (own, all);
        match &self.trusted {
            Some(trusted) => {
                own = trusted.own.display().to_string();
                all = trusted.all.display().to_string();
                pairs.extend([
                    ("SSL_CERT_FILE", all.as_str()),
                    ("AWS_CA_BUNDLE", &all),
                    // Node.js adds these to its built-in ones.
                    ("NODE_EXTRA_CA_CERTS", &own),
                ]);
            }
            // Amazon Linux has all certificates in one file. Debian has each in a file besides, which would be read, too.
            None => pairs.extend(tls::bundle().map(|file| ("SSL_CERT_FILE", file))),
        }
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        pairs.into_iter().map(owned).collect()
    }
}

/// Without links resolved: a virtual environment is known by the link to its Python.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
