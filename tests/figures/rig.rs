//! What is measured: a broker with the input topic, a folder, and the commands that run on them.
//!
//! **Invariant:** whatever was started ends with its value.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::metrics::Metrics;
use crate::support::client::create_topic;
use crate::support::kafka::Broker;
use crate::{MEMBERSHIP, PARTITIONS, SEGMENTS, TOPIC, TRANSITIONS};

/// A broker with a topic, and a folder for the rest.
pub struct Rig {
    pub broker: Broker,
    pub folder: TempDir,
    /// Of a replica and of a service.
    ports: [u16; 2],
    /// What the service may use for state.
    memory: &'static str,
}

impl Rig {
    pub fn new() -> Rig {
        Rig::with_memory("1GiB")
    }

    pub fn with_memory(memory: &'static str) -> Rig {
        let broker = Broker::start();
        create_topic(broker.bootstrap(), TOPIC, PARTITIONS);
        let rig = Rig { broker, folder: TempDir::new().unwrap(), ports: [free_port(), free_port()], memory };
        std::fs::copy(SEGMENTS, rig.segments()).unwrap();
        rig.configure("");
        rig
    }

    /// Whatever is started from now on belongs to the deployment with this suffix.
    pub fn configure(&self, suffix: &str) {
        let (bootstrap, state, segments) = (self.broker.bootstrap(), self.folder.path().join(format!("state{suffix}")), self.segments());
        let ([serve, http], memory, state, segments) = (self.ports, self.memory, state.display(), segments.display());
        let config = format!(
            "deployment: segmentd{suffix}
kafka: {{bootstrap: '{bootstrap}'}}
output: {{transitions: {TRANSITIONS}{suffix}, entries: entries{suffix}, membership: {MEMBERSHIP}{suffix}, dead_letters: dead{suffix}}}
state: {{dir: '{state}', memory: {memory}, changelog: changelog{suffix}, repartition: repartition{suffix}, ranks: ranks{suffix}}}
serve: {{listen: '127.0.0.1:{serve}'}}
http: {{listen: '127.0.0.1:{http}'}}
clock: {{follow_wall: false}}
segments: [{segments}]
watch: 0s
"
        );
        std::fs::write(self.config(), config).unwrap();
    }

    pub fn config(&self) -> PathBuf {
        self.folder.path().join("segmentd.yaml")
    }

    pub fn segments(&self) -> PathBuf {
        self.folder.path().join("segments.yaml")
    }

    /// Sends a file, and says how many records that were.
    pub fn load(&self, file: &Path, options: &[&str]) -> u64 {
        let mut command = segmentd(&["load", "--topic", TOPIC, "--config"]);
        let output = command.arg(self.config()).args(options).arg(file).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{said}");
        said.split(' ').next().unwrap().parse().unwrap()
    }

    /// Sends a file until it is dropped.
    pub fn loading(&self, file: &Path, options: &[&str]) -> Loading {
        let mut command = segmentd(&["load", "--topic", TOPIC, "--config"]);
        let command = command.arg(self.config()).args(options).arg(file).stdout(Stdio::null()).stderr(Stdio::null());
        Loading(command.spawn().unwrap())
    }

    pub fn service(&self) -> Service {
        self.start("run", self.ports[1])
    }

    pub fn replica(&self) -> Service {
        self.start("serve", self.ports[0])
    }

    fn start(&self, command: &str, port: u16) -> Service {
        let log = std::fs::File::create(self.folder.path().join(command)).unwrap();
        let process = segmentd(&[command, "--config"]).arg(self.config()).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        Service { process, http: SocketAddr::from(([127, 0, 0, 1], port)) }
    }
}

pub struct Loading(Child);

impl Drop for Loading {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub struct Service {
    pub process: Child,
    pub http: SocketAddr,
}

impl Service {
    /// The body that a path answers, if it answers with 200.
    pub fn get(&self, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(self.http).ok()?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").ok()?;
        let mut response = String::new();
        stream.read_to_string(&mut response).ok()?;
        response.starts_with("HTTP/1.1 200").then(|| response.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()))?
    }

    pub fn metrics(&self) -> Metrics {
        Metrics(self.get("/metrics").expect("metrics"))
    }

    pub fn await_ready(&self) {
        self.await_that("ready", || self.get("/readyz").is_some());
    }

    /// Waits until so many records are read, and says when that was and how many they were by then.
    pub fn await_consumed(&self, wanted: u64) -> (Instant, u64) {
        let mut consumed = 0;
        self.await_that("consumed", || {
            consumed = self.get("/metrics").map_or(0, |text| Metrics(text).sum("segmentd_events_consumed_total") as u64);
            consumed >= wanted
        });
        (Instant::now(), consumed)
    }

    pub fn await_that(&self, what: &str, mut done: impl FnMut() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(600);
        while !done() {
            assert!(Instant::now() < deadline, "not {what} within ten minutes");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub fn segmentd(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_segmentd"));
    command.args(arguments).current_dir(env!("CARGO_MANIFEST_DIR"));
    command
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
