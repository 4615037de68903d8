//! The faults. Processes of functions die, or stand still for a while. Flex's API fails, hangs, hangs up and is away.
//! All of AWS stops and comes again.

use crate::{
    load::Progress,
    mailbox::{Mail, Mailbox},
    processes::{Function, Service, Signal, StackFile, signal, until},
};
use kit::dice::Dice;
use kit::prelude::*;
use std::{collections::VecDeque, io, sync::Arc, time::Instant};
use tokio::sync::RwLock;

/// Between two blows, in milliseconds: at least, and by chance as much again and more.
const PACE: [u64; 2] = [200, 800];
/// The emulator's words for an invocation whose process has died, after the function's name.
const CUT_SHORT: &str = ": Runtime exited before returning a response";
/// How long after the kill it says so at the latest, on a busy machine.
const SAID_WITHIN: Duration = Duration::from_secs(2);
/// For how long nothing must have been said until everybody is at rest: no batch of receipts takes as long.
const AT_REST_AFTER: Duration = Duration::from_secs(2);
/// How long that may take. Flex's API may hang, and fulfillment with it.
const AT_REST_WITHIN: Duration = Duration::from_secs(15);
/// The certain blows, each after a share of the deliveries, in percent.
const CERTAIN: [(usize, Blow); 5] = [
    (15, Blow::StandInAway),
    (35, Blow::AllAway),
    (55, Blow::StandInAway),
    (75, Blow::AllAway),
    (90, Blow::StandInAway),
];
/// The paths that are asked of Flex's API.
const PATHS: [&str; 5] = [
    "/v1/checkout/sessions/*",
    "/v1/checkout/sessions/*/line_items",
    "/v1/customers/*",
    "/v1/payment_intents",
    "/v1/subscriptions/*",
];

/// A blow to the stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Blow {
    Kill,
    KillAllOfOne,
    StandStill,
    Fault,
    StandInAway,
    AllAway,
}

/// A process that was killed while deliveries came and the queues were read.
#[derive(Debug, Clone)]
pub(crate) struct Kill {
    pub(crate) function: String,
    pub(crate) at: Timestamp,
    /// It was at work: an invocation began, and never ended.
    pub(crate) at_work: bool,
}

/// The damage so far.
#[derive(Debug, Default)]
pub(crate) struct Damage {
    pub(crate) kills: Vec<Kill>,
    /// How many processes went with all of AWS, when nothing was given to them any more. No work is lost with them, and
    /// they explain nothing.
    pub(crate) killed_at_rest: usize,
    pub(crate) stood_still: usize,
    /// How many faults of each kind were planned, and for how many requests in all.
    pub(crate) faults: BTreeMap<&'static str, usize>,
    pub(crate) faulty_requests: u64,
    pub(crate) stand_in_restarts: usize,
    pub(crate) emulator_restarts: usize,
}

impl Blow {
    /// How often it comes for certain.
    pub(crate) fn planned(self) -> usize {
        CERTAIN.iter().filter(|(_, blow)| *blow == self).count()
    }
}

impl Damage {
    /// Which functions were killed.
    pub(crate) fn functions(&self) -> BTreeSet<&str> {
        self.kills
            .iter()
            .map(|kill| kill.function.as_str())
            .collect()
    }

    /// The kills of a function.
    pub(crate) fn kills_of<'a>(&'a self, function: &'a str) -> impl Iterator<Item = &'a Kill> {
        self.kills
            .iter()
            .filter(move |kill| kill.function == function)
    }

    pub(crate) fn killed_at_work(&self, function: &str) -> usize {
        self.kills_of(function).filter(|kill| kill.at_work).count()
    }
}

#[derive(Debug)]
pub(crate) struct Chaos {
    pub(crate) file: StackFile,
    pub(crate) emulator: Service,
    pub(crate) stand_in: Service,
    pub(crate) stand_in_url: String,
    pub(crate) endpoint: String,
    pub(crate) http: reqwest::Client,
    pub(crate) dice: Dice,
    pub(crate) mailbox: Mailbox,
    pub(crate) gate: Arc<RwLock<()>>,
    /// For how long Flex's API is away at most.
    pub(crate) away: Duration,
    pub(crate) damage: Damage,
    /// How much the emulator had said when that was last looked at.
    pub(crate) heard: u64,
    /// The mails that the emulator took before it was stopped: it forgets them.
    pub(crate) mails: Vec<Mail>,
}

