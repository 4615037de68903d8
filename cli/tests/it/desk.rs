//! A desk: the example shop in memory, with a terminal that answers from a list and a platform that remembers its calls.

use domain::ports::Answering;
use kit::{
    drive::Bundle,
    fakes::{DeadLetterQueue, Hop as Letters, World},
    prelude::*,
    story::SECRET,
};
use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};
use till::{
    Context,
    args::Cli,
    backend::{
        Alarm, ApiAnswer, ApiRequest, Asked, Backend, Flow, Function, Hop, Identity, LogLine,
        LogQuery, MailAccount, Platform, SecretText, Stack,
    },
    error::{Error, Exit},
    output::Answer,
    terminal::Terminal,
};

/// An API key of the shop.
pub const KEY: &str = "fsk_canarykey0123456789";

/// A posted request: address, headers and body.
pub type Posted = (String, Vec<(String, String)>, Vec<u8>);

/// The contents of the platform, and its calls.
#[derive(Debug, Default)]
pub struct Services {
    pub log: Vec<LogLine>,
    pub secrets: BTreeMap<String, SecretText>,
    pub paused: BTreeSet<Function>,
    pub alarms: Vec<Alarm>,
    pub invoked: Vec<Function>,
    pub verified: BTreeMap<String, bool>,
    pub account: Option<MailAccount>,
    pub unsuppressed: Vec<String>,
    pub subscriptions: (usize, usize),
    /// The answers of the provider's API, by method and path.
    pub api: BTreeMap<String, (u16, Value)>,
    pub called: Vec<ApiRequest>,
    pub posted: Vec<Posted>,
    /// The answer of the webhook URL.
    pub answers: u16,
    /// The services that do not answer.
    pub away: BTreeSet<&'static str>,
    /// Another writer changes the secret before the next write.
    pub rival: bool,
}

#[derive(Debug, Clone, Default)]
pub struct FakePlatform(pub Arc<Mutex<Services>>);

impl FakePlatform {
    fn ask<'a, T: Send + 'a>(
        &self,
        service: &'static str,
        answer: impl FnOnce(&mut Services) -> T,
    ) -> Asked<'a, T> {
        let mut services = self.0.lock().unwrap();
        let result = if services.away.contains(service) {
            Err(Error::new(
                Exit::Unavailable,
                format!("{service} does not answer"),
            ))
        } else {
            Ok(answer(&mut services))
        };
        Box::pin(async { result })
    }
}

