//! The report: a Markdown table and the goals, beside the JSON.

use crate::{
    Arguments,
    fulfillment::Batches,
    load::{Flow, Shelf},
    measure::{Measured, Warm, float},
    upkeep::Upkeep,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;

/// Everything, for `bench.json`.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    pub(crate) subjects: Vec<Measured>,
    /// Fulfillment and receipts.
    pub(crate) batches: Vec<Batches>,
    /// Sweep and reconcile.
    pub(crate) upkeep: Vec<Upkeep>,
    pub(crate) flow: Option<Flow>,
    pub(crate) shelves: Vec<Shelf>,
}

/// The machine and the conditions of a run.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Machine {
    processor: String,
    processors: usize,
    /// The load of the last minute before the run and at its end. The harness and one function make about 1.
    load: (String, String),
    at: Timestamp,
    /// The time that AWS took, in milliseconds.
    latency_ms: u64,
    tls: bool,
}

impl Machine {
    pub(crate) fn here(arguments: &Arguments) -> Self {
        let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = info.lines().find(|line| line.starts_with("model name"));
        let model = model.and_then(|line| Some(line.split_once(':')?.1.trim().to_owned()));
        Self {
            processor: model.unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            load: (load(), String::new()),
            at: Timestamp::now(),
            latency_ms: arguments.latency_ms,
            tls: arguments.tls,
        }
    }

    pub(crate) fn ended(mut self) -> Self {
        self.load.1 = load();
        self
    }
}

fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or_default().to_owned()
}

/// The whole report for the terminal and for the documents.
pub(crate) fn markdown(report: &Report) -> String {
    let (machine, measured) = (&report.machine, &report.subjects);
    let mut text = String::new();
    let _ = writeln!(
        text,
        "{} × {}, {}, AWS over {} in {} ms, load {} before and {} after.\n",
        machine.processors,
        machine.processor,
        machine.at.strftime("%F"),
        if machine.tls { "TLS" } else { "HTTP" },
        machine.latency_ms,
        machine.load.0,
        machine.load.1,
    );
    let names = measured.iter().map(|it| it.name.clone());
    head(&mut text, "figure", names);
    let mut line = |name: &str, of: &dyn Fn(&Measured) -> String| {
        row(&mut text, name, measured.iter().map(of));
    };
    line("start to ready, p50 / p99, ms", &|it| {
        format!("{:.1} / {:.1}", it.ready.p50, it.ready.p99)
    });
    line("start to first answer, p50 / p99, ms", &|it| {
        format!("{:.1} / {:.1}", it.first_answer.p50, it.first_answer.p99)
    });
    for (class, of) in CLASSES {
        line(&format!("{class} event, p50 / p99, ms"), &|it| {
            of(it).map_or(none(), |warm| {
                format!("{:.2} / {:.2}", warm.latency.p50, warm.latency.p99)
            })
        });
        line(&format!("{class} event, processor time, ms"), &|it| {
            of(it).map_or(none(), |warm| format!("{:.3}", warm.processor_ms))
        });
        line(&format!("{class} event, waits of threads"), &|it| {
            of(it).map_or(none(), |warm| format!("{:.1}", warm.waits))
        });
        line(&format!("{class} event, calls to AWS"), &|it| {
            of(it).map_or(none(), |warm| format!("{:.2}", warm.calls_per_event()))
        });
    }
    line("peak memory, MiB", &|it| {
        format!("{:.1}", it.peak_memory_mib)
    });
    line("zip / unpacked, MB", &|it| {
        format!("{:.2} / {:.2}", it.zip_mb, it.code_mb)
    });
    if measured.iter().any(|it| it.instructions.is_some()) {
        line("instructions, start to first answer, millions", &|it| {
            it.instructions
                .map_or(none(), |it| format!("{:.2}", it.start / 1e6))
        });
        line("instructions, new event, millions", &|it| {
            it.instructions
                .map_or(none(), |it| format!("{:.3}", it.event / 1e6))
        });
    }
    let of = |name: &str| {
        let of = report.batches.iter().filter(|it| it.function == name);
        of.collect::<Vec<_>>()
    };
    let orders = of("fulfillment");
    batches(&mut text, "fulfillment of checkouts", &orders);
    batches(&mut text, "receipts of these orders", &of("receipts"));
    upkeep(&mut text, &report.upkeep);
    under_load(&mut text, report);
    goals(&mut text, machine, measured, &orders);
    text
}

/// The table of sweep and reconcile.
fn upkeep(text: &mut String, runs: &[Upkeep]) {
    if runs.is_empty() {
        return;
    }
    text.push('\n');
    let names = runs.iter().map(|it| {
        let (function, rows, latency) = (&it.function, it.rows, it.latency_ms);
        format!("{function}, {rows} rows at {latency} ms")
    });
    head(text, "a run from its start", names);
    let mut line = |name: &str, of: &dyn Fn(&Upkeep) -> String| {
        row(text, name, runs.iter().map(of));
    };
    line("time, s", &|it| format!("{:.2}", it.seconds));
    line("processor time, s", &|it| format!("{:.2}", it.processor_s));
    line("peak memory, MiB", &|it| {
        format!("{:.1}", it.peak_memory_mib)
    });
    line("calls to AWS and Flex", &|it| {
        let calls = it.calls.iter().map(|(_, calls)| calls);
        calls.sum::<u64>().to_string()
    });
}

