//! Delivers the day as its sender would: many at once, each again and again until it is answered with 200.

use crate::day::{Post, What};
use kit::play::PlayError;
use kit::prelude::*;
use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicUsize, Ordering},
};
use tokio::{sync::RwLock, task::JoinSet, time::Instant};

/// How long the sender waits before it comes again, at first and at most: Svix's five seconds to ten hours, in short.
const WAITS: [Duration; 2] = [Duration::from_millis(250), Duration::from_secs(4)];
/// How often it comes.
const TRIES: u32 = 60;

/// How far it is.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    delivered: Mutex<BTreeMap<What, usize>>,
    given_up: AtomicUsize,
    /// The answers to the tries.
    answers: Mutex<BTreeMap<String, usize>>,
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Progress {
    pub(crate) fn ended(&self) -> usize {
        self.delivered().values().sum::<usize>() + self.given_up.load(Ordering::Relaxed)
    }

    /// How many of each kind were answered with 200.
    pub(crate) fn delivered(&self) -> BTreeMap<What, usize> {
        lock(&self.delivered).clone()
    }

    fn deducted(&self, what: What) {
        *lock(&self.delivered).entry(what).or_default() += 1;
    }

    pub(crate) fn given_up(&self) -> usize {
        self.given_up.load(Ordering::Relaxed)
    }

    fn answered(&self, how: &str) {
        *lock(&self.answers).entry(how.to_owned()).or_default() += 1;
    }

    /// How many tries were answered how.
    pub(crate) fn answers(&self) -> BTreeMap<String, usize> {
        lock(&self.answers).clone()
    }
}

/// How fast.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// How many may be under way at once.
    pub(crate) senders: usize,
    /// How much time lies between two of them at least, unless they are late.
    pub(crate) between: Duration,
}

/// Delivers everything. While the gate is held, no delivery is under way.
pub(crate) async fn deliver(
    play: &Play,
    posts: Vec<Post>,
    pace: Pace,
    gate: &Arc<RwLock<()>>,
    progress: &Arc<Progress>,
) {
    let started_at = Instant::now();
    let due = (0..).map(move |nth| started_at + nth * pace.between);
    let queue = Arc::new(Mutex::new(due.zip(posts)));
    let mut all = JoinSet::new();
    for _ in 0..pace.senders {
        let (play, queue, gate, progress) = (
            play.clone(),
            Arc::clone(&queue),
            Arc::clone(gate),
            Arc::clone(progress),
        );
        all.spawn(async move {
            let next = || lock(&queue).next();
            while let Some((due, post)) = next() {
                tokio::time::sleep_until(due).await;
                one(&play, &post, &gate, &progress).await;
            }
        });
    }
    all.join_all().await;
}

async fn one(play: &Play, post: &Post, gate: &RwLock<()>, progress: &Progress) {
    let mut wait = WAITS[0];
    for _ in 0..TRIES {
        let answer = {
            let _open = gate.read().await;
            play.deliver_signed(&post.body).await
        };
        match answer {
            Ok(answer) => {
                progress.answered(&answer.status.to_string());
                if answer.status == 200 {
                    progress.deducted(post.what);
                    return;
                }
            }
            Err(PlayError::Http(error)) if error.is_connect() => progress.answered("not connected"),
            Err(_) => progress.answered("hung up or too late"),
        }
        tokio::time::sleep(wait).await;
        wait = WAITS[1].min(2 * wait);
    }
    progress.given_up.fetch_add(1, Ordering::Relaxed);
}
