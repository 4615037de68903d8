//! The templates of each kind of mail, three a kind, proven at start.
//!
//! Built-in ones are compiled in; a merchant may replace any of them without a rebuild. What a template may use
//! is [`View`] and the filters `wrap`, `row` and `entry`, which lay out plain text in 72 columns:
//!
//! ```text
//! {{ text|wrap(2) }}                wrapped, each line indented by 2
//! {{ label|row(amount.text, 2) }}   a label at the left, an amount at the right edge
//! {{ label|entry(value) }}          a label, its value from column 16 on
//! ```
//!
//! A block tag alone on its line leaves no line behind (`trim_blocks`, `lstrip_blocks`).
//!
//! What the built-in ones have in common is in `layout.html`, `layout.txt`, `details.html` and `details.txt`. A
//! merchant's own may extend and include them too, but they are no contract: they change with the built-in mails.

use crate::{
    sample::Sample,
    text,
    view::{TEST_MARKER, View},
};
use domain::receipt::ReceiptKind;
use minijinja::{
    Environment, Error, ErrorKind, State, UndefinedBehavior, escape_formatter,
    syntax::SyntaxConfig,
    value::{Serde, ValueKind},
};
use std::{borrow::Cow, collections::BTreeMap, fmt};

/// How many instructions a rendering may take. The built-in HTML takes about 150 for each line of an order; at
/// some millions the engine is still well below a second.
const FUEL: u64 = 5_000_000;

/// The longest subject.
const MAX_SUBJECT: usize = 200;

/// What the built-in templates have in common.
const SHARED: [(&str, &str); 4] = [
    ("layout.txt", include_str!("../templates/layout.txt")),
    ("layout.html", include_str!("../templates/layout.html")),
    ("details.txt", include_str!("../templates/details.txt")),
    ("details.html", include_str!("../templates/details.html")),
];

/// Which mail three templates are for: there is one for each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Form {
    /// The receipt for an order.
    Receipt,
    /// The receipt for a renewal.
    Renewal,
    /// The receipt for a refund.
    Refund,
    /// The notice that a payment failed.
    PaymentFailed,
    /// The notice that a trial ends.
    TrialEnds,
}

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

/// The merchant's own templates of one mail; `None` for the built-in one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sources {
    /// One line; line breaks become spaces.
    pub subject: Option<String>,
    /// Plain text: nothing is escaped.
    pub text: Option<String>,
    /// HTML: every value is escaped.
    pub html: Option<String>,
}

/// What is wrong with a template, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Of which mail.
    pub form: Form,
    /// Which one.
    pub part: Part,
    /// In which line, where it has one.
    pub line: Option<usize>,
    /// What is wrong there.
    pub problem: String,
}

/// Every template that is wrong, the first fault of each.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct BadTemplates(pub Vec<Fault>);

/// A mail's three texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// One line.
    pub subject: String,
    /// Plain text.
    pub text: String,
    /// HTML.
    pub html: String,
}

/// The templates of all mails.
///
/// Invariant: [`Templates::new`] is the only way to make them, so each renders every [`Sample`] of its mail.
#[derive(Debug)]
pub struct Templates {
    engine: Environment<'static>,
}

impl Templates {
    /// The built-in templates.
    pub fn built_in() -> Result<Self, BadTemplates> {
        Self::new(BTreeMap::new())
    }

    /// Takes the merchant's templates, and the built-in one for each that is missing.
    ///
    /// Each is tried on samples that between them have and lack everything a mail can have and lack, so that a
    /// wrong template stops the start and not the thousandth receipt.
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

    /// Renders an invented mail: for looking at a template, and for proving it at start.
    pub fn preview(&self, form: Form, sample: Sample) -> Result<Rendered, Fault> {
        self.render(form, &sample.view(form))
    }

    pub(super) fn render(&self, form: Form, view: &View) -> Result<Rendered, Fault> {
        let part = |part| {
            self.render_part(form, part, view)
                .map_err(|error| Fault::without_detail(form, part, &error))
        };
        Ok(Rendered {
            subject: text::clean(&part(Part::Subject)?, MAX_SUBJECT),
            text: part(Part::Text)?,
            html: part(Part::Html)?,
        })
    }

