//! A real Apache Kafka for tests: one broker, KRaft, in a temporary folder, on free ports; killed and restarted at will.
//!
//! `SEGMENTD_TEST_KAFKA=host:port` uses a broker that runs already (tests that kill the broker are then refused).
//! Otherwise the jars come from Maven, once, into `target/kafka-libs`; that needs `java` and `mvn`.
//!
//! Missing Kafka is a failure, never a skip: a suite that is green without its subject proves nothing.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

pub struct Broker {
    bootstrap: String,
    own: Option<Own>,
}

/// A broker that we started.
struct Own {
    folder: TempDir,
    port: u16,
    process: Child,
    /// The process that elects leaders, where it is not the broker itself.
    controller: Option<Child>,
}

/// How long a controller of its own waits for a broker before it takes its partitions' leadership away.
const SESSION: Duration = Duration::from_secs(2);

impl Broker {
    /// Starts a broker and waits until it answers.
    pub fn start() -> Broker {
        if let Ok(bootstrap) = std::env::var("SEGMENTD_TEST_KAFKA") {
            return Broker { bootstrap, own: None };
        }
        let (folder, port, controller) = (TempDir::new().expect("a temporary folder"), free_port(), free_port());
        fs::write(folder.path().join("server.properties"), combined(folder.path(), port, controller)).expect("server.properties");
        format(folder.path(), "server.properties", &["--standalone"]);
        Broker::launched(folder, port, None)
    }

    /// The same, to be killed and restarted: the controller is a process of its own, as it is in production.
    ///
    /// A process that is both comes back with what it knew before it was killed. For a moment it sends the markers of a
    /// commit that was under way to partitions that then have no leader, takes them to be deleted, and has left the
    /// transaction open for ever (Kafka 4.3.1, `TransactionMarkerChannelManager`, "likely deleted already"; seen in two of
    /// eight kills). That would be a test of Kafka.
    pub fn start_mortal() -> Broker {
        assert!(std::env::var("SEGMENTD_TEST_KAFKA").is_err(), "a broker that is somebody else's must not be killed");
        let (folder, port, quorum) = (TempDir::new().expect("a temporary folder"), free_port(), free_port());
        fs::write(folder.path().join("controller.properties"), controller(folder.path(), quorum)).expect("controller.properties");
        fs::write(folder.path().join("server.properties"), broker(folder.path(), port, quorum)).expect("server.properties");
        format(folder.path(), "controller.properties", &["--standalone"]);
        format(folder.path(), "server.properties", &[]);
        let controller = java(folder.path(), &["kafka.Kafka", "controller.properties"]);
        Broker::launched(folder, port, Some(controller))
    }

    fn launched(folder: TempDir, port: u16, controller: Option<Child>) -> Broker {
        let process = launch(folder.path());
        let broker = Broker { bootstrap: format!("127.0.0.1:{port}"), own: Some(Own { folder, port, process, controller }) };
        broker.await_ready();
        broker
    }

    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        let own = self.own.as_mut().expect("a broker of our own");
        own.process.kill().expect("kill");
        own.process.wait().expect("wait");
    }

    /// Starts a killed broker on its data and its port, once the controller has noticed that it was gone.
    pub fn restart(&mut self) {
        let own = self.own.as_mut().expect("a broker of our own");
        assert!(own.controller.is_some(), "only a broker that was started mortal is restarted");
        std::thread::sleep(SESSION + Duration::from_secs(1));
        own.process = launch(own.folder.path());
        self.await_ready();
    }

    fn await_ready(&self) {
        let own = self.own.as_ref().expect("a broker of our own");
        let deadline = Instant::now() + Duration::from_secs(60);
        while TcpStream::connect(("127.0.0.1", own.port)).is_err() {
            let log = own.folder.path().join("log");
            assert!(Instant::now() < deadline, "the broker does not answer; its log: {}", fs::read_to_string(log).unwrap_or_default());
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Some(own) = &mut self.own {
            for process in [Some(&mut own.process), own.controller.as_mut()].into_iter().flatten() {
                let _ = process.kill();
                let _ = process.wait();
            }
        }
    }
}

