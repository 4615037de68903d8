//! The stand-in's data, planned faults and requests.
#![expect(
    clippy::expect_used,
    reason = "what a test puts in must have an id, or the test is wrong"
)]

use super::{fault::Fault, payment_intents};
use serde::Deserialize;
use serde_json::Value;
use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

pub(super) type Shared<D> = Arc<Mutex<State<D>>>;

/// A test that failed while it held the lock must not take the others down with it.
pub(super) fn lock<D>(state: &Shared<D>) -> MutexGuard<'_, State<D>> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Debug, Default)]
pub(super) struct State<D> {
    pub(super) data: D,
    pub(super) requests: Vec<String>,
    seed: D,
    planned: Vec<(String, Fault)>,
}

impl<D: Clone + Default> State<D> {
    pub(super) fn new(seed: D) -> Self {
        Self {
            data: seed.clone(),
            seed,
            ..Self::default()
        }
    }

    pub(super) fn reset(&mut self) {
        *self = Self::new(std::mem::take(&mut self.seed));
    }

    pub(super) fn plan(&mut self, path: &str, fault: Fault) {
        self.planned.push((path.to_owned(), fault));
    }

    /// The fault planned for a path, if one is left.
    pub(super) fn fault_for(&mut self, path: &str) -> Option<Fault> {
        let (_, fault) = self
            .planned
            .iter_mut()
            .find(|(pattern, fault)| fault.times > 0 && matches(pattern, path))?;
        fault.times -= 1;
        Some(fault.clone())
    }

    pub(super) fn requests_for(&self, pattern: &str) -> usize {
        let path = |request: &str| {
            let target = request.split(' ').nth(1).unwrap_or_default();
            target.split('?').next().unwrap_or_default().to_owned()
        };
        self.requests
            .iter()
            .filter(|request| matches(pattern, &path(request)))
            .count()
    }
}

fn matches(pattern: &str, path: &str) -> bool {
    let (pattern, path) = (pattern.split('/'), path.split('/'));
    pattern.clone().count() == path.clone().count()
        && pattern
            .zip(path)
            .all(|(wanted, segment)| wanted == "*" || wanted == segment)
}

#[derive(Debug, Clone, Default)]
pub(super) struct Data {
    /// Oldest first; each names its customer by id.
    sessions: Vec<Value>,
    line_items: BTreeMap<String, Value>,
    /// By session; one that is not here has those that follow from itself.
    payment_intents: BTreeMap<String, Value>,
    customers: BTreeMap<String, Value>,
    products: BTreeMap<String, Value>,
    subscriptions: BTreeMap<String, Value>,
    /// Oldest first.
    invoices: Vec<Value>,
    /// Oldest first.
    refunds: Vec<Refund>,
    /// Oldest first.
    disputes: Vec<Value>,
}

#[derive(Debug, Clone)]
struct Refund {
    refund: Value,
    /// The session that it is said to be of; without one, that of its payment intent.
    session_id: Option<String>,
}

/// The seed file: holds answers of the API, or names the files that do.
#[derive(Deserialize)]
struct Seed {
    sessions: Vec<SeedSession>,
    customers: Vec<Answer>,
    #[serde(default)]
    products: Vec<Answer>,
    subscriptions: Vec<Answer>,
    refunds: Vec<Answer>,
}

