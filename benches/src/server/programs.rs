//! The servers that are measured: ours, and the peers that are there.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tsdb_workload::Mixed;

use super::Result;
use super::client::Client;
use crate::process::{Resident, cpu_seconds_of, resident_of};
use crate::report::Options;

/// The environment variable that names the binary; `cargo xtask bench` sets it.
const TSDB: &str = "TSDB_BIN";
/// Longest wait for a server to be ready.
const READY_MAX: Duration = Duration::from_secs(120);

/// A server that can be started.
#[derive(Clone)]
pub(super) struct Program {
    kind: Kind,
    path: PathBuf,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Tsdb,
    Prometheus,
    VictoriaMetrics,
}

/// A server in a process of its own. Dropped, it is killed.
pub(super) struct Running {
    child: Child,
    kind: Kind,
    /// `http://address:port`.
    pub(super) url: String,
    /// Seconds from its start until it was ready.
    pub(super) ready_s: f64,
}

impl Program {
    /// Our binary.
    pub(super) fn tsdb() -> Result<Self> {
        let path = std::env::var_os(TSDB).ok_or_else(|| {
            format!("{TSDB} names no binary (`cargo xtask bench server` builds and names it)")
        })?;
        Ok(Self { kind: Kind::Tsdb, path: path.into() })
    }

    /// The peers that were given.
    pub(super) fn peers(options: &Options) -> Vec<Self> {
        let peer = |kind: Kind| Some(Self { kind, path: options.peer(kind.name())?.into() });
        [Kind::Prometheus, Kind::VictoriaMetrics].into_iter().filter_map(peer).collect()
    }

    pub(super) fn name(&self) -> &'static str {
        self.kind.name()
    }

    /// Moves everything in the directory of our server, which is stopped, to Parquet.
    pub(super) fn flush(&self, dir: &Path) -> Result<()> {
        let status =
            Command::new(&self.path).args(["flush", "--data-dir"]).arg(dir).stdout(Stdio::null()).status()?;
        if status.success() { Ok(()) } else { Err(format!("tsdb flush ended with {status}").into()) }
    }

    /// Starts it over a directory, and waits until it is ready.
    pub(super) fn start(&self, dir: &Path) -> Result<Running> {
        let (mut command, address) = self.command(dir)?;
        let begun = Instant::now();
        let mut child = command.stdin(Stdio::null()).stderr(File::create(dir.join("stderr"))?).spawn()?;
        let url = match address {
            Some(address) => format!("http://{address}"),
            None => said_address(&mut child)?,
        };
        let mut running = Running { child, kind: self.kind, url, ready_s: 0.0 };
        let ready = format!("{}{}", running.url, self.kind.ready_path());
        let client = Client::new();
        while !client.is_there(&ready) {
            if running.child.try_wait()?.is_some() || begun.elapsed() > READY_MAX {
                let said = std::fs::read_to_string(dir.join("stderr")).unwrap_or_default();
                return Err(format!("{} does not become ready: {said}", self.name()).into());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        running.ready_s = begun.elapsed().as_secs_f64();
        Ok(running)
    }

    /// The command, and the address that it will listen on, where it does not choose one by itself.
    fn command(&self, dir: &Path) -> Result<(Command, Option<String>)> {
        let mut command = Command::new(&self.path);
        if self.kind == Kind::Tsdb {
            command.args(["serve", "--listen", "127.0.0.1:0", "--data-dir"]).arg(dir).stdout(Stdio::piped());
            return Ok((command, None));
        }
        // A port that is free now.
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        let data = dir.join("data");
        command.stdout(Stdio::null());
        if self.kind == Kind::Prometheus {
            let config = dir.join("prometheus.yml");
            std::fs::write(&config, "global: {}\n")?;
            command
                .arg(format!("--config.file={}", config.display()))
                .arg(format!("--storage.tsdb.path={}", data.display()))
                .arg(format!("--web.listen-address={address}"))
                .args([
                    "--web.enable-remote-write-receiver",
                    "--storage.tsdb.retention.time=100y",
                    "--log.level=warn",
                ]);
        } else {
            command
                .arg(format!("-storageDataPath={}", data.display()))
                .arg(format!("-httpListenAddr={address}"))
                .args(["-retentionPeriod=100y", "-loggerLevel=WARN"]);
        }
        Ok((command, Some(address)))
    }
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Tsdb => "tsdb",
            Self::Prometheus => "prometheus",
            Self::VictoriaMetrics => "victoria-metrics",
        }
    }

    fn ready_path(self) -> &'static str {
        if self == Self::VictoriaMetrics { "/health" } else { "/-/ready" }
    }
}

/// The address that our server says it listens on.
fn said_address(child: &mut Child) -> Result<String> {
    let mut line = String::new();
    let stdout = child.stdout.take().ok_or("invariant: its output is piped")?;
    BufReader::new(stdout).read_line(&mut line)?;
    let url = line.trim().rsplit(' ').next().filter(|url| url.starts_with("http://"));
    Ok(url.ok_or_else(|| format!("tsdb serve says `{line}`"))?.to_owned())
}

impl Running {
    /// Where it takes remote writes.
    pub(super) fn write_url(&self) -> String {
        let path = "/api/v1/write";
        format!("{}{path}", self.url)
    }

    /// Where it answers remote reads.
    pub(super) fn read_url(&self) -> String {
        format!("{}/api/v1/read", self.url)
    }

    pub(super) fn reads_remotely(&self) -> bool {
        self.kind != Kind::VictoriaMetrics
    }

    /// How it is asked for all samples of a selector, as JSON.
    pub(super) fn samples_query(&self, selector: &str) -> (String, Vec<(&'static str, String)>) {
        if self.kind == Kind::Prometheus {
            // Raw samples come by an instant query for a range.
            let after_s = Mixed::default().start_ms / 1000 + 3_900;
            let parameters = vec![("query", format!("{selector}[2h]")), ("time", after_s.to_string())];
            return (format!("{}/api/v1/query", self.url), parameters);
        }
        (format!("{}/api/v1/export", self.url), vec![("match[]", selector.to_owned())])
    }

    /// Has what was written shown to queries.
    pub(super) fn settle(&self) -> Result<()> {
        if self.kind == Kind::VictoriaMetrics {
            Client::new().get(&format!("{}/internal/force_flush", self.url), &[])?;
        }
        Ok(())
    }

    /// CPU seconds so far.
    pub(super) fn cpu_s(&self) -> Result<f64> {
        Ok(cpu_seconds_of(self.child.id()).ok_or("no /proc tells the CPU time of a process")?)
    }

    pub(super) fn resident(&self) -> Result<Resident> {
        Ok(resident_of(self.child.id()).ok_or("no /proc tells the memory of a process")?)
    }

    /// Asks it to stop, and waits.
    pub(super) fn stop(mut self) -> Result<()> {
        kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        let status = self.child.wait()?;
        if status.success() {
            Ok(())
        } else {
            Err(format!("{} ended with {status}", self.kind.name()).into())
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _has_ended_already = self.child.kill();
        let _is_waited_for_already = self.child.wait();
    }
}