impl Chaos {
    /// Goes on until everything is delivered, and what comes for certain has come.
    pub(crate) async fn rage(&mut self, progress: &Progress, total: usize) -> io::Result<()> {
        let mut certain = VecDeque::from(CERTAIN);
        while progress.ended() < total || !certain.is_empty() {
            let pace = PACE[0] + self.dice.below(PACE[1]);
            tokio::time::sleep(Duration::from_millis(pace)).await;
            self.learn_who_was_at_work()?;
            let due = certain
                .front()
                .filter(|(percent, _)| progress.ended() * 100 >= total * percent);
            let blow = due.map_or_else(|| by_chance(&mut self.dice), |(_, blow)| *blow);
            if due.is_some() {
                certain.pop_front();
            }
            match blow {
                Blow::Kill => self.kill_one()?,
                Blow::KillAllOfOne => self.kill_all_of_one()?,
                Blow::StandStill => self.let_one_stand_still().await?,
                Blow::Fault => self.plan_a_fault().await,
                Blow::StandInAway => self.take_the_stand_in_away().await?,
                Blow::AllAway => self.take_everything_away().await?,
            }
        }
        tokio::time::sleep(SAID_WITHIN).await;
        self.learn_who_was_at_work()
    }

    /// The emulator's output since the last look.
    fn listen(&mut self) -> io::Result<String> {
        let (said, heard) = self.emulator.said_since(self.heard)?;
        self.heard = heard;
        Ok(said)
    }

    /// Marks the killed processes that had an invocation, from the emulator's output. Most have none.
    fn learn_who_was_at_work(&mut self) -> io::Result<()> {
        let said = self.listen()?;
        for function in said.lines().filter_map(|line| cut_short(line, &self.file)) {
            // The latest, since it says so at once, or nearly so on a busy machine.
            let mut latest = self.damage.kills.iter_mut().rev();
            if let Some(kill) = latest.find(|kill| kill.function == function && !kill.at_work) {
                kill.at_work = true;
            }
        }
        Ok(())
    }

    fn functions(&self) -> Vec<Function> {
        self.file.functions(self.emulator.pid)
    }

    fn kill(&mut self, function: &Function) -> io::Result<()> {
        signal(function.pid, Signal::Kill)?;
        self.damage.kills.push(Kill {
            function: function.name.clone(),
            at: Timestamp::now(),
            at_work: false,
        });
        Ok(())
    }

    fn kill_one(&mut self) -> io::Result<()> {
        let those = self.all_of_one();
        if !those.is_empty()
            && let Some(function) = self.dice.pick(&those)
        {
            self.kill(function)?;
        }
        Ok(())
    }

    fn kill_all_of_one(&mut self) -> io::Result<()> {
        let those = self.all_of_one();
        those.iter().try_for_each(|function| self.kill(function))
    }

    /// The processes of one kind, which is chosen first: there are many processes of intake and few of receipts.
    fn all_of_one(&mut self) -> Vec<Function> {
        let mut functions = self.functions();
        let kinds: BTreeSet<_> = functions.iter().map(|function| &function.name).collect();
        let kinds: Vec<_> = kinds.into_iter().cloned().collect();
        let kind = self.dice.pick(&kinds);
        functions.retain(|function| Some(&function.name) == kind);
        functions
    }

    async fn let_one_stand_still(&mut self) -> io::Result<()> {
        if let Some(function) = self.dice.pick(&self.functions()).cloned() {
            signal(function.pid, Signal::Stop)?;
            tokio::time::sleep(Duration::from_millis(200 + self.dice.below(3000))).await;
            signal(function.pid, Signal::Continue)?;
            self.damage.stood_still += 1;
        }
        Ok(())
    }

    async fn plan_a_fault(&mut self) {
        let (kind, mut fault) = match self.dice.below(5) {
            0 => ("503", json!({"status": 503})),
            1 => ("500", json!({"status": 500, "body": "{\"error\":"})),
            2 => ("429", json!({"status": 429, "retry_after": "2"})),
            3 => ("hangs", json!({"delay_ms": 9000, "status": 200})),
            _ => ("hangs up", json!({"drop_connection": true})),
        };
        // A hanging request delays its batch for as long as a request may take.
        let most = if kind == "hangs" { 3 } else { 20 };
        let times = 1 + self.dice.below(most);
        let path = self.dice.pick(&PATHS).copied().unwrap_or_default();
        if let Some(fault) = fault.as_object_mut() {
            fault.extend([
                ("path".to_owned(), json!(path)),
                ("times".to_owned(), json!(times)),
            ]);
        }
        let url = format!("{}/_stand-in/faults", self.stand_in_url);
        if self.http.post(url).json(&fault).send().await.is_ok() {
            *self.damage.faults.entry(kind).or_default() += 1;
            self.damage.faulty_requests += times;
        }
    }

    /// Flex's API is away for a while.
    async fn take_the_stand_in_away(&mut self) -> io::Result<()> {
        self.stand_in.stop(Signal::Kill).await?;
        // From half of it on.
        tokio::time::sleep(self.away.mul_f64(0.5 + self.dice.unit() / 2.0)).await;
        self.bring_the_stand_in_back().await?;
        self.damage.stand_in_restarts += 1;
        Ok(())
    }

    pub(crate) async fn bring_the_stand_in_back(&mut self) -> io::Result<()> {
        self.stand_in.start()?;
        let url = format!("{}/_stand-in/requests", self.stand_in_url);
        self.until_it_answers("the stand-in answers", &url).await
    }