#[derive(Deserialize)]
struct SeedSession {
    session: Answer,
    line_items: Answer,
    payment_intents: Option<Answer>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Answer {
    /// Relative to the seed file's folder.
    File(PathBuf),
    Itself(Value),
}

impl Answer {
    fn read(self, folder: &Path) -> io::Result<Value> {
        match self {
            Self::File(path) => read(&folder.join(path)),
            Self::Itself(answer) => Ok(answer),
        }
    }
}

impl Data {
    pub(super) fn seed(path: &Path) -> io::Result<Self> {
        let folder = path.parent().unwrap_or(Path::new("."));
        let seed: Seed = read(path)?;
        let mut data = Self::default();
        for customer in seed.customers {
            data.put_customer(customer.read(folder)?);
        }
        for product in seed.products {
            data.put_product(product.read(folder)?);
        }
        for subscription in seed.subscriptions {
            data.put_subscription(subscription.read(folder)?);
        }
        for refund in seed.refunds {
            data.put_refund(refund.read(folder)?, None);
        }
        for files in seed.sessions {
            let session = unwrapped(files.session.read(folder)?, "checkout_session");
            let id = id_of(&session, "checkout_session_id");
            data.put_line_items(id, files.line_items.read(folder)?);
            if let Some(intents) = files.payment_intents {
                data.put_payment_intents(id, intents.read(folder)?);
            }
            data.put_session(session);
        }
        Ok(data)
    }

    pub(super) fn put_session(&mut self, session: Value) {
        let mut session = unwrapped(session, "checkout_session");
        if let Some(customer) = session
            .get_mut("customer")
            .filter(|customer| customer.is_object())
        {
            let customer_id = Value::from(id_of(customer, "customer_id"));
            self.put_customer(std::mem::replace(customer, customer_id));
        }
        put(&mut self.sessions, session, |session| {
            id_of(session, "checkout_session_id")
        });
    }

    pub(super) fn put_line_items(&mut self, session_id: &str, line_items: Value) {
        self.line_items
            .insert(session_id.to_owned(), unwrapped(line_items, "line_items"));
    }

    pub(super) fn put_product(&mut self, product: Value) {
        let product = unwrapped(product, "product");
        self.products
            .insert(id_of(&product, "product_id").to_owned(), product);
    }

    /// A product: as given, or as a line that sold it shows it.
    pub(super) fn product(&self, id: &str) -> Option<&Value> {
        let lines = self.line_items.values().filter_map(Value::as_array);
        let mut sold = lines
            .flatten()
            .filter_map(|line| line.pointer("/price/product"));
        let given = self.products.get(id);
        given.or_else(|| {
            sold.find(|product| product.get("product_id").is_some_and(|known| known == id))
        })
    }

    pub(super) fn put_payment_intents(&mut self, session_id: &str, payment_intents: Value) {
        self.payment_intents.insert(
            session_id.to_owned(),
            unwrapped(payment_intents, "payment_intents"),
        );
    }

    pub(super) fn put_subscription(&mut self, subscription: Value) {
        let subscription = unwrapped(subscription, "subscription");
        self.subscriptions.insert(
            id_of(&subscription, "subscription_id").to_owned(),
            subscription,
        );
    }

    pub(super) fn put_invoice(&mut self, invoice: Value) {
        let invoice = unwrapped(invoice, "invoice");
        put(&mut self.invoices, invoice, |one| id_of(one, "invoice_id"));
    }

    pub(super) fn put_dispute(&mut self, dispute: Value) {
        let dispute = unwrapped(dispute, "dispute");
        put(&mut self.disputes, dispute, |one| id_of(one, "dispute_id"));
    }

    pub(super) fn put_refund(&mut self, refund: Value, session_id: Option<String>) {
        let refund = Refund {
            refund: unwrapped(refund, "refund"),
            session_id,
        };
        put(&mut self.refunds, refund, |one| {
            id_of(&one.refund, "refund_id")
        });
    }

    pub(super) fn put_customer(&mut self, customer: Value) {
        let customer = unwrapped(customer, "customer");
        self.customers
            .insert(id_of(&customer, "customer_id").to_owned(), customer);
    }

    /// The sessions of one mode, newest first.
    pub(super) fn sessions(&self, test_mode: bool) -> impl Iterator<Item = &Value> {
        self.sessions
            .iter()
            .rev()
            .filter(move |session| is_of(session, test_mode))
    }

