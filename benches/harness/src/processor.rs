//! A process's use of the processor and of memory, from `/proc`.

use std::{fs, io, time::Duration};

/// The use of the processor by a process since its start, in all living threads.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Used {
    /// User and system time. `/proc/PID/stat` counts in steps of 10 ms; this counts in nanoseconds.
    pub(crate) time: Duration,
    /// How often a thread has waited.
    pub(crate) waits: u64,
}

impl Used {
    /// The use by process `pid` until now.
    pub(crate) fn by(pid: u32) -> io::Result<Self> {
        let mut used = Self::default();
        for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
            let thread = thread?.path();
            // A thread may end meanwhile.
            let read = |name| fs::read_to_string(thread.join(name)).unwrap_or_default();
            let on_processor = read("schedstat");
            let on_processor = on_processor
                .split(' ')
                .next()
                .and_then(|it| it.parse().ok());
            used.time += Duration::from_nanos(on_processor.unwrap_or(0));
            used.waits += number(&read("status"), "voluntary_ctxt_switches:");
        }
        Ok(used)
    }

    /// The use since `before`.
    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            time: self.time.saturating_sub(before.time),
            waits: self.waits.saturating_sub(before.waits),
        }
    }
}

/// The most memory that a process has had, in KiB.
pub(crate) fn peak_memory_kib(pid: u32) -> io::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    Ok(number(&status, "VmHWM:"))
}

/// The number after this name.
fn number(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.unwrap_or(0)
}
