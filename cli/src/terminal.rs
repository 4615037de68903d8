//! The terminal: questions, messages and progress. Answers come from the terminal, never from stdin, which may hold ids.

use std::{
    fmt,
    io::IsTerminal,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// The person in front of a command.
pub trait Terminal: fmt::Debug + Send + Sync {
    /// True if a person can answer.
    fn is_interactive(&self) -> bool;
    /// The columns of the output.
    fn width(&self) -> usize;
    /// The answer to a question; `None` if there is none.
    fn ask(&self, question: &str) -> Option<String>;
    /// The answer to a question, typed without echo.
    fn ask_hidden(&self, question: &str) -> Option<String>;
    /// The whole standard input; empty if that is a terminal.
    fn input(&self) -> String;
    /// A value that is typed without echo, or comes by stdin, without the spaces around it.
    fn typed(&self, question: &str) -> String {
        let typed = self.ask_hidden(question).unwrap_or_else(|| self.input());
        typed.trim().to_owned()
    }
    /// True if a person says yes.
    fn agrees(&self, question: &str) -> bool {
        let answer = self.ask(question).unwrap_or_default();
        matches!(&*answer.to_lowercase(), "y" | "yes")
    }
    /// A message beside the data.
    fn say(&self, message: &str);
    /// Progress: replaced by the next one, erased at the end. `None` ends it.
    fn progress(&self, message: Option<&str>);
    /// True once Ctrl-C was pressed. Work stops after the current item.
    fn is_interrupted(&self) -> bool;
}

/// The flag that Ctrl-C sets.
#[derive(Debug, Clone, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// True once Ctrl-C was pressed.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Sets the flag. The second time, the process ends at once: `true`.
    #[must_use]
    pub fn set(&self) -> bool {
        self.0.swap(true, Ordering::Relaxed)
    }
}

/// The terminal of this process.
pub struct Console {
    term: dialoguer::console::Term,
    bar: indicatif::ProgressBar,
    interrupt: Interrupt,
    quiet: bool,
}

impl fmt::Debug for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Console")
    }
}

/// The columns of an output that is not a terminal.
const PIPE_WIDTH: usize = 100;

impl Console {
    /// The terminal on stderr. `quiet` hides progress.
    #[must_use]
    pub fn new(interrupt: Interrupt, quiet: bool) -> Self {
        let bar = indicatif::ProgressBar::new_spinner();
        bar.set_draw_target(indicatif::ProgressDrawTarget::stderr());
        Self {
            term: dialoguer::console::Term::stderr(),
            bar,
            interrupt,
            quiet,
        }
    }
}

impl Terminal for Console {
    fn is_interactive(&self) -> bool {
        self.term.is_term() && std::fs::File::open("/dev/tty").is_ok()
    }

    fn width(&self) -> usize {
        let out = dialoguer::console::Term::stdout();
        if out.is_term() {
            usize::from(out.size().1).clamp(40, 160)
        } else {
            PIPE_WIDTH
        }
    }

    fn ask(&self, question: &str) -> Option<String> {
        if !self.is_interactive() {
            return None;
        }
        eprint!("{question} ");
        let tty = std::fs::File::open("/dev/tty").ok()?;
        let mut line = String::new();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(tty), &mut line).ok()?;
        Some(line.trim().to_owned())
    }

    fn ask_hidden(&self, question: &str) -> Option<String> {
        if !self.is_interactive() {
            return None;
        }
        // The prompt adds a colon.
        let prompt = dialoguer::Password::new().with_prompt(question.trim_end_matches(':'));
        prompt.interact_on(&self.term).ok()
    }

    fn input(&self) -> String {
        let stdin = std::io::stdin();
        // A read must never wait for a person who was not asked.
        if stdin.is_terminal() {
            return String::new();
        }
        std::io::read_to_string(stdin).unwrap_or_default()
    }

    fn say(&self, message: &str) {
        anstream::eprintln!("{message}");
    }

    fn progress(&self, message: Option<&str>) {
        match message {
            Some(message) if !self.quiet => {
                self.bar.set_message(message.to_owned());
                self.bar.tick();
            }
            _ => self.bar.finish_and_clear(),
        }
    }

    fn is_interrupted(&self) -> bool {
        self.interrupt.is_set()
    }
}
