//! `ConfigFile`: what was written in `config/segmentd.yaml`, with the defaults of everything that was not.
//!
//! Its JSON Schema (`segmentd schema config`) is made from these structs, and the check for unknown keys and wrong
//! types ([`super::shape`]) walks that schema: a setting is declared once, here.
//!
//! **Invariant:** values are still text where they mean something else (`100ms`, `512MiB`); see [`super::meaning`].

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// segmentd's configuration. Any scalar may also be set by the environment: `SEGMENTD_KAFKA__BOOTSTRAP`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ConfigFile {
    /// Consumer group, prefix of transactional ids, `ce_source`, and part of every transition's id. Changing it starts anew.
    pub deployment: String,
    pub kafka: KafkaFile,
    pub input: InputFile,
    pub output: OutputFile,
    pub state: StateFile,
    pub commit: CommitFile,
    pub clock: ClockFile,
    pub top: TopFile,
    pub limits: LimitsFile,
    pub http: HttpFile,
    pub history: HistoryFile,
    pub serve: ServeFile,
    pub access: AccessFile,
    /// Threads that compute, each with one open transaction; 0: as many as there are cores.
    #[schemars(range(max = 256))]
    pub lanes: u32,
    /// The user's own streams; adds to the built-in mapping of the Segment Spec. The default may be absent.
    pub streams: String,
    /// Files and folders of segment definitions (`*.yaml`).
    pub segments: Vec<String>,
    /// Folder of static lists, one id a line in `NAME.txt`. The default may be absent.
    pub lists: String,
    /// How often the files of segments, lists and streams are looked at for changes; `0s`: only at SIGHUP.
    pub watch: String,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct KafkaFile {
    /// `host:port`, several separated by commas.
    pub bootstrap: String,
    /// Create missing output and changelog topics with the right settings.
    pub create_topics: bool,
    /// A name that stays the same over restarts makes the member static (KIP-345): quick restarts, slow hand-over.
    pub group_instance_id: Option<String>,
    /// A file that holds the password of `sasl.username`.
    pub password_file: Option<String>,
    /// librdkafka settings, passed through. Those that exactly-once rests on are refused.
    pub properties: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct InputFile {
    /// Topics to read; all have the same number of partitions and are keyed by customer id.
    pub topics: Vec<String>,
    /// Where a new deployment begins: `earliest` or `latest`.
    pub start: String,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OutputFile {
    /// Every transition.
    pub transitions: String,
    /// Entries, for campaign tools to subscribe to.
    pub entries: String,
    /// Current memberships by customer id, compacted.
    pub membership: String,
    /// Records that could not be read, with the reason in their headers.
    pub dead_letters: String,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StateFile {
    /// RocksDB's folder; one process at a time.
    pub dir: String,
    /// The compacted topic that state is rebuilt from.
    pub changelog: String,
    /// Records that came in on another partition than their customer's pass through it once.
    pub repartition: String,
    /// What partitions tell each other of their customers' ranks, for `top p% by …`; small, compacted.
    pub ranks: String,
    /// Memory for state, all partitions together: half for customers as they are decided, half for block cache and write buffers:
    /// `1GiB`.
    pub memory: String,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CommitFile {
    /// The longest time that a transaction gathers events: `100ms`.
    pub interval: String,
    /// The most events in one transaction.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_events: u32,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ClockFile {
    /// Follow the wall clock once a partition is read to its end; `false` for loading history.
    pub follow_wall: bool,
    /// How far behind the wall clock it follows: `2s`.
    pub idle_delay: String,
    /// An event further ahead of the wall clock is rejected: `5m`.
    pub max_future: String,
}

/// `top p% by …`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TopFile {
    /// How often cuts among all customers are sought, by event time: `1m`.
    pub epoch: String,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsFile {
    /// A larger record goes to the dead letters unread: `1MiB`.
    pub record_bytes: String,
    /// The longest customer id and event id, in bytes.
    #[schemars(range(min = 16, max = 4096))]
    pub id_bytes: u32,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HttpFile {
    /// Address and port of the API, health, metrics and version.
    pub listen: String,
    /// Let `listen` be an address that other machines reach, without tokens and TLS: on a network that is closed.
    pub beyond_loopback: bool,
    /// How others reach the API of this process: `http://segmentd-0.segmentd:8080`. Whoever asks another process for a customer
    /// of this one is told. Unset: nobody is.
    pub advertise: Option<String>,
    /// Show the console, pages for people, at `/console/`.
    pub console: bool,
}

/// What the API tells of the past: timelines of customers, and who came to segments and went, by the hour.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HistoryFile {
    /// Keep one, in a folder below `state.dir`, read from the transitions topic beside the event path.
    pub enabled: bool,
    /// How long a transition is kept, by event time: `90d`.
    pub keep: String,
}

/// `segmentd serve`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ServeFile {
    /// Address and port of lookups, health, metrics and version.
    pub listen: String,
    /// Let `listen` be an address that other machines reach, without tokens and TLS: on a network that is closed.
    pub beyond_loopback: bool,
}

/// Who may ask over HTTP, of `run` and of `serve`. The files are read again when they change, and at SIGHUP.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AccessFile {
    /// A file of tokens by their hashes (`segmentd token new`). Without it whoever reaches the address may ask.
    pub tokens: Option<String>,
    /// PEM: the server's certificate, and those between it and a root. With `key`, all is TLS.
    pub certificate: Option<String>,
    /// PEM: the certificate's key.
    pub key: Option<String>,
    /// PEM: who signs the certificates of the other processes of the deployment. Without it whom the system trusts.
    pub authority: Option<String>,
    /// A file with 64 hexadecimal digits: what customers are hashed with in audit records. Without it these do not say whom.
    pub audit_key: Option<String>,
}

impl Default for ConfigFile {
    fn default() -> ConfigFile {
        ConfigFile {
            deployment: "segmentd".into(),
            kafka: KafkaFile::default(),
            input: InputFile::default(),
            output: OutputFile::default(),
            state: StateFile::default(),
            commit: CommitFile::default(),
            clock: ClockFile::default(),
            top: TopFile::default(),
            limits: LimitsFile::default(),
            http: HttpFile::default(),
            history: HistoryFile::default(),
            serve: ServeFile::default(),
            access: AccessFile::default(),
            lanes: 0,
            streams: ConfigFile::STREAMS.into(),
            segments: vec!["config/segments/".into()],
            lists: ConfigFile::LISTS.into(),
            watch: "2s".into(),
        }
    }
}

impl ConfigFile {
    pub const STREAMS: &str = "config/streams.yaml";
    pub const LISTS: &str = "config/lists/";
}

impl Default for KafkaFile {
    fn default() -> KafkaFile {
        KafkaFile {
            bootstrap: "localhost:9092".into(),
            create_topics: true,
            group_instance_id: None,
            password_file: None,
            properties: BTreeMap::new(),
        }
    }
}

impl Default for InputFile {
    fn default() -> InputFile {
        InputFile { topics: vec!["shop.events".into()], start: "earliest".into() }
    }
}

impl Default for OutputFile {
    fn default() -> OutputFile {
        OutputFile {
            transitions: "segment-transitions".into(),
            entries: "segment-entries".into(),
            membership: "segment-membership".into(),
            dead_letters: "segmentd-dead-letters".into(),
        }
    }
}

impl Default for StateFile {
    fn default() -> StateFile {
        StateFile {
            dir: "./state".into(),
            changelog: "segmentd-changelog".into(),
            repartition: "segmentd-repartition".into(),
            ranks: "segmentd-ranks".into(),
            memory: "1GiB".into(),
        }
    }
}

impl Default for CommitFile {
    fn default() -> CommitFile {
        CommitFile { interval: "100ms".into(), max_events: 20_000 }
    }
}

impl Default for ClockFile {
    fn default() -> ClockFile {
        ClockFile { follow_wall: true, idle_delay: "2s".into(), max_future: "5m".into() }
    }
}

impl Default for TopFile {
    fn default() -> TopFile {
        TopFile { epoch: "1m".into() }
    }
}

impl Default for LimitsFile {
    fn default() -> LimitsFile {
        LimitsFile { record_bytes: "1MiB".into(), id_bytes: super::ID_BYTES as u32 }
    }
}

impl Default for HttpFile {
    fn default() -> HttpFile {
        HttpFile { listen: "127.0.0.1:8080".into(), beyond_loopback: false, advertise: None, console: true }
    }
}

impl Default for HistoryFile {
    fn default() -> HistoryFile {
        HistoryFile { enabled: true, keep: "90d".into() }
    }
}

impl Default for ServeFile {
    fn default() -> ServeFile {
        ServeFile { listen: "127.0.0.1:8081".into(), beyond_loopback: false }
    }
}
