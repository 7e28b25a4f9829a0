//! [`ConfigFile`] to [`Config`]: texts become sizes, spans, topics and addresses, and settings are held against each
//! other.
//!
//! **Invariant:** a [`Config`] that exists can be run: every value is in its range and no two topics are one. Secrets
//! come from the environment or from a file of their own, and are never printed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::access::{Access, Identity};
use super::amount;
use super::document::Node;
use super::file::ConfigFile;
use crate::id::TopicName;
use crate::kafka::settings::OWNED;
use crate::kafka::wire::DecodeLimits;
use crate::rule::diagnostic::{Diagnostic, Location};
use crate::runtime::{ClockSettings, Commit, Start};
use crate::time::Span;

/// What a configuration means.
#[derive(Clone, Debug)]
pub struct Config {
    pub deployment: String,
    pub kafka: Kafka,
    pub input: Input,
    pub output: Output,
    pub state: State,
    pub commit: Commit,
    pub clock: ClockSettings,
    /// How often cuts among all customers are sought.
    pub epoch: Span,
    pub limits: DecodeLimits,
    /// Threads that compute.
    pub lanes: usize,
    /// Where `segmentd run` listens.
    pub listen: SocketAddr,
    /// How others reach it.
    pub advertise: Option<String>,
    /// Show the console there.
    pub console: bool,
    /// How long the past is kept; `None`: it is not.
    pub history: Option<Span>,
    /// Where `segmentd serve` listens.
    pub serve: SocketAddr,
    pub access: Access,
    /// `None`: only the built-in streams.
    pub streams: Option<PathBuf>,
    pub segments: Vec<PathBuf>,
    /// `None`: no static lists but those in the definitions.
    pub lists: Option<PathBuf>,
    /// How often the files of the three above are looked at for changes; `None`: only when asked.
    pub watch: Option<Duration>,
}

#[derive(Clone, Debug)]
pub struct Kafka {
    pub bootstrap: String,
    pub create_topics: bool,
    pub group_instance_id: Option<String>,
    pub properties: BTreeMap<String, Secret>,
}

#[derive(Clone, Debug)]
pub struct Input {
    pub topics: Vec<TopicName>,
    pub start: Start,
}

#[derive(Clone, Debug)]
pub struct Output {
    pub transitions: TopicName,
    pub entries: TopicName,
    pub membership: TopicName,
    pub dead_letters: TopicName,
}

#[derive(Clone, Debug)]
pub struct State {
    pub dir: PathBuf,
    pub changelog: TopicName,
    pub repartition: TopicName,
    pub ranks: TopicName,
    pub memory_bytes: u64,
}

/// A value that may be a secret: it does not show itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// librdkafka's properties that hold secrets. Source: librdkafka, CONFIGURATION.md (those marked sensitive).
const SECRETS: &[&str] = &[
    "sasl.password",
    "sasl.oauthbearer.config",
    "sasl.oauthbearer.client.secret",
    "ssl.key.password",
    "ssl.key.pem",
    "ssl.keystore.password",
];

/// Loads native code into the process: a configuration must not be able to.
const FORBIDDEN: (&str, &str) = ("plugin.library.paths", "it loads native code");

/// Reads settings and gathers what is wrong with them.
pub struct Meaning<'a> {
    pub document: &'a Node,
    pub diagnostics: &'a mut Vec<Diagnostic>,
}

