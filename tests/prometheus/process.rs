//! Processes that end with the test, and what they say.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::http;

/// Longest wait for anything: only a test that fails takes that long.
const PATIENCE: Duration = Duration::from_secs(120);

/// The programs that the environment names.
pub(crate) struct Programs {
    pub(crate) tsdb: PathBuf,
    pub(crate) prometheus: PathBuf,
    pub(crate) promtool: PathBuf,
}

impl Programs {
    /// `None`, and a sentence on standard error, where one is not named.
    pub(crate) fn find() -> Option<Self> {
        let named = |name: &str| {
            let path = std::env::var_os(name).map(PathBuf::from);
            if path.is_none() {
                eprintln!(
                    "skipped: {name} names no program (`cargo xtask prometheus` fetches and names them)"
                );
            }
            path
        };
        Some(Self {
            tsdb: named("TSDB_BIN")?,
            prometheus: named("TSDB_PROMETHEUS")?,
            promtool: named("TSDB_PROMTOOL")?,
        })
    }
}

/// A server in a process of its own. Dropped, it is killed.
pub(crate) struct Running {
    child: Child,
    /// `http://address:port`.
    pub(crate) url: String,
    /// Where it says what it has to say.
    log: PathBuf,
}

impl Running {
    /// `tsdb serve` over a data directory.
    pub(crate) fn tsdb(program: &Path, data_dir: &Path) -> Self {
        let log = data_dir.with_extension("log");
        let mut child = Command::new(program)
            .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(data_dir)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.trim().rsplit(' ').next().unwrap_or_default().to_owned();
        let running = Self { child, url, log };
        assert!(running.url.starts_with("http://"), "it says `{line}`; {}", running.said());
        running
    }

    /// Prometheus with a configuration, a storage of its own, and more arguments.
    pub(crate) fn prometheus(program: &Path, dir: &Path, config: impl Fn(&str) -> String) -> Self {
        fs::create_dir_all(dir).unwrap();
        // It cannot take any port that is free, so one is looked for; it may be taken in between.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let (file, log) = (dir.join("prometheus.yml"), dir.join("log"));
        fs::write(&file, config(&address)).unwrap();
        let child = Command::new(program)
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", dir.join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .args(["--web.enable-lifecycle", "--log.level=warn"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let mut running = Self { child, url: format!("http://{address}"), log };
        running.wait_for("readiness", |running| http::get(&format!("{}/-/ready", running.url)).ok());
        running
    }

    /// Asks again and again until there is an answer.
    pub(crate) fn wait_for<T>(&mut self, what: &str, ask: impl Fn(&Self) -> Option<T>) -> T {
        let begun = Instant::now();
        loop {
            if let Some(answer) = ask(self) {
                return answer;
            }
            let ended = self.child.try_wait().unwrap();
            let is_over = ended.is_some() || begun.elapsed() > PATIENCE;
            assert!(!is_over, "no {what} of {} ({ended:?}): {}", self.url, self.said());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Asks it to stop, and sees that it ends well.
    pub(crate) fn stop(mut self) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::TERM).unwrap();
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{} ended with {status}: {}", self.url, self.said());
    }

    fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _has_ended_already = self.child.kill();
        let _is_waited_for_already = self.child.wait();
    }
}

/// Runs a command to its end and gives its standard output.
pub(crate) fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?} ended with {}: {stdout}{stderr}", output.status);
    stdout.into_owned()
}
