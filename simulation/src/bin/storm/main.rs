//! A storm on the local stack, with real processes. Deliveries come in any order, some twice and some under a second
//! id. Meanwhile functions are killed, Flex's API fails and goes away, and all of AWS stops and comes again. In the end
//! every order exists once, or the storm reports the difference.

mod chaos;
mod check;
mod day;
mod faults;
mod load;
mod mailbox;
mod processes;
mod tables;

use chaos::{Blow, Chaos, Damage};
use check::Happened;
use clap::{Parser, ValueEnum};
use day::{Day, What};
use faults::Proxy;
use kit::dice::Dice;
use kit::play::PlayError;
use kit::prelude::*;
use load::{Pace, Progress};
use mailbox::Mailbox;
use processes::{Signal, StackFile};
use std::{
    fmt::Display,
    fs, io,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};
use tables::{Desk, POISON, Settled, counted};
use tokio::sync::RwLock;

/// How often it says how far it is.
const SAY_EVERY: Duration = Duration::from_secs(5);
/// How often it looks whether everything is quiet.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How long everything may take to become quiet.
const PATIENCE: Duration = Duration::from_mins(20);
/// The seconds between the first and the last of an event's five tries: 1, 4, 16 and 64. The local stack's
/// `RetryBaseSeconds` is 1.
const TRIES_LAST: u64 = 85;
/// How many seconds a try takes at most that Flex's API leaves hanging.
const ONE_TRY_LASTS: u64 = 10;

#[derive(Debug, Parser)]
#[command(
    about = "Delivers a day's events to the local stack while its processes are killed, and checks the end."
)]
struct Arguments {
    /// How many deliveries to make.
    #[arg(long, default_value_t = 5000)]
    events: usize,
    /// Seed of the day and the chaos; a new one each time by default.
    #[arg(long)]
    seed: Option<u64>,
    /// How many deliveries may be under way at once.
    #[arg(long, default_value_t = 16)]
    senders: usize,
    /// How many to make a second at most: a storm needs some time to have its effect.
    #[arg(long, default_value_t = 30)]
    rate: u32,
    /// How many seconds a message stays hidden whose function died; 180 as deployed. No less than a function's time.
    #[arg(long, default_value_t = 45)]
    hidden: u32,
    /// For how many seconds Flex's API is away at most. From 85 on, events run out of tries and are given up.
    #[arg(long, default_value_t = 5)]
    away: u64,
    /// The kind of trouble.
    #[arg(long, value_enum, default_value_t = Weather::Storm)]
    weather: Weather,
}

/// The kind of trouble while deliveries come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Weather {
    /// Processes are killed, the provider's API fails, all of AWS stops.
    Storm,
    /// AWS answers the functions with throttles, conflicts, errors and resets, late, or not at all. Needs a
    /// stack that was started with `--faults`.
    Faults,
    /// Nothing, for comparison.
    Calm,
}

