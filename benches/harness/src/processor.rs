//! A process's use of the processor and of memory, from `/proc`.

use std::{fs, io, time::Duration};

/// The processor time of all living threads of a process, user and system.
///
/// `/proc/PID/stat` counts in steps of 10 ms; this counts in nanoseconds.
pub(crate) fn time(pid: u32) -> io::Result<Duration> {
    let mut nanoseconds = 0;
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        // A thread may end meanwhile.
        let text = fs::read_to_string(thread?.path().join("schedstat")).unwrap_or_default();
        let on_processor = text.split(' ').next().and_then(|first| first.parse().ok());
        nanoseconds += on_processor.unwrap_or(0_u64);
    }
    Ok(Duration::from_nanos(nanoseconds))
}

/// The most memory that a process has had, in KiB.
pub(crate) fn peak_memory_kib(pid: u32) -> io::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = peak.and_then(|peak| peak.split_whitespace().next()?.parse().ok());
    Ok(number.unwrap_or(0))
}
