//! Prints a sample mail, to view it in a browser: `cargo run -p mail --example receipt >
//! receipt.html`.
//!
//! Arguments after `--` choose, in any order, the mail (`receipt`, `renewal`, `refund`,
//! `refund-failed`, `payment-failed`, `invoice-payment-failed`, `shipment`, `trial-ends`), the sample (`full`, `bare`, `test`,
//! `uncertified`) and the part (`subject.txt`, `body.txt`, `body.html`). A file name replaces the
//! built-in template of that part:
//! `cargo run -p mail --example receipt -- renewal bare body.html my-renewal.html > renewal.html`.

use mail::{Form, Part, Sample, Sources, Templates};
use std::{collections::BTreeMap, env, error::Error, fs};

fn main() -> Result<(), Box<dyn Error>> {
    let (mut form, mut sample, mut part) = (Form::Receipt, Sample::Full, Part::Html);
    let mut own = None;
    for word in env::args().skip(1) {
        if let Some(named) = Form::ALL.into_iter().find(|form| form.name() == word) {
            form = named;
            continue;
        }
        match word.as_str() {
            "full" => sample = Sample::Full,
            "bare" => sample = Sample::Bare,
            "test" => sample = Sample::Test,
            "uncertified" => sample = Sample::Uncertified,
            "subject.txt" => part = Part::Subject,
            "body.txt" => part = Part::Text,
            "body.html" => part = Part::Html,
            file => {
                let source = fs::read_to_string(file).map_err(|cause| {
                    format!(
                        "{file}: not a mail, a sample or a part, and not a readable file: {cause}"
                    )
                })?;
                own = Some(source);
            }
        }
    }
    let mut sources = Sources::default();
    match part {
        Part::Subject => sources.subject = own,
        Part::Text => sources.text = own,
        Part::Html => sources.html = own,
    }
    let rendered = Templates::new(BTreeMap::from([(form, sources)]))?.preview(form, sample)?;
    let text = match part {
        Part::Subject => rendered.subject,
        Part::Text => rendered.text,
        Part::Html => rendered.html,
    };
    println!("{text}");
    Ok(())
}
