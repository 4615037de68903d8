//! What the stand-in knows, what it is to do wrong, and what it was asked.
#![expect(clippy::expect_used, reason = "what a test puts in must have an id, or the test is wrong")]

use super::fault::Fault;
use serde::Deserialize;
use serde_json::Value;
use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

pub(super) type Shared = Arc<Mutex<State>>;

/// A test that failed while it held the lock must not take the others down with it.
pub(super) fn lock(state: &Shared) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) data: Data,
    pub(super) requests: Vec<String>,
    seed: Data,
    planned: Vec<(String, Fault)>,
}

impl State {
    pub(super) fn new(seed: Data) -> Self {
        Self { data: seed.clone(), seed, ..Self::default() }
    }

    pub(super) fn reset(&mut self) {
        *self = Self::new(std::mem::take(&mut self.seed));
    }

    pub(super) fn plan(&mut self, path: &str, fault: Fault) {
        self.planned.push((path.to_owned(), fault));
    }

    /// The fault planned for a path, if one is left.
    pub(super) fn fault_for(&mut self, path: &str) -> Option<Fault> {
        let (_, fault) =
            self.planned.iter_mut().find(|(pattern, fault)| fault.times > 0 && matches(pattern, path))?;
        fault.times -= 1;
        Some(fault.clone())
    }

    pub(super) fn requests_for(&self, pattern: &str) -> usize {
        let path = |request: &str| {
            let target = request.split(' ').nth(1).unwrap_or_default();
            target.split('?').next().unwrap_or_default().to_owned()
        };
        self.requests.iter().filter(|request| matches(pattern, &path(request))).count()
    }
}

fn matches(pattern: &str, path: &str) -> bool {
    let (pattern, path) = (pattern.split('/'), path.split('/'));
    pattern.clone().count() == path.clone().count()
        && pattern.zip(path).all(|(wanted, segment)| wanted == "*" || wanted == segment)
}

/// The resources.
#[derive(Debug, Clone, Default)]
pub(super) struct Data {
    /// Oldest first; each names its customer by id.
    sessions: Vec<Value>,
    line_items: BTreeMap<String, Value>,
    customers: BTreeMap<String, Value>,
}

/// The seed file: names the files that hold answers of the API, relative to its own folder.
#[derive(Deserialize)]
struct Seed {
    sessions: Vec<SeedSession>,
    customers: Vec<PathBuf>,
}

#[derive(Deserialize)]
struct SeedSession {
    session: PathBuf,
    line_items: PathBuf,
}

impl Data {
    pub(super) fn seed(path: &Path) -> io::Result<Self> {
        let folder = path.parent().unwrap_or(Path::new("."));
        let seed: Seed = read(path)?;
        let mut data = Self::default();
        for customer in seed.customers {
            data.put_customer(unwrapped(read(&folder.join(customer))?, "customer"));
        }
        for files in seed.sessions {
            let session = unwrapped(read(&folder.join(files.session))?, "checkout_session");
            let line_items = unwrapped(read(&folder.join(files.line_items))?, "line_items");
            data.put_line_items(id_of(&session, "checkout_session_id"), line_items);
            data.put_session(session);
        }
        Ok(data)
    }

    pub(super) fn put_session(&mut self, session: Value) {
        let mut session = unwrapped(session, "checkout_session");
        if let Some(customer) = session.get_mut("customer").filter(|customer| customer.is_object()) {
            let customer_id = Value::from(id_of(customer, "customer_id"));
            self.put_customer(std::mem::replace(customer, customer_id));
        }
        let id = id_of(&session, "checkout_session_id").to_owned();
        match self
            .sessions
            .iter_mut()
            .find(|known| known.get("checkout_session_id") == Some(&id.clone().into()))
        {
            Some(known) => *known = session,
            None => self.sessions.push(session),
        }
    }

    pub(super) fn put_line_items(&mut self, session_id: &str, line_items: Value) {
        self.line_items.insert(session_id.to_owned(), unwrapped(line_items, "line_items"));
    }

    pub(super) fn put_customer(&mut self, customer: Value) {
        let customer = unwrapped(customer, "customer");
        self.customers.insert(id_of(&customer, "customer_id").to_owned(), customer);
    }

    /// The sessions of one mode, newest first.
    pub(super) fn sessions(&self, test_mode: bool) -> impl Iterator<Item = &Value> {
        self.sessions.iter().rev().filter(move |session| is_of(session, test_mode))
    }

    pub(super) fn session(&self, id: &str, test_mode: bool) -> Option<&Value> {
        self.sessions(test_mode)
            .find(|session| session.get("checkout_session_id").is_some_and(|known| known == id))
    }

    pub(super) fn line_items(&self, session_id: &str) -> Value {
        self.line_items.get(session_id).cloned().unwrap_or_else(|| Value::Array(Vec::new()))
    }

    pub(super) fn customer(&self, id: &str, test_mode: bool) -> Option<&Value> {
        self.customers.get(id).filter(|customer| is_of(customer, test_mode))
    }
}

/// A resource bare, whether or not it came wrapped in its name as the API gives it.
fn unwrapped(mut value: Value, name: &str) -> Value {
    value.get_mut(name).map(Value::take).unwrap_or(value)
}

fn is_of(resource: &Value, test_mode: bool) -> bool {
    resource.get("test_mode") == Some(&Value::Bool(test_mode))
}

fn id_of<'a>(resource: &'a Value, name: &str) -> &'a str {
    resource.get(name).and_then(Value::as_str).expect("a resource has its id")
}

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> io::Result<T> {
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    let text = std::fs::read_to_string(path).map_err(named)?;
    serde_json::from_str(&text).map_err(|error| named(error.into()))
}