    pub(super) fn session(&self, id: &str, test_mode: bool) -> Option<&Value> {
        self.sessions(test_mode).find(|session| {
            session
                .get("checkout_session_id")
                .is_some_and(|known| known == id)
        })
    }

    pub(super) fn line_items(&self, session_id: &str) -> Value {
        self.line_items
            .get(session_id)
            .cloned()
            .unwrap_or_else(|| Value::Array(Vec::new()))
    }

    /// The payment intents of a session: as given, or as they follow from the session.
    pub(super) fn payment_intents(&self, session: &Value) -> Vec<Value> {
        let given = self
            .payment_intents
            .get(id_of(session, "checkout_session_id"));
        given.map_or_else(
            || payment_intents::made_from(session),
            |given| given.as_array().cloned().unwrap_or_default(),
        )
    }

    /// The refunds of one mode, of one session or of any, newest first.
    pub(super) fn refunds(
        &self,
        session_id: Option<&str>,
        test_mode: bool,
    ) -> impl Iterator<Item = &Value> {
        let paid = session_id
            .and_then(|id| self.session(id, test_mode))
            .map(payment_intents::listed);
        let fits = move |Refund {
                             refund,
                             session_id: said,
                         }: &&Refund| match (session_id, said) {
            (None, _) => true,
            (Some(wanted), Some(said)) => wanted == said,
            (Some(_), None) => {
                let by = refund.get("payment_intent_id").and_then(Value::as_str);
                paid.as_ref()
                    .is_some_and(|paid| by.is_some_and(|by| paid.contains(&by)))
            }
        };
        let found = self
            .refunds
            .iter()
            .rev()
            .filter(fits)
            .map(|known| &known.refund);
        found.filter(move |refund| is_of(refund, test_mode))
    }

    pub(super) fn subscription(&self, id: &str, test_mode: bool) -> Option<&Value> {
        self.subscriptions
            .get(id)
            .filter(|subscription| is_of(subscription, test_mode))
    }

    pub(super) fn subscriptions(&self, test_mode: bool) -> impl Iterator<Item = &Value> {
        self.subscriptions
            .values()
            .rev()
            .filter(move |subscription| is_of(subscription, test_mode))
    }

    /// The disputes of one mode, newest first.
    pub(super) fn disputes(&self, test_mode: bool) -> impl Iterator<Item = &Value> {
        self.disputes
            .iter()
            .rev()
            .filter(move |dispute| is_of(dispute, test_mode))
    }

    /// The invoices of one mode, newest first.
    pub(super) fn invoices(&self, test_mode: bool) -> impl Iterator<Item = &Value> {
        self.invoices
            .iter()
            .rev()
            .filter(move |invoice| is_of(invoice, test_mode))
    }

    pub(super) fn customer(&self, id: &str, test_mode: bool) -> Option<&Value> {
        self.customers
            .get(id)
            .filter(|customer| is_of(customer, test_mode))
    }
}

/// Replaces the one with the same id, or adds it.
fn put<T>(list: &mut Vec<T>, new: T, id: impl Fn(&T) -> &str) {
    match list.iter_mut().find(|known| id(known) == id(&new)) {
        Some(known) => *known = new,
        None => list.push(new),
    }
}

/// A resource bare, whether or not it came wrapped in its name as the API gives it.
fn unwrapped(mut value: Value, name: &str) -> Value {
    value.get_mut(name).map(Value::take).unwrap_or(value)
}

/// The mode of a resource.
pub(super) fn is_of(resource: &Value, test_mode: bool) -> bool {
    resource.get("test_mode") == Some(&Value::Bool(test_mode))
}

fn id_of<'a>(resource: &'a Value, name: &str) -> &'a str {
    resource
        .get(name)
        .and_then(Value::as_str)
        .expect("a resource has its id")
}

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> io::Result<T> {
    let named =
        |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    let text = std::fs::read_to_string(path).map_err(named)?;
    serde_json::from_str(&text).map_err(|error| named(error.into()))
}
