//! Measures functions side by side on this machine. docs/benchmarks.md says what, and how.

mod aws;
mod callgrind;
#[cfg(test)]
mod calls;
mod delivery;
mod dynamodb;
mod expression;
mod flex;
mod fulfillment;
mod lambda;
mod load;
mod measure;
mod plot;
mod processor;
mod report;
mod subject;
mod tls;
mod upkeep;

use clap::Parser;
use measure::Plan;
use std::{
    io,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

/// Measures functions side by side: cold start, warm latency, processor time, memory, calls to AWS, size.
#[derive(Debug, Parser)]
struct Arguments {
    /// The folder with one folder and one zip for each function.
    #[arg(long, default_value = ".local/bench")]
    built: PathBuf,
    /// The folder for the JSON, the plots and the Markdown table.
    #[arg(long, default_value = "out")]
    out: PathBuf,
    /// The functions to measure.
    #[arg(long, value_delimiter = ',', default_value = "intake,bare,node,python")]
    subjects: Vec<String>,
    /// Cold starts of each function.
    #[arg(long, default_value_t = 40)]
    starts: usize,
    /// New events for each function, after the warm-up.
    #[arg(long, default_value_t = 2_500)]
    events: usize,
    /// Events for each function before the measured ones. Node.js compiles its hot code meanwhile.
    #[arg(long, default_value_t = 500)]
    warm_up: usize,
    /// The functions take turns: this many turns each.
    #[arg(long, default_value_t = 10)]
    rounds: usize,
    /// The time that AWS takes for each answer, in milliseconds.
    #[arg(long, default_value_t = 0)]
    latency_ms: u64,
    /// AWS answers over TLS.
    #[arg(long)]
    tls: bool,
    /// Orders for fulfillment and receipts, for each size of batch and each latency; 0 leaves it out.
    #[arg(long, default_value_t = 200)]
    orders: usize,
    /// Rows for sweep and reconcile; 0 leaves it out.
    #[arg(long, default_value_t = 10_000)]
    rows: u64,
    /// Deliveries through the whole flow, each tenth a duplicate; 0 leaves it out. 100,000 take minutes.
    #[arg(long, default_value_t = 0)]
    load: u64,
    /// Orders of one SKU, and as many of different SKUs; 0 leaves it out. 10,000 take minutes.
    #[arg(long, default_value_t = 0)]
    shelf: u64,
    /// The time for which a transaction's items are in flight, in milliseconds, for `--shelf`.
    #[arg(long, default_value_t = 10)]
    shelf_latency_ms: u64,
    /// Processes of fulfillment for `--shelf`, with ten orders each.
    #[arg(long, default_value_t = 5)]
    shelf_processes: usize,
    /// Counts instructions under valgrind, too.
    #[arg(long)]
    instructions: bool,
    /// A document whose section `bench` takes the table. The plot and the JSON are written beside it, and README.md
    /// takes one line.
    #[arg(long)]
    document: Option<PathBuf>,
    /// The JSON of an earlier run, to write its documents again and measure nothing.
    #[arg(long)]
    from: Option<PathBuf>,
}

/// A benchmark cannot go on.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("{0}: {1}")]
    File(PathBuf, io::Error),
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    #[error(transparent)]
    Certificate(#[from] rcgen::Error),
    #[error(transparent)]
    Tls(#[from] rustls::Error),
    #[error("there is no function {0}: intake, bare, node or python")]
    UnknownSubject(String),
    #[error("{subject} answered {answer}, and {expected:?} was expected; its output is in {log}", log = .log.display())]
    Answer {
        subject: String,
        answer: String,
        expected: lambda::Expected,
        log: PathBuf,
    },
    #[error("{0} ended; its output is in {1}")]
    Ended(String, PathBuf),
    #[error("{0} has no section bench")]
    NoSection(PathBuf),
    #[error("valgrind printed no count of instructions; see {0}")]
    NoCount(PathBuf),
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(&Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> Result<(), Failure> {
    let report = match &arguments.from {
        Some(file) => serde_json::from_str(&read(file)?)?,
        None => measured(arguments).await?,
    };
    let text = report::markdown(&report);
    println!("{text}");
    let (plot, json) = (
        plot::bars(&report.subjects),
        serde_json::to_string_pretty(&report)?,
    );
    std::fs::create_dir_all(&arguments.out)
        .map_err(|error| Failure::File(arguments.out.clone(), error))?;
    for (name, text) in [("md", &text), ("svg", &plot), ("json", &json)] {
        write(&arguments.out.join("bench").with_extension(name), text)?;
    }
    let Some(document) = &arguments.document else {
        return Ok(());
    };
    let after = report::with_section(&read(document)?, &text);
    write(
        document,
        &after.ok_or_else(|| Failure::NoSection(document.clone()))?,
    )?;
    write(&document.with_extension("svg"), &plot)?;
    write(&document.with_extension("json"), &(json + "\n"))?;
    let readme = PathBuf::from("README.md");
    match report::with_line(&read(&readme)?, &report) {
        Some(after) => write(&readme, &after),
        None => Err(Failure::NoSection(readme)),
    }
}

fn read(file: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(file).map_err(|error| Failure::File(file.to_owned(), error))
}

fn write(file: &Path, text: &str) -> Result<(), Failure> {
    std::fs::write(file, text).map_err(|error| Failure::File(file.to_owned(), error))
}

async fn measured(arguments: &Arguments) -> Result<report::Report, Failure> {
    let authority = arguments.tls.then(tls::Authority::new).transpose()?;
    let latency = Duration::from_millis(arguments.latency_ms);
    let aws = aws::Aws::start(latency, authority.as_ref()).await?;
    let trusted = authority
        .map(|authority| tls::Trusted::write(&arguments.built, &authority.pem()))
        .transpose()?;
    let place = subject::Place::new(&arguments.built, &aws, trusted);
    let named = arguments.subjects.iter();
    let subjects = named
        .map(|name| place.subject(name))
        .collect::<Result<Vec<_>, _>>()?;
    let plan = Plan {
        starts: arguments.starts,
        events: arguments.events,
        warm_up: arguments.warm_up,
        rounds: arguments.rounds.max(1),
    };
    let machine = report::Machine::here(arguments);
    let mut measured = measure::all(&subjects, &aws, &plan).await?;
    if arguments.instructions {
        for (subject, measured) in subjects.iter().zip(&mut measured) {
            if subject.is_native {
                measured.instructions = Some(callgrind::count(subject, &aws).await?);
            }
        }
    }
    let batches = match arguments.orders {
        0 => Vec::new(),
        orders => fulfillment::measure(&place, &aws, orders).await?,
    };
    let upkeep = match arguments.rows {
        0 => Vec::new(),
        rows => upkeep::measure(&place, &aws, rows).await?,
    };
    let flow = match arguments.load {
        0 => None,
        deliveries => Some(load::flow(&place, &aws, deliveries).await?),
    };
    let shelves = shelves(arguments, &place, &aws).await?;
    Ok(report::Report {
        machine: machine.ended(),
        subjects: measured,
        batches,
        upkeep,
        flow,
        shelves,
    })
}

async fn shelves(
    arguments: &Arguments,
    place: &subject::Place<'_>,
    aws: &aws::Aws,
) -> Result<Vec<load::Shelf>, Failure> {
    let mut shelves = Vec::new();
    let (latency_ms, processes) = (arguments.shelf_latency_ms, arguments.shelf_processes);
    for is_hot in [false, true].into_iter().filter(|_| arguments.shelf > 0) {
        let plan = (is_hot, arguments.shelf, latency_ms, processes);
        shelves.push(load::shelf(place, aws, plan).await?);
    }
    Ok(shelves)
}