impl Platform for FakePlatform {
    fn identity(&self) -> Asked<'_, Identity> {
        self.ask("STS", |_| Identity {
            account: "471100000000".to_owned(),
            arn: "arn:aws:sts::471100000000:assumed-role/support/ana".to_owned(),
        })
    }

    fn log_lines<'a>(&'a self, query: &'a LogQuery) -> Asked<'a, Vec<LogLine>> {
        let id = query
            .pattern
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'))
            .map(str::to_owned);
        let (since, before, most) = (query.since, query.before, query.most);
        self.ask("Logs", |services| {
            let lines = services
                .log
                .iter()
                .filter(|line| line.at >= since && line.at < before);
            let lines = lines.filter(|line| {
                id.as_ref()
                    .is_none_or(|id| line.fields.to_string().contains(id))
            });
            lines.take(most).cloned().collect()
        })
    }

    fn invoke(&self, function: Function) -> Asked<'_, ()> {
        self.ask("Lambda", |services| services.invoked.push(function))
    }

    fn flow(&self, function: Function) -> Asked<'_, Flow> {
        self.ask("Lambda", |services| {
            if services.paused.contains(&function) {
                Flow::Paused
            } else {
                Flow::Running
            }
        })
    }

    fn set_flow(&self, function: Function, runs: bool) -> Asked<'_, ()> {
        self.ask("Lambda", |services| {
            if runs {
                services.paused.remove(&function);
            } else {
                services.paused.insert(function);
            }
        })
    }

    fn alarms(&self) -> Asked<'_, Vec<Alarm>> {
        self.ask("CloudWatch", |services| services.alarms.clone())
    }

    fn enable_alarms<'a>(&'a self, names: &'a [String]) -> Asked<'a, ()> {
        self.ask("CloudWatch", |services| {
            for alarm in &mut services.alarms {
                alarm.notifies |= names.contains(&alarm.name);
            }
        })
    }

    fn secret<'a>(&'a self, name: &'a str) -> Asked<'a, Option<SecretText>> {
        self.ask("Secrets Manager", |services| {
            let found = services.secrets.get(name).cloned();
            if std::mem::take(&mut services.rival)
                && let Some(secret) = services.secrets.get_mut(name)
            {
                secret.version += "-rival";
            }
            found
        })
    }

    fn put_secret<'a>(&'a self, name: &'a str, text: &'a str) -> Asked<'a, ()> {
        self.ask("Secrets Manager", |services| {
            let secret = SecretText {
                text: text.to_owned(),
                version: format!("v{}", services.secrets.len() + text.len()),
                changed_at: None,
            };
            services.secrets.insert(name.to_owned(), secret);
        })
    }

    fn is_verified<'a>(&'a self, identity: &'a str) -> Asked<'a, Option<bool>> {
        self.ask("SES", |services| services.verified.get(identity).copied())
    }

    /// The link is pressed at once.
    fn verify<'a>(&'a self, address: &'a str) -> Asked<'a, ()> {
        self.ask("SES", |services| {
            services.verified.insert(address.to_owned(), true);
        })
    }

    fn mail_account(&self) -> Asked<'_, MailAccount> {
        self.ask("SES", |services| {
            services.account.clone().unwrap_or_else(mail_account)
        })
    }

    fn unsuppress<'a>(&'a self, email: &'a str) -> Asked<'a, bool> {
        self.ask("SES", |services| {
            services.unsuppressed.push(email.to_owned());
            true
        })
    }

    fn subscriptions<'a>(&'a self, _: &'a str) -> Asked<'a, (usize, usize)> {
        self.ask("SNS", |services| services.subscriptions)
    }

    fn call_provider(&self, request: ApiRequest) -> Asked<'_, ApiAnswer> {
        self.ask("provider", |services| {
            let key = format!("{} {}", request.method, request.path);
            let answer = services.api.get(&key).cloned();
            services.called.push(request);
            let (status, body) = answer.unwrap_or((404, Value::Null));
            ApiAnswer { status, body }
        })
    }

    fn post<'a>(
        &'a self,
        url: &'a str,
        headers: &'a [(String, String)],
        body: &'a [u8],
    ) -> Asked<'a, u16> {
        self.ask("webhook", |services| {
            services
                .posted
                .push((url.to_owned(), headers.to_vec(), body.to_vec()));
            services.answers
        })
    }

    fn wait(&self, _: u64) -> Asked<'_, ()> {
        self.ask("time", |_| ())
    }
}

/// A terminal of a test.
#[derive(Debug, Default)]
pub struct FakeTerminal {
    pub interactive: bool,
    pub answers: Mutex<VecDeque<String>>,
    pub input: String,
    pub said: Mutex<Vec<String>>,
    /// Ctrl-C after this many looks; never for 0.
    pub interrupt_after: usize,
    pub looks: AtomicUsize,
}

impl FakeTerminal {
    /// A person who gives these answers.
    pub fn typing(answers: &[&str]) -> Self {
        Self {
            interactive: true,
            answers: Mutex::new(answers.iter().map(|answer| (*answer).to_owned()).collect()),
            ..Self::default()
        }
    }

    /// No person, and this text by stdin.
    pub fn piping(input: &str) -> Self {
        Self {
            input: input.to_owned(),
            ..Self::default()
        }
    }
}

impl Terminal for FakeTerminal {
    fn is_interactive(&self) -> bool {
        self.interactive
    }

    fn width(&self) -> usize {
        80
    }

    fn ask(&self, question: &str) -> Option<String> {
        if !self.interactive {
            return None;
        }
        self.say(question);
        self.answers.lock().unwrap().pop_front()
    }

    fn ask_hidden(&self, question: &str) -> Option<String> {
        self.ask(question)
    }

    fn input(&self) -> String {
        self.input.clone()
    }

    fn say(&self, message: &str) {
        self.said.lock().unwrap().push(message.to_owned());
    }

    fn progress(&self, _: Option<&str>) {}

    fn is_interrupted(&self) -> bool {
        let looks = self.looks.fetch_add(1, Ordering::Relaxed) + 1;
        self.interrupt_after > 0 && looks >= self.interrupt_after
    }
}