    fn add(&mut self, form: Form, part: Part, source: Option<String>) -> Result<(), Fault> {
        let source = source.map_or(Cow::Borrowed(form.built_in(part)), Cow::Owned);
        let wrong = |error| Fault::with_detail(form, part, &error);
        self.engine
            .add_template_owned(path(form, part), source)
            .map_err(wrong)?;
        for sample in Sample::ALL {
            let view = sample.view(form);
            let rendered = self.render_part(form, part, &view).map_err(wrong)?;
            if text::clean(&rendered, usize::MAX).is_empty() {
                return Err(Fault::whole(form, part, "nothing is printed".to_owned()));
            }
            if view.test.is_some() && !rendered.contains(TEST_MARKER) {
                let problem = format!(
                    "{TEST_MARKER:?} is missing from a test-mode receipt: print test.marker"
                );
                return Err(Fault::whole(form, part, problem));
            }
        }
        Ok(())
    }

    fn render_part(&self, form: Form, part: Part, view: &View) -> Result<String, Error> {
        self.engine
            .get_template(&path(form, part))?
            .render(Serde(view))
    }
}

/// Where a template lies in the merchant's folder; the engine and faults call it that too.
fn path(form: Form, part: Part) -> String {
    match form.folder() {
        "" => part.name().to_owned(),
        folder => format!("{folder}/{}", part.name()),
    }
}

fn engine() -> Environment<'static> {
    // HTML is escaped and text is not, by the ending of the template's name: the engine's default.
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
    engine.set_formatter(|out, state: &mut State, value| match value.kind() {
        // What an absent value or a whole object prints helps no customer; at start it is a fault like another.
        ValueKind::None | ValueKind::Map | ValueKind::Seq => Err(Error::new(
            ErrorKind::InvalidOperation,
            format!("a value of kind {} cannot be printed", value.kind()),
        )),
        _ => escape_formatter(out, state, value),
    });
    for (name, source) in SHARED {
        // One that does not parse fails where it is used, at start: `add` proves whatever uses it.
        let _ = engine.add_template(name, source);
    }
    engine
}

impl Form {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Receipt,
        Self::Renewal,
        Self::Refund,
        Self::PaymentFailed,
        Self::TrialEnds,
    ];

    /// The one for this kind.
    #[must_use]
    pub fn of(kind: &ReceiptKind) -> Self {
        match kind {
            ReceiptKind::Order => Self::Receipt,
            ReceiptKind::Invoice { .. } => Self::Renewal,
            ReceiptKind::Refund { .. } => Self::Refund,
            ReceiptKind::PaymentFailed { .. } => Self::PaymentFailed,
            ReceiptKind::TrialEnds { .. } => Self::TrialEnds,
        }
    }

    /// Its name, and that of the folder of its built-in templates.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Receipt => "receipt",
            Self::Renewal => "renewal",
            Self::Refund => "refund",
            Self::PaymentFailed => "payment-failed",
            Self::TrialEnds => "trial-ends",
        }
    }

    /// The subfolder of the merchant's own templates of it. The order's receipt was there first and lies at the top.
    #[must_use]
    pub fn folder(self) -> &'static str {
        match self {
            Self::Receipt => "",
            form => form.name(),
        }
    }

    fn built_in(self, part: Part) -> &'static str {
        macro_rules! of {
            ($folder:literal) => {
                match part {
                    Part::Subject => {
                        include_str!(concat!("../templates/", $folder, "/subject.txt"))
                    }
                    Part::Text => {
                        include_str!(concat!("../templates/", $folder, "/body.txt"))
                    }
                    Part::Html => {
                        include_str!(concat!("../templates/", $folder, "/body.html"))
                    }
                }
            };
        }
        match self {
            Self::Receipt => of!("receipt"),
            Self::Renewal => of!("renewal"),
            Self::Refund => of!("refund"),
            Self::PaymentFailed => of!("payment-failed"),
            Self::TrialEnds => of!("trial-ends"),
        }
    }
}

impl Part {
    /// The template's name, as faults and the built-in files have it.
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
    fn whole(form: Form, part: Part, problem: String) -> Self {
        Self {
            form,
            part,
            line: None,
            problem,
        }
    }

    /// For samples, which hold no personal data.
    fn with_detail(form: Form, part: Part, error: &Error) -> Self {
        let detail = error
            .detail()
            .map(|detail| format!(": {detail}"))
            .unwrap_or_default();
        Self {
            form,
            part,
            line: error.line(),
            problem: format!("{}{detail}", error.kind()),
        }
    }

    /// For customers' orders: the engine's details can quote a value, and faults are logged.
    fn without_detail(form: Form, part: Part, error: &Error) -> Self {
        Self {
            form,
            part,
            line: error.line(),
            problem: error.kind().to_string(),
        }
    }
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
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
        for (index, fault) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "; " };
            write!(f, "{comma}{fault}")?;
        }
        Ok(())
    }
}
