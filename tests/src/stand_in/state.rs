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
pub struct Data {
    /// By the name that the API has for one of their kind; oldest first. A session names its customer by id.
    things: BTreeMap<String, Vec<Value>>,
    line_items: BTreeMap<String, Value>,
    /// By session; one that is not here has those that follow from itself.
    payment_intents: BTreeMap<String, Value>,
}

/// The seed file: holds answers of the API, or names the files that do.
#[derive(Deserialize)]
struct Seed {
    sessions: Vec<SeedSession>,
    /// By the names of the API's lists.
    #[serde(flatten)]
    others: BTreeMap<String, Vec<Answer>>,
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
        for (list, things) in seed.others {
            for thing in things {
                data.put(list.trim_end_matches('s'), thing.read(folder)?);
            }
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

    /// Adds a thing of that kind, or replaces the one of its id.
    pub(super) fn put(&mut self, kind: &str, thing: Value) {
        let thing = unwrapped(thing, kind);
        let name = format!("{kind}_id");
        let list = self.things.entry(kind.to_owned()).or_default();
        let id = id_of(&thing, &name);
        match list.iter_mut().find(|known| id_of(known, &name) == id) {
            Some(known) => *known = thing,
            None => list.push(thing),
        }
    }

    /// Adds a session, or replaces the one of its id. A customer inside it is kept as a customer.
    pub(super) fn put_session(&mut self, session: Value) {
        let mut session = unwrapped(session, "checkout_session");
        if let Some(customer) = session
            .get_mut("customer")
            .filter(|customer| customer.is_object())
        {
            let customer_id = Value::from(id_of(customer, "customer_id"));
            self.put("customer", std::mem::replace(customer, customer_id));
        }
        self.put("checkout_session", session);
    }

    pub(super) fn put_line_items(&mut self, session_id: &str, line_items: Value) {
        self.line_items
            .insert(session_id.to_owned(), unwrapped(line_items, "line_items"));
    }

    pub(super) fn put_payment_intents(&mut self, session_id: &str, payment_intents: Value) {
        self.payment_intents.insert(
            session_id.to_owned(),
            unwrapped(payment_intents, "payment_intents"),
        );
    }

    /// The things of one kind in both modes, newest first.
    fn things(&self, kind: &str) -> impl Iterator<Item = &Value> {
        self.things.get(kind).into_iter().flatten().rev()
    }

    /// The things of one kind and one mode, newest first.
    pub(super) fn all(&self, kind: &str, test_mode: bool) -> impl Iterator<Item = &Value> {
        self.things(kind)
            .filter(move |thing| is_of(thing, test_mode))
    }

    pub(super) fn one(&self, kind: &str, id: &str, test_mode: bool) -> Option<&Value> {
        let name = format!("{kind}_id");
        self.all(kind, test_mode)
            .find(|thing| id_of(thing, &name) == id)
    }

    /// A product: as given, or as a line that sold it shows it.
    pub(super) fn product(&self, id: &str) -> Option<&Value> {
        let lines = self.line_items.values().filter_map(Value::as_array);
        let sold = lines
            .flatten()
            .filter_map(|line| line.pointer("/price/product"));
        self.things("product")
            .chain(sold)
            .find(|product| product.get("product_id").is_some_and(|known| known == id))
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