    async fn until_it_answers(&self, what: &str, url: &str) -> io::Result<()> {
        until(what, async || self.http.get(url).send().await.is_ok()).await
    }

    /// Waits until what was given to the functions is done, and they have nothing more.
    async fn until_all_are_at_rest(&mut self) -> io::Result<()> {
        let began = Instant::now();
        let mut quiet_since = began;
        while quiet_since.elapsed() < AT_REST_AFTER && began.elapsed() < AT_REST_WITHIN {
            tokio::time::sleep(Duration::from_millis(100)).await;
            let before = self.heard;
            self.learn_who_was_at_work()?;
            if self.heard > before {
                quiet_since = Instant::now();
            }
        }
        Ok(())
    }

    /// Every function dies, at rest, and tables, queues, gateway and mail with them. A stopping emulator
    /// saves its state one service after the other. No function may work meanwhile, so that the state is of
    /// one moment.
    async fn take_everything_away(&mut self) -> io::Result<()> {
        let gate = Arc::clone(&self.gate);
        let closed = gate.write().await;
        self.switch_queues(false).await?;
        self.until_all_are_at_rest().await?;
        let mut killed = BTreeSet::new();
        until("no function is left", async || {
            let functions = self.functions();
            killed.extend(functions.iter().map(|function| function.pid));
            functions
                .iter()
                .all(|function| signal(function.pid, Signal::Kill).is_ok())
                && functions.is_empty()
        })
        .await?;
        self.damage.killed_at_rest += killed.len();
        let mails = self.mailbox.read().await.map_err(io::Error::other)?;
        self.mails.extend(mails);
        self.emulator.stop(Signal::Terminate).await?;
        // Its words about these kills are no kills at work.
        self.listen()?;
        // Deliveries meet a closed port from now on.
        drop(closed);
        tokio::time::sleep(Duration::from_millis(500 + self.dice.below(2000))).await;
        self.emulator.start()?;
        let url = format!("{}/_ministack/health", self.endpoint);
        self.until_it_answers("the emulator answers", &url).await?;
        self.switch_queues(true).await?;
        self.damage.emulator_restarts += 1;
        Ok(())
    }

    /// Has the queues' messages given to the functions, or not.
    async fn switch_queues(&self, on: bool) -> io::Result<()> {
        let switched = async {
            let url = format!("{}/2015-03-31/event-source-mappings/", self.endpoint);
            // No signature is checked; the service is read from where one would stand.
            let who = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/lambda/aws4_request, SignedHeaders=host, Signature=0";
            let request = self
                .http
                .get(&url)
                .header("authorization", who)
                .send()
                .await?;
            let mappings: Value = request.error_for_status()?.json().await?;
            let mappings = mappings.get("EventSourceMappings");
            let mappings = mappings.and_then(Value::as_array).into_iter().flatten();
            for id in mappings.filter_map(|mapping| mapping.get("UUID")?.as_str()) {
                let put = self
                    .http
                    .put(format!("{url}{id}"))
                    .header("authorization", who);
                put.json(&json!({"Enabled": on}))
                    .send()
                    .await?
                    .error_for_status()?;
            }
            Ok::<_, reqwest::Error>(())
        };
        switched.await.map_err(io::Error::other)
    }

    /// Ends every process of this run.
    pub(crate) async fn end(&mut self) -> io::Result<()> {
        for function in self.functions() {
            signal(function.pid, Signal::Kill)?;
        }
        self.stand_in.stop(Signal::Terminate).await?;
        if self.damage.emulator_restarts > 0 {
            self.emulator.stop(Signal::Terminate).await
        } else {
            Ok(())
        }
    }
}

/// Whose invocation was cut short, if the line says so.
fn cut_short<'a>(line: &str, file: &'a StackFile) -> Option<&'a str> {
    let (_, deployed) = line
        .trim_end()
        .strip_suffix(CUT_SHORT)?
        .rsplit_once("Lambda ")?;
    file.named(deployed)
}

fn by_chance(dice: &mut Dice) -> Blow {
    match dice.below(20) {
        0..11 => Blow::Kill,
        11..13 => Blow::KillAllOfOne,
        13..16 => Blow::StandStill,
        _ => Blow::Fault,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whose_invocation_was_cut_short_is_told_by_the_emulator() {
        let file = json!({"processes": {}, "functions": {"intake": "local-intake-1", "receipts": "local-receipts-1"}});
        let file: StackFile = serde_json::from_value(file).unwrap();
        let said = "2026-11-21 13:30:00 WARNING [lambda_runtime] Lambda local-receipts-1: Runtime exited before returning a response";
        assert_eq!(cut_short(said, &file), Some("receipts"));
        assert_eq!(
            cut_short(&said.replace("local-receipts-1", "another"), &file),
            None
        );
        assert_eq!(cut_short(&said.replace("exited", "timed out"), &file), None);
    }
}