#[derive(Debug)]
pub struct Desk {
    pub bundle: Bundle,
    letters: [DeadLetterQueue; 3],
    pub platform: FakePlatform,
    pub stack: Stack,
}

impl Backend for Desk {
    type Store = World;
    type Letters = DeadLetterQueue;

    fn store(&self) -> &World {
        &self.bundle.world
    }

    fn letters(&self, hop: Hop) -> &DeadLetterQueue {
        match hop {
            Hop::Fulfillment => &self.letters[0],
            Hop::Receipts => &self.letters[1],
            Hop::Feedback => &self.letters[2],
        }
    }

    fn send_report<'a>(&'a self, body: &'a str) -> Answering<'a, Result<(), RetryableError>> {
        let posted = ("feedback".to_owned(), Vec::new(), body.as_bytes().to_vec());
        self.platform.0.lock().unwrap().posted.push(posted);
        Box::pin(async { Ok(()) })
    }

    fn platform(&self) -> &dyn Platform {
        &self.platform
    }
}

/// The end of a command.
#[derive(Debug)]
pub struct Ended {
    pub exit: Exit,
    pub text: String,
    pub json: Value,
}

impl Ended {
    /// The same end, if it has this exit code.
    #[track_caller]
    pub fn exits(self, exit: Exit) -> Self {
        assert_eq!(self.exit, exit, "{}", self.text);
        self
    }

    pub fn data(&self) -> &Value {
        &self.json["data"]
    }

    pub fn pretty(&self) -> String {
        serde_json::to_string_pretty(&self.json).unwrap()
    }
}

/// An account in good standing.
pub fn mail_account() -> MailAccount {
    MailAccount {
        production: true,
        sending: true,
        enforcement: "HEALTHY".to_owned(),
        sent_last_day: 10.0,
        most_a_day: 50_000.0,
    }
}

