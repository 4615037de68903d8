//! The processes of this stack and of no other: the emulator, the functions that it runs, the stand-in. Stops them and
//! starts them again.

use serde::Deserialize;
use std::{
    collections::BTreeMap,
    env, fs,
    io::{self, Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// How often a process is looked at that should come or go.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How long a process may take to come or go.
const PATIENCE: Duration = Duration::from_secs(30);

/// The processes of the stack file.
#[derive(Debug, Deserialize)]
pub(crate) struct StackFile {
    processes: BTreeMap<String, Started>,
    functions: BTreeMap<String, String>,
    /// The address of the proxy between the functions and AWS, if the stack has one.
    pub(crate) fault_proxy_url: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Started {
    pid: u32,
}

/// A function's process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Function {
    pub(crate) pid: u32,
    /// As the template names it: `intake`, `fulfillment`, `receipts`, `sweep`.
    pub(crate) name: String,
}

/// A signal for `kill`.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Signal {
    Kill,
    Terminate,
    Stop,
    Continue,
}

/// A process of the stack that we can start again: as it was started, under another id.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) pid: u32,
    command: Vec<String>,
    environment: Vec<(String, String)>,
    log: PathBuf,
    /// Ours, once it was started again.
    child: Option<Child>,
}

impl StackFile {
    pub(crate) fn of_the_stack() -> io::Result<(Self, PathBuf)> {
        let path = PathBuf::from(env::var_os("STACK_FILE").unwrap_or_default());
        Ok((serde_json::from_str(&fs::read_to_string(&path)?)?, path))
    }

    /// A process of the stack, with the log that `stack.py` gave it.
    pub(crate) fn service(&self, name: &str, file: &Path) -> io::Result<Service> {
        let missing = || {
            io::Error::new(
                io::ErrorKind::NotFound,
                format!("the stack has no process {name}"),
            )
        };
        let pid = self.processes.get(name).ok_or_else(missing)?.pid;
        let logs = file.parent().ok_or_else(missing)?.join("logs");
        let environment = strings(&fs::read(format!("/proc/{pid}/environ"))?);
        let pair = |entry: String| {
            entry
                .split_once('=')
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
        };
        Ok(Service {
            pid,
            command: strings(&fs::read(format!("/proc/{pid}/cmdline"))?),
            environment: environment.into_iter().filter_map(pair).collect(),
            log: logs.join(format!("{name}.log")),
            child: None,
        })
    }

    /// The template's name of a deployed function.
    pub(crate) fn named(&self, deployed: &str) -> Option<&str> {
        let mut functions = self.functions.iter();
        functions
            .find(|(_, known)| *known == deployed)
            .map(|(name, _)| name.as_str())
    }

    /// The functions that an emulator runs at this moment.
    pub(crate) fn functions(&self, emulator: u32) -> Vec<Function> {
        let Ok(all) = fs::read_dir("/proc") else {
            return Vec::new();
        };
        let pids = all
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        pids.filter_map(|pid| self.function(pid, emulator))
            .collect()
    }

    fn function(&self, pid: u32, emulator: u32) -> Option<Function> {
        let (state, parent) = state_and_parent(pid)?;
        if parent != emulator || state == 'Z' {
            return None;
        }
        let command = strings(&fs::read(format!("/proc/{pid}/cmdline")).ok()?);
        if !command.first()?.ends_with("/bootstrap") {
            return None;
        }
        let environment = strings(&fs::read(format!("/proc/{pid}/environ")).ok()?);
        let deployed = environment
            .iter()
            .find_map(|entry| entry.strip_prefix("AWS_LAMBDA_FUNCTION_NAME="))?;
        Some(Function {
            pid,
            name: self.named(deployed)?.to_owned(),
        })
    }
}

/// The entries of a file of `/proc`, each ended by a zero byte.
fn strings(bytes: &[u8]) -> Vec<String> {
    let entries = bytes
        .split(|byte| *byte == 0)
        .filter(|entry| !entry.is_empty());
    entries
        .map(|entry| String::from_utf8_lossy(entry).into_owned())
        .collect()
}

fn state_and_parent(pid: u32) -> Option<(char, u32)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may itself hold spaces and parentheses.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

fn runs(pid: u32) -> bool {
    state_and_parent(pid).is_some_and(|(state, _)| state != 'Z')
}

/// Sends a signal. One that is gone already is none the worse for it.
pub(crate) fn signal(pid: u32, signal: Signal) -> io::Result<()> {
    let name = match signal {
        Signal::Kill => "-KILL",
        Signal::Terminate => "-TERM",
        Signal::Stop => "-STOP",
        Signal::Continue => "-CONT",
    };
    // A shell always has it; a program of that name is not on every machine.
    let command = format!("kill {name} {pid}");
    let sent = Command::new("sh")
        .arg("-c")
        .arg(command)
        .stderr(Stdio::null())
        .status();
    sent.map(drop)
}

/// Waits until something is so.
pub(crate) async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) -> io::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !is_so().await {
        if Instant::now() > deadline {
            return Err(io::Error::new(
                io::ErrorKind::TimedOut,
                format!("after {PATIENCE:?} still not so: {what}"),
            ));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(())
}

impl Service {
    /// Its output from that position on, and the new position.
    pub(crate) fn said_since(&self, before: u64) -> io::Result<(String, u64)> {
        let mut log = fs::File::open(&self.log)?;
        log.seek(SeekFrom::Start(before))?;
        let mut said = Vec::new();
        log.read_to_end(&mut said)?;
        // A line that is being written is for the next time.
        let whole = said
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |end| end + 1);
        said.truncate(whole);
        Ok((
            String::from_utf8_lossy(&said).into_owned(),
            before + u64::try_from(whole).unwrap_or_default(),
        ))
    }

    /// Changes an argument of its command: what follows `name`, added if it is not there.
    pub(crate) fn with(&mut self, name: &str, value: &str) {
        let place = self.command.iter().position(|argument| argument == name);
        match place.and_then(|place| self.command.get_mut(place + 1)) {
            Some(known) => value.clone_into(known),
            None => self.command.extend([name.to_owned(), value.to_owned()]),
        }
    }

    /// Stops it and waits for its end.
    pub(crate) async fn stop(&mut self, with: Signal) -> io::Result<()> {
        signal(self.pid, with)?;
        let pid = self.pid;
        let mut child = self.child.take();
        until(&format!("process {pid} has ended"), async || {
            // A child process is a zombie until its end is collected.
            child.as_mut().map_or_else(
                || !runs(pid),
                |child| child.try_wait().is_ok_and(|end| end.is_some()),
            )
        })
        .await
    }

    /// Starts it again as it was. It ends when we do, however we end.
    pub(crate) fn start(&mut self) -> io::Result<()> {
        let log = fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(&self.log)?;
        let child = Command::new("python3")
            .arg("local/tied.py")
            .args(&self.command)
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        self.pid = child.id();
        self.child = Some(child);
        Ok(())
    }
}
