//! A plot of bars, as SVG.

use crate::measure::Measured;
use svg::{
    Document,
    node::element::{Rectangle, Text},
};

const WIDTH: f64 = 720.0;
const LABEL: f64 = 80.0;
const VALUE: f64 = 90.0;
const BAR: f64 = 18.0;
const GAP: f64 = 6.0;
const TITLE: f64 = 34.0;

type Of = fn(&Measured) -> f64;

const PANELS: [(&str, Of); 5] = [
    ("start to first answer, p50, ms", |it| it.first_answer.p50),
    ("new event, p50, ms", |it| it.new.latency.p50),
    ("new event, processor time, ms", |it| it.new.processor_ms),
    ("peak memory, MiB", |it| it.peak_memory_mib),
    ("zip, MB", |it| it.zip_mb),
];

/// One panel of bars for each figure. Each panel starts at 0 and has its scale.
pub(crate) fn bars(measured: &[Measured]) -> String {
    // Readable on a dark page, too.
    let background = Rectangle::new()
        .set("x", -10)
        .set("y", -2)
        .set("width", "100%")
        .set("height", "100%")
        .set("fill", "white");
    let mut document = Document::new()
        .set("font-family", "sans-serif")
        .set("font-size", 13)
        .add(background);
    let mut y = 0.0;
    for (title, of) in PANELS {
        y += TITLE;
        let title = Text::new(title).set("x", 0).set("y", y - 10.0);
        document = document.add(title.set("font-weight", "bold"));
        let most = measured.iter().map(of).fold(f64::MIN_POSITIVE, f64::max);
        for it in measured {
            let length = (WIDTH - LABEL - VALUE) * of(it) / most;
            let is_ours = it.name == "intake";
            let bar = Rectangle::new()
                .set("x", LABEL)
                .set("y", y)
                .set("width", format!("{length:.1}"))
                .set("height", BAR)
                .set("fill", if is_ours { "#c2410c" } else { "#94a3b8" });
            let middle = y + BAR - GAP + 1.0;
            let value = Text::new(format!("{:.2}", of(it)))
                .set("x", format!("{:.1}", LABEL + length + GAP))
                .set("y", middle);
            let name = Text::new(it.name.as_str()).set("x", 0).set("y", middle);
            document = document.add(bar).add(value).add(name);
            y += BAR + GAP;
        }
    }
    document
        .set("viewBox", (-10, -2, WIDTH + 20.0, y + 10.0))
        .to_string()
}