#[derive(Debug, thiserror::Error)]
enum StormError {
    #[error(transparent)]
    Play(#[from] PlayError),
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("the mailbox or the fault proxy does not answer: {0}")]
    Http(#[from] reqwest::Error),
    #[error("this stack has no fault proxy: start it with `stack.py run --faults SEED`")]
    NoProxy,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let seed = arguments
        .seed
        .unwrap_or_else(|| u64::try_from(Timestamp::now().as_millisecond()).unwrap_or_default());
    let replay = replay(&arguments, seed);
    match Box::pin(storm(&arguments, seed)).await {
        Ok(0) => {
            println!(
                "\n✓ all of it holds. The same day again, and the same blows at other moments: {replay}"
            );
            ExitCode::SUCCESS
        }
        Ok(broken) => {
            println!(
                "\n✗ {broken} claims are false. The same day again, and the same blows at other moments: {replay}"
            );
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("\n✗ {error}\n{replay}");
            ExitCode::FAILURE
        }
    }
}

/// The command that plays the same day again.
fn replay(arguments: &Arguments, seed: u64) -> String {
    let Arguments {
        events,
        senders,
        rate,
        hidden,
        away,
        weather,
        ..
    } = arguments;
    let more = format!("--senders {senders} --rate {rate} --hidden {hidden} --away {away}");
    match weather {
        Weather::Storm => format!("make storm EVENTS={events} SEED={seed} OPTIONS=\"{more}\""),
        Weather::Calm => {
            format!("make storm EVENTS={events} SEED={seed} OPTIONS=\"{more} --weather calm\"")
        }
        Weather::Faults => format!("make faults EVENTS={events} SEED={seed} OPTIONS=\"{more}\""),
    }
}

async fn storm(arguments: &Arguments, seed: u64) -> Result<usize, StormError> {
    let play = Play::on_named_stack().await?;
    let desk = Desk::at(&play.stack).await;
    let mut day = day::day(seed, arguments.events);
    announce(&day, seed);
    let (file, path) = StackFile::of_the_stack()?;
    let proxy = proxy(arguments.weather, &file)?;
    let seed_file = path.with_file_name("storm-seed.json");
    fs::write(&seed_file, day.seed_file.to_string())?;
    let away = Duration::from_secs(arguments.away);
    let mut chaos = prepared(&play, file, &path, seed, away)?;
    begin(&play, &desk, &day, &mut chaos, arguments.hidden, &seed_file).await?;
    if let Some(proxy) = &proxy {
        proxy.follow(&faults::rules(&mut Dice::of(seed, 3))).await?;
    }
    let (total, planned) = (day.posts.len(), day.counts());
    let progress = Arc::new(Progress::default());
    let gate = Arc::clone(&chaos.gate);
    let pace = Pace {
        senders: arguments.senders,
        between: Duration::from_secs(1) / arguments.rate.max(1),
    };
    let started_at = Instant::now();
    let (done, done_loading) = (AtomicBool::new(false), AtomicBool::new(false));
    let loading = async {
        let posts = std::mem::take(&mut day.posts);
        load::deliver(&play, posts, pace, &gate, &progress).await;
        done_loading.store(true, Ordering::Relaxed);
        started_at.elapsed()
    };
    let raging = async {
        let raged = match arguments.weather {
            Weather::Storm => chaos.rage(&progress, total).await,
            Weather::Faults => keep_time(&play, &done_loading).await,
            Weather::Calm => Ok(()),
        };
        done.store(true, Ordering::Relaxed);
        raged
    };
    let (loaded_in, raged, ()) =
        tokio::join!(loading, raging, tell(&progress, total, started_at, &done));
    raged?;
    println!(
        "  {:>5} s  all delivered; waiting until all is quiet",
        started_at.elapsed().as_secs()
    );
    let settled = settle(&play, &desk, started_at).await?;
    let injected = match &proxy {
        Some(proxy) => proxy.injected().await?,
        None => faults::Injected::default(),
    };
    let quiet_after = started_at.elapsed();
    chaos.mails.extend(chaos.mailbox.read().await?);
    summary(
        &progress,
        total,
        loaded_in,
        quiet_after,
        &chaos.damage,
        &settled,
        chaos.mails.len(),
    );

    println!("\nWhat must be so:");
    let log = fs::read(path.with_file_name("logs").join("ministack.log"))?;
    let log = String::from_utf8_lossy(&log);
    let (delivered, damage) = (progress.delivered(), &chaos.damage);
    let happened = Happened {
        planned: &planned,
        delivered: &delivered,
        damage,
        settled: &settled,
        too_late: too_late(arguments).min(total),
        calm: arguments.weather == Weather::Calm,
        injected: proxy.as_ref().map(|_| &injected),
        decisions: &path.with_file_name("logs").join("decisions.jsonl"),
    };
    let verdict = check::check(&play, &desk, &day, &happened, &chaos.mails, &log, 1).await?;
    chaos.end().await?;
    Ok(conclude(&progress, &verdict))
}

/// Reports the number of checks that hold, and returns the number of the others.
fn conclude(progress: &Progress, verdict: &check::Verdict) -> usize {
    let mut broken = verdict.broken;
    if progress.given_up() > 0 {
        broken += 1;
        println!(
            "  ✗ {} deliveries were never answered 200",
            progress.given_up()
        );
    }
    println!(
        "  {} of {} claims hold",
        verdict.claims - verdict.broken,
        verdict.claims
    );
    broken
}

/// Sets the stage: Flex's API knows the day, the stock is counted, and a poison message is queued.
async fn begin(
    play: &Play,
    desk: &Desk,
    day: &Day,
    chaos: &mut Chaos,
    hidden: u32,
    seed_file: &std::path::Path,
) -> Result<(), StormError> {
    let port = chaos.stand_in_url.rsplit(':').next();
    let port = port.unwrap_or_default().to_owned();
    // From now on it knows this day, and knows it again whenever it comes back, at the same address.
    chaos.stand_in.with("--port", &port);
    chaos.stand_in.with("--seed", &seed_file.to_string_lossy());
    chaos.stand_in.stop(Signal::Terminate).await?;
    chaos.bring_the_stand_in_back().await?;
    desk.hide_for(hidden).await?;
    for (sku, on_hand) in &day.stock_levels {
        let sku = Sku::new(sku.clone()).map_err(PlayError::from)?;
        play.tables
            .stock_levels
            .put_counter(&sku, *on_hand)
            .await
            .map_err(PlayError::from)?;
    }
    play.put_message(&play.stack.queues.fulfillment, POISON)
        .await?;
    Ok(())
}

/// The fault proxy, where it is needed.
fn proxy(weather: Weather, file: &StackFile) -> Result<Option<Proxy>, StormError> {
    if weather != Weather::Faults {
        return Ok(None);
    }
    let url = file.fault_proxy_url.clone().ok_or(StormError::NoProxy)?;
    Ok(Some(Proxy::new(http()?, url)))
}

fn http() -> Result<reqwest::Client, reqwest::Error> {
    let builder = reqwest::Client::builder().no_proxy();
    builder.timeout(Duration::from_secs(20)).build()
}

/// Starts sweep and reconcile again and again while deliveries come: their schedules would start them minutes
/// later, when there are no faults any more. A run that a fault ends is not an error of this one.
async fn keep_time(play: &Play, done: &AtomicBool) -> io::Result<()> {
    while !done.load(Ordering::Relaxed) {
        for function in ["sweep", "reconcile"] {
            if let Err(error) = play.invoke(function).await {
                println!("  {function} was cut short: {error}");
            }
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(())
}

fn prepared(
    play: &Play,
    file: StackFile,
    path: &std::path::Path,
    seed: u64,
    away: Duration,
) -> Result<Chaos, StormError> {
    let http = http()?;
    let endpoint = play.stack.endpoint.clone();
    let stand_in_url = play
        .stack
        .stand_in_url
        .clone()
        .ok_or_else(|| PlayError::NoStandIn(play.stack.flex_base_url.clone()))?;
    Ok(Chaos {
        emulator: file.service("ministack", path)?,
        stand_in: file.service("stand-in", path)?,
        file,
        stand_in_url,
        mailbox: Mailbox {
            http: http.clone(),
            endpoint: endpoint.clone(),
        },
        endpoint,
        http,
        // Not the day's own, so that a day of another length has the same blows.
        dice: Dice::of(seed, 2),
        gate: Arc::new(RwLock::new(())),
        away,
        damage: Damage::default(),
        heard: 0,
        mails: Vec::new(),
    })
}

fn announce(day: &Day, seed: u64) {
    let counts = day.counts();
    let count = |what| counts.get(&what).copied().unwrap_or_default();
    println!(
        "A storm, seed {seed}: {} deliveries in any order",
        day.posts.len()
    );
    println!(
        "  {} sales, {} twins under a fresh id, {} of refunds, {} of {} subscriptions' lives, {} duplicates of these",
        count(What::Sale),
        count(What::Twin),
        count(What::Refund),
        count(What::Life),
        day.access.len(),
        count(What::Duplicate),
    );
}

/// Says every few seconds how far it is.
async fn tell(progress: &Progress, total: usize, started_at: Instant, done: &AtomicBool) {
    let mut said_at = Instant::now();
    while !done.load(Ordering::Relaxed) || progress.ended() < total {
        tokio::time::sleep(Duration::from_millis(100)).await;
        if said_at.elapsed() >= SAY_EVERY {
            said_at = Instant::now();
            let ended = progress.ended();
            let rate = rate(ended, started_at.elapsed());
            println!(
                "  {:>5} s  {ended} of {total} delivered, {rate} a second",
                started_at.elapsed().as_secs()
            );
        }
    }
}

/// The most events whose tries all fall into one outage of Flex's API. One try may be lost to something else.
fn too_late(arguments: &Arguments) -> usize {
    let beyond = arguments.away.saturating_sub(TRIES_LAST - ONE_TRY_LASTS);
    let seconds = usize::try_from(beyond)
        .unwrap_or(usize::MAX)
        .saturating_mul(Blow::StandInAway.planned());
    seconds.saturating_mul(arguments.rate.max(1) as usize)
}

/// Waits until the queues are empty, and does an operator's work on dead letters and parked events.
async fn settle(play: &Play, desk: &Desk, started_at: Instant) -> Result<Settled, StormError> {
    let mut settled = Settled::default();
    let deadline = Instant::now() + PATIENCE;
    let mut said_at = Instant::now();
    loop {
        let queues = &play.stack.queues;
        let (jobs, receipts) = (
            play.depth(&queues.fulfillment).await?,
            play.depth(&queues.receipt).await?,
        );
        if said_at.elapsed() >= SAY_EVERY {
            said_at = Instant::now();
            println!(
                "  {:>5} s  {jobs} events and {receipts} receipts are left",
                started_at.elapsed().as_secs()
            );
        }
        if jobs + receipts == 0 {
            // Before it is moved: afterwards it is soon done.
            let overdue = desk.overdue().await?;
            let redriven = desk.redrive().await?;
            let released = desk.release().await?;
            settled.overdue.extend(overdue);
            if redriven + released.len() == 0 {
                return Ok(settled);
            }
            settled.redriven += redriven;
            settled.released.extend(released);
        }
        if Instant::now() > deadline {
            let left = format!("{jobs} events and {receipts} receipts are left");
            return Err(PlayError::TooLate(PATIENCE, left).into());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// A rate per second, to one decimal.
fn rate(count: usize, within: Duration) -> String {
    let tenths = count as u128 * 10_000 / within.as_millis().max(1);
    format!("{}.{}", tenths / 10, tenths % 10)
}

fn summary(
    progress: &Progress,
    total: usize,
    loaded_in: Duration,
    quiet_after: Duration,
    damage: &Damage,
    settled: &Settled,
    mails: usize,
) {
    let row = |name: &str, value: &dyn Display| println!("  {name:<34} {value}");
    println!();
    let (seconds, rate) = (loaded_in.as_secs(), rate(total, loaded_in));
    let deliveries = format!("{total} in {seconds} s, {rate} a second");
    row("deliveries", &deliveries);
    for (answer, count) in progress.answers() {
        row(&format!("  tries answered {answer}"), &count);
    }
    for function in damage.functions() {
        let (killed, at_work) = (
            damage.kills_of(function).count(),
            damage.killed_at_work(function),
        );
        let kills = format!("{killed}, {at_work} of them at work");
        row(&format!("kill -9 of {function}"), &kills);
    }
    row("kill -9 at rest, with all of AWS", &damage.killed_at_rest);
    row("processes that stood still a while", &damage.stood_still);
    let faults = damage.faults.iter();
    let faults = faults.map(|(kind, count)| format!("{count}× {kind}"));
    let faults = faults.collect::<Vec<_>>().join(", ");
    let faults = format!("{faults} ({} requests)", damage.faulty_requests);
    row("faults of Flex's API", &faults);
    let (stand_in, emulator) = (damage.stand_in_restarts, damage.emulator_restarts);
    row("Flex's API killed and restarted", &stand_in);
    row("all of AWS stopped and restarted", &emulator);
    row("quiet after", &format!("{} s", quiet_after.as_secs()));
    row("dead letters sent again", &settled.redriven);
    for why in counted(settled.overdue.values()) {
        row("", &why);
    }
    row("parked events released", &settled.released.len());
    for why in counted(settled.released.values()) {
        row("", &why);
    }
    row("mails", &mails);
}
