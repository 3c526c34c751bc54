//! A display of its own for one app: a real X server without a screen.

use anyhow::{Context, Result, ensure};
use shunt_kit::process::Process;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

/// A running X server; apps on it end with it.
pub(crate) struct Screen {
    _server: Process,
    display: String,
}

impl Screen {
    /// As large as a phone's. The server draws a display number that is free, and listens on no network.
    pub(crate) fn start(log: &Path) -> Result<Self> {
        let mut command = Command::new("Xvfb");
        command.args(["-displayfd", "1", "-screen", "0", "370x586x24", "-nolisten", "tcp", "-noreset"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(File::create(log)?);
        let mut server = Process::start_as_is("Xvfb", command, Some(log.to_owned()))?;
        let mut number = String::new();
        BufReader::new(server.child().stdout.take().context("its output")?).read_line(&mut number)?;
        ensure!(!number.trim().is_empty(), "Xvfb did not start: {}", server.log_tail());
        Ok(Self { _server: server, display: format!(":{}", number.trim()) })
    }

    /// For an app's environment.
    pub(crate) fn display(&self) -> &str {
        &self.display
    }

    /// Types into the window that has the focus, as a keyboard does.
    pub(crate) fn write(&self, text: &str) -> Result<()> {
        self.tool("xdotool", &["type", "--delay", "15", text])
    }

    /// Clicks at a place.
    pub(crate) fn click(&self, x: u32, y: u32) -> Result<()> {
        self.tool("xdotool", &["mousemove", "--sync", &x.to_string(), &y.to_string(), "click", "1"])
    }

    /// Everything that the screen shows, as PNG.
    pub(crate) fn shoot(&self, file: &Path) -> Result<()> {
        self.tool("import", &["-window", "root", &file.display().to_string()])
    }

    fn tool(&self, program: &str, arguments: &[&str]) -> Result<()> {
        let status = Command::new(program).args(arguments).env("DISPLAY", &self.display).status();
        ensure!(status.with_context(|| format!("{program} is needed"))?.success(), "{program} {arguments:?}");
        Ok(())
    }
}
