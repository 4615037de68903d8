//! The templates of each kind of mail, three for each kind, proven at start.
//!
//! The built-in templates are compiled in. A merchant may replace any of them without a rebuild. A
//! template may use [`View`] and the filters `wrap`, `row` and `entry`, which lay out plain text in
//! 72 columns:
//!
//! ```text
//! {{ text|wrap(2) }}                wrapped, each line indented by 2
//! {{ label|row(amount.text, 2) }}   a label at the left, an amount at the right edge
//! {{ label|entry(value) }}          a label, its value from column 16 on
//! ```
//!
//! A block tag alone on a line prints no line (`trim_blocks`, `lstrip_blocks`).
//!
//! The built-in templates share `layout.html`, `layout.txt`, `details.html` and `details.txt`. The
//! receipt of a renewal extends the built-in one of an order, `receipt.html` and `receipt.txt`. A
//! merchant's templates may extend and include them too, but they are no contract: they change with
//! the built-in mails.

use crate::{
    form::Form,
    sample::Sample,
    text,
    view::{TEST_MARKER, View},
};
use minijinja::{
    Environment, Error, ErrorKind, State, UndefinedBehavior, escape_formatter,
    syntax::SyntaxConfig,
    value::{Serde, Value, ValueKind},
};
use std::{borrow::Cow, collections::BTreeMap, fmt};

/// The most instructions for one rendering. The built-in HTML takes about 150 for each line of an
/// order. Even millions take the engine well below a second.
const FUEL: u64 = 5_000_000;

/// In characters.
const MAX_SUBJECT: usize = 200;

/// Files that the built-in templates share.
const SHARED: [(&str, &str); 6] = [
    ("layout.txt", include_str!("../templates/layout.txt")),
    ("layout.html", include_str!("../templates/layout.html")),
    ("details.txt", include_str!("../templates/details.txt")),
    ("details.html", include_str!("../templates/details.html")),
    ("receipt.txt", include_str!("../templates/receipt/body.txt")),
    (
        "receipt.html",
        include_str!("../templates/receipt/body.html"),
    ),
];

/// One of a mail's three templates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// `subject.txt`
    Subject,
    /// `body.txt`
    Text,
    /// `body.html`
    Html,
}

/// A merchant's templates of one mail; `None` selects the built-in template.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sources {
    /// One line; line breaks become spaces.
    pub subject: Option<String>,
    /// Plain text: nothing is escaped.
    pub text: Option<String>,
    /// HTML: every value is escaped.
    pub html: Option<String>,
}

/// The first problem of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub form: Form,
    pub part: Part,
    /// The line number, if the problem has one.
    pub line: Option<usize>,
    pub problem: String,
}

/// All invalid templates, with the first fault of each.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct BadTemplates(pub Vec<Fault>);

/// The three texts of a mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// One line.
    pub subject: String,
    pub text: String,
    pub html: String,
}

/// The templates of all mails.
///
/// Invariant: [`Templates::new`] is the only constructor, so each template renders every [`Sample`]
/// of its mail.
#[derive(Debug)]
pub struct Templates {
    engine: Environment<'static>,
}

impl Templates {
    /// The built-in templates.
    pub fn built_in() -> Result<Self, BadTemplates> {
        Self::new(BTreeMap::new())
    }

    /// Takes the merchant's templates, and the built-in template for each missing one.
    ///
    /// Renders each template on samples that together cover every field, present and absent. A
    /// wrong template therefore stops the start and not the thousandth receipt.
    pub fn new(mut own: BTreeMap<Form, Sources>) -> Result<Self, BadTemplates> {
        let mut templates = Self { engine: engine() };
        let mut faults = Vec::new();
        for form in Form::ALL {
            let sources = own.remove(&form).unwrap_or_default();
            for (part, source) in [
                (Part::Subject, sources.subject),
                (Part::Text, sources.text),
                (Part::Html, sources.html),
            ] {
                if let Err(fault) = templates.add(form, part, source) {
                    faults.push(fault);
                }
            }
        }
        if faults.is_empty() {
            Ok(templates)
        } else {
            Err(BadTemplates(faults))
        }
    }

    /// Renders a sample, to look at a template or to prove it at start.
    pub fn preview(&self, form: Form, sample: Sample) -> Result<Rendered, Fault> {
        self.render(form, &sample.view(form))
    }

    pub(super) fn render(&self, form: Form, view: &View) -> Result<Rendered, Fault> {
        let view = Value::from(Serde(view));
        let part = |part| {
            self.render_part(form, part, &view)
                .map_err(|error| Fault::without_detail(form, part, &error))
        };
        Ok(Rendered {
            subject: text::clean(&part(Part::Subject)?, MAX_SUBJECT),
            text: part(Part::Text)?,
            html: part(Part::Html)?,
        })
    }

