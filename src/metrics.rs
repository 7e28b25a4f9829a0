//! Every metric, declared once, as a struct of handles.
//!
//! Whoever counts holds a plain counter: nothing looks a label up while events flow. Series whose labels are known at
//! start exist from then on, at zero, so that a rate over the first increase is right and an alert on an absent series
//! means what it says. docs/operations.md says what each one means and what to do about it.
//!
//! ```
//! use segmentd::metrics::{Labels, Metrics};
//! let metrics = Metrics::new(&Labels { streams: vec!["orders".into()], ..Labels::default() })?;
//! metrics.events.stream("orders").applied.inc();
//! assert!(metrics.encode()?.contains(r#"segmentd_events_applied_total{stream="orders"} 1"#));
//! # Ok::<(), prometheus::Error>(())
//! ```
//!
//! **Invariant:** no label ever holds a customer's id, nor any other text that a record brings.

mod credentials;
mod cuts;
mod declare;
mod events;
mod experiments;
mod history;
mod reloads;
mod replica;
mod requests;
mod segments;
mod state;
mod tasks;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use prometheus::process_collector::ProcessCollector;
use prometheus::{Registry, TextEncoder};
use smol_str::SmolStr;

use crate::id::{SegmentKey, TopicName};
pub use credentials::CredentialMetrics;
pub use cuts::CutMetrics;
use declare::Declare;
pub use events::{EventMetrics, StreamMetrics};
pub use experiments::ExperimentMetrics;
pub use history::HistoryMetrics;
pub use reloads::ReloadMetrics;
pub use replica::ReplicaMetrics;
pub use requests::RequestMetrics;
pub use segments::{SegmentMetrics, TransitionMetrics};
pub use state::StateMetrics;
pub use tasks::{CommitMetrics, TaskMetrics, TasksMetrics};

/// The content type of [`Metrics::encode`] (Prometheus text exposition format 0.0.4).
pub const CONTENT_TYPE: &str = prometheus::TEXT_FORMAT;

/// Which program this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Build {
    pub version: &'static str,
    /// The git revision that was built, as `SEGMENTD_REVISION` said at build time; `unknown` where it did not.
    pub revision: &'static str,
}

impl Build {
    pub const CURRENT: Build = Build {
        version: env!("CARGO_PKG_VERSION"),
        revision: match option_env!("SEGMENTD_REVISION") {
            Some(revision) => revision,
            None => "unknown",
        },
    };
}

/// Label values that are known before the first event; each becomes a series at zero.
#[derive(Clone, Debug, Default)]
pub struct Labels {
    /// The input topics.
    pub topics: Vec<TopicName>,
    /// The streams, in the order of the catalogue.
    pub streams: Vec<SmolStr>,
    /// The segments, in the order of definition.
    pub segments: Vec<SegmentKey>,
    /// Why an event may be rejected.
    pub reject_reasons: Vec<&'static str>,
    /// The life cycle of a task.
    pub task_states: Vec<&'static str>,
    /// The routes that the HTTP server knows.
    pub routes: Vec<&'static str>,
}

/// All handles. Cheap to clone.
#[derive(Clone)]
pub struct Metrics {
    registry: Registry,
    pub events: Arc<EventMetrics>,
    pub transitions: Arc<TransitionMetrics>,
    pub experiments: Arc<ExperimentMetrics>,
    pub commits: Arc<CommitMetrics>,
    pub tasks: Arc<TasksMetrics>,
    pub cuts: Arc<CutMetrics>,
    pub state: Arc<StateMetrics>,
    pub reloads: Arc<ReloadMetrics>,
    pub credentials: Arc<CredentialMetrics>,
    pub requests: Arc<RequestMetrics>,
    pub replica: Arc<ReplicaMetrics>,
    pub history: Arc<HistoryMetrics>,
}

impl Metrics {
    /// Declares everything in a registry of its own.
    ///
    /// Errors: two declarations of one name, which is a mistake in this module.
    pub fn new(labels: &Labels) -> prometheus::Result<Metrics> {
        let registry = Registry::new();
        registry.register(Box::new(ProcessCollector::for_self()))?;
        let declare = Declare(&registry);
        let build = declare.gauges("segmentd_build_info", "Which version and revision runs; always 1", &["version", "revision"])?;
        build.with_label_values(&[Build::CURRENT.version, Build::CURRENT.revision]).set(1);
        Ok(Metrics {
            events: Arc::new(EventMetrics::new(&declare, labels)?),
            transitions: Arc::new(TransitionMetrics::new(&declare, &labels.segments)?),
            experiments: Arc::new(ExperimentMetrics::new(&declare)?),
            commits: Arc::new(CommitMetrics::new(&declare)?),
            cuts: Arc::new(CutMetrics::new(&declare)?),
            tasks: Arc::new(TasksMetrics::new(&declare, &labels.task_states)?),
            state: Arc::new(StateMetrics::new(&declare)?),
            reloads: Arc::new(ReloadMetrics::new(&declare)?),
            credentials: Arc::new(CredentialMetrics::new(&declare)?),
            requests: Arc::new(RequestMetrics::new(&declare, &labels.routes)?),
            replica: Arc::new(ReplicaMetrics::new(&declare)?),
            history: Arc::new(HistoryMetrics::new(&declare)?),
            registry,
        })
    }

    /// The series of these metrics alone, without their help.
    pub fn encode_some(&self, names: &[&str]) -> prometheus::Result<String> {
        let mut wanted: Vec<_> = self.registry.gather().into_iter().filter(|family| names.contains(&family.name())).collect();
        wanted.iter_mut().for_each(|family| family.set_help(String::new()));
        TextEncoder::new().encode_to_string(&wanted)
    }

    /// All series in the text exposition format.
    pub fn encode(&self) -> prometheus::Result<String> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}