/// The tables of the whole flow and of the hot shelf.
fn under_load(text: &mut String, report: &Report) {
    if let Some(it) = &report.flow {
        text.push('\n');
        let figures = [
            ("deliveries", it.deliveries.to_string()),
            ("of these, duplicates", it.duplicates.to_string()),
            (
                "deliveries in a second, on this machine with its stubs",
                format!("{:.0}", float(it.deliveries) / it.seconds),
            ),
            (
                "deliveries in a second of processor time of the functions",
                format!("{:.0}", float(it.deliveries) / it.processor_s),
            ),
            ("orders", it.orders.to_string()),
            ("lost", it.ends.lost.to_string()),
            ("double", it.ends.double.to_string()),
            ("messages received again", it.ends.again.to_string()),
            ("dead letters", it.ends.dead.to_string()),
        ];
        head(text, "whole flow", ["count".to_owned()].into_iter());
        for (name, figure) in figures {
            row(text, name, [figure].into_iter());
        }
    }
    let Some(first) = report.shelves.first() else {
        return;
    };
    text.push('\n');
    let title = format!(
        "{} orders, {} at once, {} ms",
        first.orders, first.at_once, first.latency_ms
    );
    let names = report.shelves.iter().map(|it| {
        let name = if it.is_hot {
            "one SKU"
        } else {
            "each its own SKU"
        };
        name.to_owned()
    });
    head(text, &title, names);
    let mut line = |name: &str, of: &dyn Fn(&Shelf) -> String| {
        row(text, name, report.shelves.iter().map(of));
    };
    line("orders in a second", &|it| {
        format!("{:.0}", float(it.orders) / it.seconds)
    });
    line("transactions for each order", &|it| {
        format!("{:.2}", it.attempts)
    });
    line("messages received again", &|it| it.ends.again.to_string());
    line("dead letters", &|it| it.ends.dead.to_string());
    line("lost", &|it| it.ends.lost.to_string());
    line("double", &|it| it.ends.double.to_string());
}

/// The table of a function of batches.
fn batches(text: &mut String, title: &str, orders: &[&Batches]) {
    if orders.is_empty() {
        return;
    }
    text.push('\n');
    let names = orders
        .iter()
        .map(|it| format!("batch of {} at {} ms", it.size, it.latency_ms));
    head(text, title, names);
    let mut line = |name: &str, of: &dyn Fn(&Batches) -> String| {
        row(text, name, orders.iter().map(|it| of(it)));
    };
    line("batch, p50 / p99, ms", &|it| {
        format!("{:.2} / {:.2}", it.latency.p50, it.latency.p99)
    });
    line("record, processor time, ms", &|it| {
        format!("{:.2}", it.processor_ms)
    });
    line("record, calls to AWS and Flex", &|it| {
        let calls = it.calls.iter().map(|(_, calls)| calls);
        format!("{:.2}", calls.fold(0.0, |sum, calls| sum + calls))
    });
    line("peak memory, MiB", &|it| {
        format!("{:.1}", it.peak_memory_mib)
    });
    line("batch, sequential round trips", &|it| match it.size {
        1 => format!("{:.1}", it.round_trips),
        // Without latency, calls of different orders seldom overlap.
        _ => none(),
    });
}

/// The document with this text in its printed section. None if it has no such section.
pub(crate) fn with_section(document: &str, text: &str) -> Option<String> {
    const START: &str = "<!-- bench: printed -->\n\n";
    const END: &str = "\n<!-- end -->";
    let (before, rest) = document.split_once(START)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{START}{text}{END}{after}"))
}

/// The beginning of the README's line about speed.
const SPEED: &str = "**Speed**";

/// The README with its line about speed. None if it has no such line.
pub(crate) fn with_line(readme: &str, report: &Report) -> Option<String> {
    let old = readme.lines().find(|line| line.starts_with(SPEED))?;
    Some(readme.replacen(old, &speed(report)?, 1))
}

/// The README's line about speed. None if a function was not measured.
fn speed(report: &Report) -> Option<String> {
    let find = |name: &str| report.subjects.iter().find(|it| it.name == name);
    let (ours, node, python) = (find("intake")?, find("node")?, find("python")?);
    let figure = |of: Figure, places: usize| {
        let [ours, node, python] = [ours, node, python].map(of);
        format!("{ours:.places$} ({node:.places$}, {python:.places$})")
    };
    Some(format!(
        "{SPEED} of intake (in parentheses: of the same job in Node.js, Python) on one machine: first answer after {} ms, a new event in {} ms, {} MiB. [How](docs/benchmarks.md).",
        figure(|it| it.first_answer.p50, 0),
        figure(|it| it.new.latency.p50, 1),
        figure(|it| it.peak_memory_mib, 0),
    ))
}