    fn add(&mut self, form: Form, part: Part, source: Option<String>) -> Result<(), Fault> {
        let source = source.map_or(Cow::Borrowed(built_in(form, part)), Cow::Owned);
        let wrong = |error| Fault::with_detail(form, part, &error);
        self.engine
            .add_template_owned(path(form, part), source)
            .map_err(wrong)?;
        for sample in Sample::ALL {
            let view = sample.view(form);
            let value = Value::from(Serde(&view));
            let rendered = self.render_part(form, part, &value).map_err(wrong)?;
            if text::clean(&rendered, usize::MAX).is_empty() {
                return Err(Fault::new(form, part, None, "prints nothing".to_owned()));
            }
            if view.test.is_some() && !rendered.contains(TEST_MARKER) {
                let problem = format!("a test-mode mail lacks {TEST_MARKER:?}: print test.marker");
                return Err(Fault::new(form, part, None, problem));
            }
        }
        Ok(())
    }

    fn render_part(&self, form: Form, part: Part, view: &Value) -> Result<String, Error> {
        self.engine
            .get_template(&path(form, part))?
            .render(view.clone())
    }
}

/// The built-in template of a part.
fn built_in(form: Form, part: Part) -> &'static str {
    macro_rules! of {
        ($folder:literal) => {
            match part {
                Part::Subject => include_str!(concat!("../templates/", $folder, "/subject.txt")),
                Part::Text => include_str!(concat!("../templates/", $folder, "/body.txt")),
                Part::Html => include_str!(concat!("../templates/", $folder, "/body.html")),
            }
        };
    }
    match form {
        Form::Receipt => of!("receipt"),
        Form::Renewal => of!("renewal"),
        Form::Refund => of!("refund"),
        Form::RefundFailed => of!("refund-failed"),
        Form::PaymentFailed => of!("payment-failed"),
        Form::InvoicePaymentFailed => of!("invoice-payment-failed"),
        Form::Shipment => of!("shipment"),
        Form::TrialEnds => of!("trial-ends"),
    }
}

/// The path in the merchant's folder; the engine and faults use the same name.
fn path(form: Form, part: Part) -> String {
    match form.folder() {
        "" => part.name().to_owned(),
        folder => format!("{folder}/{}", part.name()),
    }
}

fn engine() -> Environment<'static> {
    // HTML is escaped and text is not, by the extension of the template's name: the engine's
    // default.
    let mut engine = Environment::new();
    engine.set_undefined_behavior(UndefinedBehavior::Strict);
    engine.set_fuel(Some(FUEL));
    engine.set_syntax(
        SyntaxConfig::builder()
            .trim_blocks(true)
            .lstrip_blocks(true)
            .build()
            .unwrap_or_default(),
    );
    add_filters(&mut engine);
    engine.set_formatter(|out, state: &mut State, value| match value.kind() {
        // An absent value or a whole object must not be printed for a customer; at start it is a
        // fault.
        ValueKind::None | ValueKind::Map | ValueKind::Seq => Err(Error::new(
            ErrorKind::InvalidOperation,
            format!("a value of kind {} cannot be printed", value.kind()),
        )),
        _ => escape_formatter(out, state, value),
    });
    for (name, source) in SHARED {
        // A shared file that does not parse fails at start: `add` renders every template that uses
        // it.
        let _ = engine.add_template(name, source);
    }
    engine
}

fn add_filters(engine: &mut Environment<'static>) {
    engine.add_filter("wrap", |text: String, indent: Option<usize>| {
        text::wrap(&text, indent.unwrap_or(0))
    });
    engine.add_filter(
        "row",
        |label: String, amount: String, indent: Option<usize>| {
            text::row(&label, &amount, indent.unwrap_or(0))
        },
    );
    engine.add_filter("entry", |label: String, value: String| {
        text::entry(&label, &value)
    });
}

impl Part {
    /// The template's file name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Subject => "subject.txt",
            Self::Text => "body.txt",
            Self::Html => "body.html",
        }
    }
}

impl Fault {
    fn new(form: Form, part: Part, line: Option<usize>, problem: String) -> Self {
        Self {
            form,
            part,
            line,
            problem,
        }
    }

    /// For samples, which hold no personal data.
    fn with_detail(form: Form, part: Part, error: &Error) -> Self {
        let detail = error.detail().map(|detail| format!(": {detail}"));
        let problem = format!("{}{}", error.kind(), detail.unwrap_or_default());
        Self::new(form, part, error.line(), problem)
    }

    /// For customers' orders: the engine's details can quote a value, and faults are logged.
    fn without_detail(form: Form, part: Part, error: &Error) -> Self {
        Self::new(form, part, error.line(), error.kind().to_string())
    }
}

impl std::error::Error for Fault {}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "template {}", path(self.form, self.part))?;
        if let Some(line) = self.line {
            write!(f, ", line {line}")?;
        }
        write!(f, ": {}", self.problem)
    }
}

impl fmt::Display for BadTemplates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let faults: Vec<_> = self.0.iter().map(Fault::to_string).collect();
        f.write_str(&faults.join("; "))
    }
}