fn format(folder: &Path, properties: &str, options: &[&str]) {
    let arguments = [&["kafka.tools.StorageTool", "format", "-t", "MkU3OEVBNTcwNTJENDM2Qg", "-c", properties], options].concat();
    let formatted = wait(java(folder, &arguments));
    assert!(formatted.success(), "formatting the broker's folder failed: see {}", folder.join("log").display());
}

fn launch(folder: &Path) -> Child {
    java(folder, &["kafka.Kafka", "server.properties"])
}

fn java(folder: &Path, arguments: &[&str]) -> Child {
    let log = fs::OpenOptions::new().create(true).append(true).open(folder.join("log")).expect("log");
    let mut command = Command::new("java");
    command.args(["-Xmx700m", "-XX:+UseSerialGC", "-cp"]).arg(format!("{}/*", libraries().display())).args(arguments);
    command.current_dir(folder).stdin(Stdio::null()).stdout(log.try_clone().expect("log")).stderr(log);
    command.spawn().expect("`java` is needed for tests against Kafka (Debian: apt-get install default-jre-headless maven)")
}

fn wait(mut process: Child) -> std::process::ExitStatus {
    process.wait().expect("wait")
}

/// Kafka's jars; fetched if they are not there. Renamed into place whole, so that two test binaries may race.
fn libraries() -> PathBuf {
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("target");
    let libraries = target.join("kafka-libs");
    if libraries.exists() {
        return libraries;
    }
    fs::create_dir_all(&target).expect("target");
    let fetched = TempDir::new_in(&target).expect("a folder");
    let status = Command::new("mvn")
        .args(["-q", "-B", "-f", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/kafka-pom.xml")])
        .args(["dependency:copy-dependencies", "-DincludeScope=runtime"])
        .arg(format!("-DoutputDirectory={}", fetched.path().display()))
        .status()
        .expect("`mvn` is needed to fetch Kafka (Debian: apt-get install default-jre-headless maven), or set SEGMENTD_TEST_KAFKA");
    assert!(status.success(), "Maven could not fetch Kafka");
    let _ = fs::rename(fetched.path(), &libraries);
    libraries
}

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port").port()
}

/// Of a broker that is its own controller.
fn combined(folder: &Path, port: u16, controller: u16) -> String {
    format!(
        "process.roles=broker,controller\nnode.id=1\n\
         controller.quorum.bootstrap.servers=127.0.0.1:{controller}\n\
         listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}\n\
         advertised.listeners=PLAINTEXT://127.0.0.1:{port}\n\
         inter.broker.listener.name=PLAINTEXT\nlog.dirs={}/data\n{PROTOCOLS}{ONE_REPLICA}",
        folder.display()
    )
}

fn controller(folder: &Path, port: u16) -> String {
    format!(
        "process.roles=controller\nnode.id=2\n\
         controller.quorum.bootstrap.servers=127.0.0.1:{port}\n\
         listeners=CONTROLLER://127.0.0.1:{port}\nadvertised.listeners=CONTROLLER://127.0.0.1:{port}\n\
         log.dirs={}/quorum\nbroker.session.timeout.ms={}\n{PROTOCOLS}",
        folder.display(),
        SESSION.as_millis()
    )
}

fn broker(folder: &Path, port: u16, controller: u16) -> String {
    format!(
        "process.roles=broker\nnode.id=1\n\
         controller.quorum.bootstrap.servers=127.0.0.1:{controller}\n\
         listeners=PLAINTEXT://127.0.0.1:{port}\nadvertised.listeners=PLAINTEXT://127.0.0.1:{port}\n\
         inter.broker.listener.name=PLAINTEXT\nlog.dirs={}/data\nbroker.heartbeat.interval.ms=500\n{PROTOCOLS}{ONE_REPLICA}",
        folder.display()
    )
}

const PROTOCOLS: &str = "controller.listener.names=CONTROLLER\nlistener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT\n";

const ONE_REPLICA: &str = "offsets.topic.replication.factor=1\noffsets.topic.num.partitions=4\n\
     transaction.state.log.replication.factor=1\ntransaction.state.log.min.isr=1\ntransaction.state.log.num.partitions=4\n\
     share.coordinator.state.topic.replication.factor=1\nshare.coordinator.state.topic.min.isr=1\n\
     group.initial.rebalance.delay.ms=0\nauto.create.topics.enable=false\n";