impl Meaning<'_> {
    /// What `file` means; where a value makes no sense, a placeholder beside the diagnostic.
    pub fn config(&mut self, file: ConfigFile) -> Config {
        let access = self.access(file.access);
        let config = Config {
            deployment: self.name("deployment", file.deployment),
            kafka: self.kafka(file.kafka),
            input: self.input(file.input),
            output: self.output(file.output),
            state: self.state(file.state),
            commit: self.commit(file.commit),
            clock: self.clock(file.clock),
            epoch: self.epoch(&file.top.epoch),
            limits: self.limits(file.limits),
            lanes: if file.lanes == 0 { cores() } else { file.lanes as usize },
            listen: self.listen("http", &file.http.listen, file.http.beyond_loopback || access.is_closed()),
            advertise: self.advertise(file.http.advertise),
            console: file.http.console,
            history: self.history(&file.history),
            serve: self.listen("serve", &file.serve.listen, file.serve.beyond_loopback || access.is_closed()),
            access,
            streams: self.optional_path("streams", file.streams, ConfigFile::STREAMS),
            segments: file.segments.into_iter().map(PathBuf::from).collect(),
            lists: self.optional_path("lists", file.lists, ConfigFile::LISTS),
            watch: Some(self.duration("watch", &file.watch, Duration::ZERO, Duration::from_secs(3600))).filter(|every| !every.is_zero()),
        };
        self.distinct_topics(&config);
        config
    }

    fn kafka(&mut self, file: super::file::KafkaFile) -> Kafka {
        if file.bootstrap.trim().is_empty() {
            self.error("kafka.bootstrap", "is empty", "write host:port, several separated by commas");
        }
        let mut properties: BTreeMap<String, Secret> = BTreeMap::new();
        for (name, value) in file.properties {
            self.check_property(&name);
            properties.insert(name, Secret(value));
        }
        if let Some(password) = file.password_file.as_deref().and_then(|path| self.password(path)) {
            properties.insert("sasl.password".into(), password);
        }
        Kafka { bootstrap: file.bootstrap, create_topics: file.create_topics, group_instance_id: file.group_instance_id, properties }
    }

    fn check_property(&mut self, name: &str) {
        let path = format!("kafka.properties.{name}");
        if let Some((_, reason)) = OWNED.iter().chain([&FORBIDDEN]).find(|(owned, _)| *owned == name) {
            self.error(&path, "is not yours to set", reason);
        }
        // A variable has no bytes in a file.
        let written = self.document.get(&["kafka", "properties", name]).is_some_and(|node| node.location.bytes.is_some());
        if written && SECRETS.contains(&name) {
            let variable = format!("SEGMENTD_KAFKA__PROPERTIES__{}", name.replace('.', "_").to_uppercase());
            self.error(
                &path,
                "is a secret, and does not belong in this file",
                &format!("use kafka.password_file, or the variable {variable}"),
            );
        }
    }

    fn password(&mut self, path: &str) -> Option<Secret> {
        match std::fs::read_to_string(path) {
            Ok(text) => Some(Secret(text.trim_end_matches(['\r', '\n']).to_owned())),
            Err(error) => {
                self.error("kafka.password_file", &format!("`{path}` cannot be read: {error}"), "it holds the password and nothing else");
                None
            }
        }
    }

    fn input(&mut self, file: super::file::InputFile) -> Input {
        if file.topics.is_empty() {
            self.error("input.topics", "is empty", "name at least one topic to read");
        }
        let start = match file.start.as_str() {
            "latest" => Start::Latest,
            "earliest" => Start::Earliest,
            other => {
                self.error("input.start", &format!("is `{other}`"), "it is `earliest` or `latest`");
                Start::Earliest
            }
        };
        let topics = file.topics.into_iter().enumerate().map(|(i, topic)| self.topic(&format!("input.topics.{i}"), topic));
        Input { topics: topics.collect(), start }
    }

    fn output(&mut self, file: super::file::OutputFile) -> Output {
        Output {
            transitions: self.topic("output.transitions", file.transitions),
            entries: self.topic("output.entries", file.entries),
            membership: self.topic("output.membership", file.membership),
            dead_letters: self.topic("output.dead_letters", file.dead_letters),
        }
    }

    fn state(&mut self, file: super::file::StateFile) -> State {
        let memory_bytes = self.size("state.memory", &file.memory, 16 << 20, 1 << 40);
        State {
            dir: file.dir.into(),
            changelog: self.topic("state.changelog", file.changelog),
            repartition: self.topic("state.repartition", file.repartition),
            ranks: self.topic("state.ranks", file.ranks),
            memory_bytes,
        }
    }

    fn commit(&mut self, file: super::file::CommitFile) -> Commit {
        // Longer would come near the transaction's own time-out (10 s), after which the broker aborts it.
        let interval = self.duration("commit.interval", &file.interval, Duration::from_millis(1), Duration::from_secs(5));
        Commit { interval, max_events: file.max_events as usize }
    }

    fn clock(&mut self, file: super::file::ClockFile) -> ClockSettings {
        let (day, year) = (Duration::from_hours(24), Duration::from_hours(24 * 366));
        ClockSettings {
            follow_wall: file.follow_wall,
            idle_delay: self.duration("clock.idle_delay", &file.idle_delay, Duration::ZERO, day),
            max_future: self.duration("clock.max_future", &file.max_future, Duration::ZERO, year),
        }
    }

    fn limits(&mut self, file: super::file::LimitsFile) -> DecodeLimits {
        let record_bytes = self.size("limits.record_bytes", &file.record_bytes, 1 << 10, 64 << 20);
        DecodeLimits { record_bytes: record_bytes as usize, id_bytes: file.id_bytes as usize }
    }

    fn history(&mut self, file: &super::file::HistoryFile) -> Option<Span> {
        let (hour, year) = (Duration::from_hours(1), Duration::from_hours(24 * 400));
        let keep = self.duration("history.keep", &file.keep, hour, year);
        Span::from_millis(keep.as_millis() as i64).filter(|_| file.enabled)
    }

    fn advertise(&mut self, address: Option<String>) -> Option<String> {
        let is_address = |text: &str| {
            let host = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
            text.len() <= 200 && host.is_some_and(|host| !host.is_empty() && host.chars().all(|c| c.is_ascii_graphic() && c != '@'))
        };
        if let Some(text) = address.as_deref().filter(|text| !is_address(text)) {
            self.error("http.advertise", &format!("is `{text}`"), "write a URL without a path: http://segmentd-0.segmentd:8080");
        }
        address
    }

    fn access(&mut self, file: super::file::AccessFile) -> Access {
        let identity = match (file.certificate, file.key) {
            (Some(certificate), Some(key)) => Some(Identity { certificate: certificate.into(), key: key.into() }),
            (None, None) => None,
            _ => {
                self.error("access", "names only one of `certificate` and `key`", "TLS needs both");
                None
            }
        };
        let access = Access {
            tokens: file.tokens.map(PathBuf::from),
            identity,
            authority: file.authority.map(PathBuf::from),
            audit_key: file.audit_key.map(PathBuf::from),
        };
        self.diagnostics.extend(access.read_tokens().err().unwrap_or_default());
        if let Err(error) = access.read_certificate() {
            self.error(
                "access.certificate",
                &format!("with `access.key`: {error}"),
                "both are PEM; the server's own certificate comes first",
            );
        }
        if let Err(error) = access.check_authority() {
            self.error("access.authority", &format!("cannot be used: {error}"), "it is PEM: the certificate of who signs the others'");
        }
        if let Err(error) = access.read_audit_key() {
            self.error("access.audit_key", &format!("cannot be used: {error}"), "make one: openssl rand -hex 32 > secret/audit.key");
        }
        access
    }

    /// What is served tells what is known of customers, to whoever asks.
    fn listen(&mut self, section: &str, text: &str, may_be_reached: bool) -> SocketAddr {
        let setting = format!("{section}.listen");
        let Ok(listen) = text.parse::<SocketAddr>() else {
            self.error(&setting, &format!("is `{text}`"), "write an address and a port: 127.0.0.1:8080, 0.0.0.0:8080 or [::]:8080");
            return SocketAddr::from(([127, 0, 0, 1], 0));
        };
        if !listen.ip().is_loopback() && !may_be_reached {
            let help = format!(
                "set access.tokens, access.certificate and access.key (docs/access.md); or, where the network itself is closed, say {section}.beyond_loopback: true"
            );
            self.error(&setting, &format!("is `{listen}`, which other machines reach, without tokens and TLS"), &help);
        }
        listen
    }

    /// A path that was not written may be absent from the disk.
    fn optional_path(&mut self, setting: &str, path: String, default: &str) -> Option<PathBuf> {
        let exists = std::path::Path::new(&path).exists();
        if !exists && path != default {
            self.error(setting, &format!("`{path}` does not exist"), "paths start at the folder where segmentd is started");
        }
        exists.then(|| path.into())
    }

    fn name(&mut self, setting: &str, text: String) -> String {
        if !TopicName::is_legal(&text) || text.len() > 200 {
            self.error(setting, &format!("`{text}` is no name"), "letters, digits, `.`, `_` and `-`, at most 200");
        }
        text
    }

    fn topic(&mut self, setting: &str, text: String) -> TopicName {
        if !TopicName::is_legal(&text) {
            self.error(setting, &format!("`{text}` is no name of a topic"), "letters, digits, `.`, `_` and `-`, at most 249");
        }
        TopicName(text.into())
    }

    /// An output that is also read would feed on itself; a changelog that holds transitions could not be replayed.
    fn distinct_topics(&mut self, config: &Config) {
        let mut seen = BTreeSet::new();
        for (setting, topic) in config.topics() {
            if !seen.insert(topic) {
                self.error(&setting, &format!("`{topic}` is already another topic of this configuration"), "each topic has one purpose");
            }
        }
    }

    fn size(&mut self, setting: &str, text: &str, least: u64, most: u64) -> u64 {
        let size = amount::size(text).filter(|size| (least..=most).contains(size));
        size.unwrap_or_else(|| {
            let help = format!("a size from {} to {}, with B, KiB, MiB or GiB: 512MiB", shown(least), shown(most));
            self.error(setting, &format!("is `{text}`"), &help);
            least
        })
    }

    fn duration(&mut self, setting: &str, text: &str, least: Duration, most: Duration) -> Duration {
        let duration = amount::duration(text).filter(|duration| (least..=most).contains(duration));
        duration.unwrap_or_else(|| {
            let help = format!("a time from {least:?} to {most:?}, with ms, s, m, h or d: 100ms");
            self.error(setting, &format!("is `{text}`"), &help);
            least
        })
    }

    /// Whole epochs make a day, so that they end at the same times every day.
    fn epoch(&mut self, text: &str) -> Span {
        let epoch = Span::parse(text).filter(|epoch| Span::DAY.millis() % epoch.millis() == 0);
        epoch.unwrap_or_else(|| {
            self.error("top.epoch", &format!("is `{text}`"), "a part of a day that goes into it without a rest: 30s, 1m, 1h, 1d");
            Span::MINUTE
        })
    }

    fn error(&mut self, setting: &str, what: &str, help: &str) {
        let diagnostic = Diagnostic::error("bad-value", self.location(setting), format!("`{setting}` {what}")).help(help);
        self.diagnostics.push(diagnostic);
    }

    /// Where a setting stands; a default stands nowhere, so its file as a whole.
    fn location(&self, setting: &str) -> Location {
        let mut path: Vec<&str> = setting.split('.').collect();
        if let Some(property) = setting.strip_prefix("kafka.properties.") {
            path = vec!["kafka", "properties", property];
        }
        self.document.get(&path).unwrap_or(self.document).location.clone()
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn shown(bytes: u64) -> String {
    let units = [(30, "GiB"), (20, "MiB"), (10, "KiB"), (0, "B")];
    let (shift, unit) = units.into_iter().find(|(shift, _)| bytes >> shift > 0).unwrap_or((0, "B"));
    format!("{}{unit}", bytes >> shift)
}