fn parameters(mode: Mode) -> BTreeMap<String, String> {
    let mode = mode.to_string();
    let all = [
        ("Mode", mode.as_str()),
        ("MerchantName", "Harbor & Pine Wellness"),
        ("MerchantAddress", "12 Wharf Street|Portland, ME 04101"),
        ("SupportEmail", "support@harborandpine.example"),
        ("ReceiptSender", "receipts@harborandpine.example"),
        ("MerchantTimeZone", "America/New_York"),
        ("TestReceiptRecipient", "owner@harborandpine.example"),
        ("AlarmTopicArn", "arn:aws:sns:us-east-1:471100000000:alarms"),
        ("Provider", "both"),
        ("ReconcileDays", "3"),
    ];
    all.into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

impl Desk {
    /// A desk on the shop's live stack.
    pub fn over(bundle: Bundle) -> Self {
        let letters = [Letters::Fulfillment, Letters::Receipts, Letters::Feedback];
        let services = Services {
            answers: 200,
            subscriptions: (1, 0),
            verified: BTreeMap::from([("receipts@harborandpine.example".to_owned(), true)]),
            ..Services::default()
        };
        let desk = Self {
            letters: letters.map(|hop| bundle.world.dead_letters(hop)),
            platform: FakePlatform(Arc::new(Mutex::new(services))),
            stack: stack(Mode::Live),
            bundle,
        };
        desk.keep("FlexWebhookSecrets", &json!({"webhook_secrets": [SECRET]}));
        desk.keep("FlexApiKey", &json!({"api_key": KEY}));
        desk
    }

    /// Keeps the document of a secret.
    pub fn keep(&self, name: &str, document: &Value) {
        let secret = SecretText {
            text: document.to_string(),
            version: "v1".to_owned(),
            changed_at: None,
        };
        self.services().secrets.insert(name.to_owned(), secret);
    }

    /// Sets a parameter of the stack.
    pub fn set(&mut self, name: &str, value: &str) {
        let parameters = &mut self.stack.parameters;
        parameters.insert(name.to_owned(), value.to_owned());
    }

    /// The provider's API answers this to a method and a path.
    pub fn answer(&self, call: &str, status: u16, body: Value) {
        self.services().api.insert(call.to_owned(), (status, body));
    }

    /// A line of the log, this many seconds old.
    pub fn log(&self, age: i64, fields: Value) {
        let at = self.bundle.world.now() - SignedDuration::from_secs(age);
        self.services().log.push(LogLine { at, fields });
    }

    /// The customer of the first purchase.
    pub fn customer(&self) -> String {
        let customer = self.bundle.order(1).customer;
        customer.customer_id.unwrap().to_string()
    }

    /// The version of a mail.
    pub fn version(&self, id: &str) -> String {
        let receipt = self.bundle.receipt(&ReceiptId::new(id).unwrap());
        receipt.version.to_string()
    }

    /// Gives the last posted request to intake. Returns the status of its answer.
    pub async fn deliver_posted(&self) -> u16 {
        let (_, headers, body) = self.services().posted.last().unwrap().clone();
        let header = |name: &str| {
            let found = headers.iter().find(|(known, _)| known == name);
            found.map(|(_, value)| value.as_str())
        };
        let incoming = intake::request::Incoming {
            method: "POST",
            provider: "flex",
            header: &header,
            body: &body,
        };
        self.bundle.intake.take(&incoming).await.reply().status
    }

    /// The same desk on a test stack.
    pub fn in_test_mode(mut self) -> Self {
        self.stack = stack(Mode::Test);
        self
    }

    /// A desk of the newly opened shop.
    pub fn open() -> Self {
        Self::over(open_shop(OnUnknown::Resend))
    }

    pub fn services(&self) -> std::sync::MutexGuard<'_, Services> {
        self.platform.0.lock().unwrap()
    }

    /// Runs a command at a terminal without answers.
    pub async fn till(&self, args: &[&str]) -> Ended {
        self.till_at(&FakeTerminal::default(), args).await
    }

    /// Runs a command with confirmation.
    pub async fn confirmed(&self, args: &[&str]) -> Ended {
        let more = [
            "--yes",
            "--stack",
            &self.stack.name,
            "--why",
            "it is mended",
        ];
        self.till(&[args, &more].concat()).await
    }

    pub async fn till_at(&self, terminal: &FakeTerminal, args: &[&str]) -> Ended {
        let all = [&["till"], args].concat();
        let cli =
            <Cli as clap::Parser>::try_parse_from(all).unwrap_or_else(|error| panic!("{error}"));
        let now = self.bundle.world.now();
        let on = Context {
            backend: self,
            stack: &self.stack,
            terminal,
            options: &cli.options,
            now,
        };
        let ended = match till::run(&cli, &on).await {
            Ok(answer) => self.ended(&answer, now),
            Err(error) => Ended {
                exit: error.exit,
                text: error.text(),
                json: error.to_json(),
            },
        };
        if let Some(why) = crate::schemas::refused(&ended.json) {
            panic!("{args:?}: {why}\n{:#}", ended.json);
        }
        ended
    }

    fn ended(&self, answer: &Answer, now: Timestamp) -> Ended {
        Ended {
            exit: answer.exit,
            text: plain(&answer.to_text(Some(&self.stack))),
            json: answer.to_json(Some(&self.stack), now),
        }
    }
}

/// The text without colors.
fn plain(text: &str) -> String {
    let mut out = String::new();
    let mut is_code = false;
    for letter in text.chars() {
        match (is_code, letter) {
            (false, '\u{1b}') => is_code = true,
            (true, 'm') => is_code = false,
            (true, _) => {}
            (false, letter) => out.push(letter),
        }
    }
    out
}

fn stack(mode: Mode) -> Stack {
    let parameters = parameters(mode);
    Stack {
        name: format!("flex-{mode}"),
        region: "us-east-1".to_owned(),
        mode,
        version: Some(env!("CARGO_PKG_VERSION").to_owned()),
        status: "UPDATE_COMPLETE".to_owned(),
        created_at: None,
        zone: jiff::tz::TimeZone::get("America/New_York").unwrap(),
        parameters,
        outputs: BTreeMap::from([
            (
                "WebhookUrl".to_owned(),
                "https://ab12.execute-api.us-east-1.amazonaws.com/webhooks/flex".to_owned(),
            ),
            (
                "FlintWebhookUrl".to_owned(),
                "https://ab12.execute-api.us-east-1.amazonaws.com/webhooks/flint".to_owned(),
            ),
            ("StockTableName".to_owned(), "stock".to_owned()),
        ]),
        resources: BTreeMap::new(),
        local: false,
    }
}