type Figure = fn(&Measured) -> f64;

/// A peer, and the least quotient of its figure and intake's.
type Peer = (&'static str, f64);

type OfClass = fn(&Measured) -> Option<&Warm>;

const CLASSES: [(&str, OfClass); 3] = [
    ("new", |it| Some(&it.new)),
    ("duplicate", |it| it.duplicate.as_ref()),
    ("forged", |it| it.forged.as_ref()),
];

fn none() -> String {
    "–".to_owned()
}

/// The head of a table of figures.
fn head(text: &mut String, first: &str, names: impl Iterator<Item = String> + Clone) {
    row(text, first, names.clone());
    row(text, "---", names.map(|_| "---:".to_owned()));
}

fn row(text: &mut String, first: &str, cells: impl Iterator<Item = String>) {
    let _ = write!(text, "| {first} |");
    for cell in cells {
        let _ = write!(text, " {cell} |");
    }
    text.push('\n');
}

/// The instructions of a new event at commit 73357ac on an AMD processor, before the work towards the goals.
const INSTRUCTIONS_BEFORE: f64 = 1.886e6;

/// Intake's figures beside the goals. A goal without its figure is left out.
fn goals(text: &mut String, machine: &Machine, measured: &[Measured], orders: &[&Batches]) {
    let find = |name: &str| measured.iter().find(|it| it.name == name);
    let Some(intake) = find("intake") else { return };
    text.push('\n');
    text.push_str("| goal | limit | measured | met |\n| --- | ---: | ---: | --- |\n");
    let mut goal = |name: &str, limit: f64, figure: f64| {
        let met = if figure <= limit { "yes" } else { "no" };
        let _ = writeln!(text, "| {name} | {limit:.3} | {figure:.3} | {met} |");
    };
    let start: Figure = |it| it.first_answer.p50;
    let latency: Figure = |it| it.new.latency.p50;
    let processor: Figure = |it| it.new.processor_ms;
    let starts: &[Peer] = if machine.tls {
        &[("node", 10.0), ("python", 10.0)]
    } else {
        &[("node", 25.0), ("python", 70.0), ("bare", 0.2)]
    };
    let figures: [(&str, Figure, &[Peer]); 3] = [
        ("start to first answer", start, starts),
        ("new event, p50", latency, &[("node", 5.0), ("python", 5.0)]),
        (
            "new event, processor time",
            processor,
            &[("node", 10.0), ("python", 10.0)],
        ),
    ];
    for (name, of, peers) in figures {
        for (peer, times) in peers {
            if let Some(peer_measured) = find(peer) {
                let name = format!("{name}, share of {peer}");
                goal(&name, 1.0 / times, of(intake) / of(peer_measured));
            }
        }
    }
    goal("peak memory, MiB", 12.0, intake.peak_memory_mib);
    for ((class, of), calls) in CLASSES.into_iter().zip([2.0, 1.0, 0.0]) {
        if let Some(warm) = of(intake) {
            let name = format!("{class} event, calls to AWS");
            goal(&name, calls, warm.calls_per_event());
        }
    }
    goal("zip of intake, MB", 2.2, intake.zip_mb);
    let batch = |size| {
        let mut slow = orders.iter().filter(|it| it.latency_ms > 0);
        slow.find(|it| it.size == size)
    };
    if let (Some(one), Some(ten)) = (batch(1), batch(10)) {
        let share = ten.latency.p50 / one.latency.p50;
        goal(
            "fulfillment, batch of 10, share of a batch of 1",
            1.3,
            share,
        );
    }
    if let Some(now) = intake.instructions {
        goal(
            "new event, instructions, millions",
            INSTRUCTIONS_BEFORE / 2e6,
            now.event / 1e6,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_keeps_all_but_its_section() {
        let document = "before\n<!-- bench: printed -->\n\nold\n\n<!-- end -->\nafter";
        let expected = "before\n<!-- bench: printed -->\n\nnew\n\n<!-- end -->\nafter";
        assert_eq!(with_section(document, "new\n").as_deref(), Some(expected));
        assert_eq!(with_section("no section", "new\n"), None);
    }

    #[test]
    fn the_documents_show_the_run_that_is_kept() {
        let project = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let read = |name: &str| std::fs::read_to_string(project.join(name)).unwrap();
        let report: Report = serde_json::from_str(&read("docs/benchmarks.json")).unwrap();
        let (document, readme) = (read("docs/benchmarks.md"), read("README.md"));
        let again =
            "make bench OPTIONS=\"--from docs/benchmarks.json --document docs/benchmarks.md\"";
        assert!(
            with_section(&document, &markdown(&report)).as_deref() == Some(&document),
            "docs/benchmarks.md is not of docs/benchmarks.json: {again}"
        );
        assert!(
            with_line(&readme, &report).as_deref() == Some(&readme),
            "README.md is not of docs/benchmarks.json: {again}"
        );
    }
}
