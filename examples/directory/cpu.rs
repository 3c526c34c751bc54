//! What a process has used so far.

use anyhow::{Context, Result};
use std::time::Duration;

/// Processor time of all its threads, those that ended included.
pub(crate) fn time(process: u32) -> Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    // proc_pid_stat(5): fields 14 and 15, counted behind the name, in ticks of 10 ms on every architecture of ours.
    let (_, fields) = stat.rsplit_once(") ").context("no name")?;
    let ticks: u64 = fields.split(' ').skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    Ok(Duration::from_millis(ticks * 10))
}

/// Processor time of the calling thread.
pub(crate) fn own() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

/// Resident memory in MB: all of it, and what is no file's (code and SQLite's index of its log are).
pub(crate) fn resident(process: u32) -> Result<(f64, f64)> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).context("no such field")?;
        anyhow::Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? / 1000.0)
    };
    Ok((field("VmRSS:")?, field("RssAnon:")?))
}
