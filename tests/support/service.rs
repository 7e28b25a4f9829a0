//! The service as a process of its own, which a test can kill: the test binary starts itself again.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use segmentd::audit::Audit;
use segmentd::event::Catalogue;
use segmentd::http::service::Rules;
use segmentd::id::TopicName;
use segmentd::kafka::wire::DecodeLimits;
use segmentd::metrics::{Labels, Metrics};
use segmentd::plan::compile;
use segmentd::rule::{Names, load};
use segmentd::runtime::committed::Committed;
use segmentd::runtime::feed::Feed;
use segmentd::runtime::owners::Owners;
use segmentd::runtime::status::Status;
use segmentd::runtime::{self, ClockSettings, Commit, Definitions, Observed, Settings, Shutdown, Start, Topic, Topics};
use segmentd::time::Span;

pub const INPUT: &str = "shop.events";
pub const TRANSITIONS: &str = "segment-transitions";
pub const ENTRIES: &str = "segment-entries";
pub const MEMBERSHIP: &str = "segment-membership";
pub const DEAD_LETTERS: &str = "segmentd-dead-letters";
pub const CHANGELOG: &str = "segmentd-changelog";

/// The test that is the service.
const ENTRY: &str = "support::service::the_service_itself";

/// A running service process.
pub struct Service {
    process: Child,
    pub name: String,
    log: std::path::PathBuf,
}

impl Service {
    /// `state`: its state folder; also its name in the log.
    pub fn start(bootstrap: &str, state: &Path, environment: &[(&str, &str)]) -> Service {
        let mut command = Command::new(std::env::current_exe().expect("this binary"));
        command.args([ENTRY, "--exact", "--ignored", "--nocapture", "--test-threads", "1"]);
        command.env("SERVICE_BOOTSTRAP", bootstrap).env("SERVICE_STATE", state).envs(environment.iter().copied());
        Service::spawn(command, state)
    }

    /// `segmentd run` itself, with a configuration file.
    pub fn run(config: &Path, state: &Path) -> Service {
        let mut command = Command::new(env!("CARGO_BIN_EXE_segmentd"));
        command.arg("run").arg("--config").arg(config).env("SEGMENTD_STATE__DIR", state);
        Service::spawn(command, state)
    }

    fn spawn(mut command: Command, state: &Path) -> Service {
        let name = state.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let path = state.with_extension("log");
        let log = std::fs::OpenOptions::new().create(true).append(true).open(&path).expect("log");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        Service { process: command.spawn().expect("service"), name, log: path }
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    /// SIGTERM, and the time until it had ended.
    pub fn terminate(&mut self) -> Duration {
        let asked = std::time::Instant::now();
        let status = Command::new("kill").args(["-TERM", &self.process.id().to_string()]).status().expect("kill");
        assert!(status.success());
        let ended = self.process.wait().expect("wait");
        // 15: asked before it could listen.
        let killed = std::os::unix::process::ExitStatusExt::signal(&ended) == Some(15);
        assert!(ended.success() || killed, "{} ended with {ended}\n{}", self.name, std::fs::read_to_string(&self.log).unwrap_or_default());
        asked.elapsed()
    }

    pub fn signal(&self, signal: &str) {
        Command::new("kill").args([signal, &self.process.id().to_string()]).status().expect("kill");
    }

    pub fn has_ended(&mut self) -> bool {
        self.process.try_wait().expect("wait").is_some()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.kill();
    }
}

/// In every binary that has these tools: its tests start it as a process of its own.
#[test]
#[ignore = "started by the other tests as a process of its own"]
fn the_service_itself() {
    // Whoever asks for all tests that are ignored means others.
    let Ok(bootstrap) = std::env::var("SERVICE_BOOTSTRAP") else { return };
    let state = std::env::var("SERVICE_STATE").expect("SERVICE_STATE");
    let segments = std::env::var("SERVICE_SEGMENTS").expect("SERVICE_SEGMENTS");
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(false).init();
    let shutdown = Shutdown::default();
    let asked = shutdown.clone();
    std::thread::spawn(move || wait_for_sigterm(&asked));
    let settings = settings(&bootstrap, Path::new(&state));
    let result = runtime::run(settings, definitions_of(Path::new(&segments)), observed(), &shutdown);
    if let Err(error) = result {
        eprintln!("the service failed: {error}");
        std::process::exit(1);
    }
    std::process::exit(0);
}

fn wait_for_sigterm(shutdown: &Shutdown) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    runtime.block_on(async {
        let mut signal = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).expect("signal");
        signal.recv().await;
    });
    shutdown.request();
}

pub fn settings(bootstrap: &str, state: &Path) -> Settings {
    let number = |name: &str, default: usize| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default);
    Settings {
        kafka: segmentd::kafka::Settings {
            bootstrap: bootstrap.into(),
            deployment: "test".into(),
            group_instance_id: std::env::var("SERVICE_STATIC").ok().and(state.file_name()).map(|name| name.to_string_lossy().into_owned()),
            properties: [("session.timeout.ms".to_string(), "6000".to_string())].into(),
            embedded: false,
        },
        topics: Topics {
            inputs: vec![TopicName(INPUT.into())],
            transitions: Topic::named(TRANSITIONS),
            entries: Topic::named(ENTRIES),
            own_entries: Default::default(),
            membership: Topic::named(MEMBERSHIP),
            dead_letters: Topic::named(DEAD_LETTERS),
            changelog: TopicName(CHANGELOG.into()),
            repartition: TopicName("segmentd-repartition".into()),
            ranks: TopicName("segmentd-ranks".into()),
            partitions: 0,
        },
        create_topics: true,
        start: Start::Earliest,
        state_dir: state.into(),
        state_memory: 64 << 20,
        commit: Commit {
            interval: Duration::from_millis(number("SERVICE_INTERVAL_MS", 100) as u64),
            max_events: number("SERVICE_MAX_EVENTS", 20_000),
        },
        clock: ClockSettings {
            follow_wall: number("SERVICE_FOLLOW_WALL", 0) > 0,
            idle_delay: Duration::from_secs(2),
            max_future: Duration::from_secs(300),
        },
        epoch: Span::parse(&std::env::var("SERVICE_EPOCH").unwrap_or_else(|_| "1m".into())).expect("a duration"),
        limits: DecodeLimits::default(),
        lanes: number("SERVICE_LANES", 2),
        advertised: None,
    }
}

/// The segments of a file, as they are looked at.
pub fn rules_of(path: &Path) -> Rules {
    let catalogue = Catalogue::segment_spec();
    let definitions = load(&[path.into()], Names { catalogue: &catalogue, lists: &[] }).definitions.expect("sound definitions");
    let plan = Arc::new(compile(&definitions, Arc::new(catalogue), Vec::new()));
    Rules { definitions, plan, list_topics: Default::default() }
}

/// The segments of a file, compiled.
pub fn definitions_of(path: &Path) -> Definitions {
    let catalogue = Catalogue::segment_spec();
    let loaded = load(&[path.into()], Names { catalogue: &catalogue, lists: &[] });
    let definitions = loaded.definitions.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics));
    Definitions::fixed(Arc::new(compile(&definitions, Arc::new(catalogue), Vec::new())))
}

pub fn observed() -> Observed {
    Observed {
        metrics: Metrics::new(&Labels::default()).expect("metrics"),
        status: Status::new(),
        committed: Committed::default(),
        owners: Owners::default(),
        feed: Feed::default(),
        audit: Audit::default(),
    }
}
