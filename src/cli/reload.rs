//! Segments, lists and streams are loaded anew at SIGHUP, and when one of their files has changed; a list that stands in a topic is
//! put in force when that has changed, beside definitions as they were loaded last.
//!
//! Everything is checked before anything is put in force. What is refused changes nothing: the old set stays, and a
//! metric and one log line say so. All other configuration needs a restart.
//!
//! **Invariant:** what is put in force is what the files said at one moment: they looked the same before and after they
//! were read, and, unless a person asked, for one more look before that. So no file is taken that is being written.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, never, select, tick};

use super::report::in_a_line;
use crate::config::Config;
use crate::config::ruleset::{self, Ruleset};
use crate::config::watch::Signature;
use crate::http::service::{InForce, Rules};
use crate::id::{ListKey, SegmentKey, TopicName};
use crate::kafka::topics::TopicError;
use crate::metrics::ReloadMetrics;
use crate::plan::Plan;
use crate::rule::Definitions;
use crate::rule::diagnostic::Diagnostic;
use crate::runtime::listed::{ListError, ListTopics};
use crate::runtime::{Settings, clock, topics};

/// How often a reload is tried again while the files change under its hands.
const TRIES: usize = 5;

/// So many warnings of a reload are logged.
const SHOWN: usize = 10;

pub struct Reload {
    origin: Origin,
    config: Config,
    in_force: Arc<Plan>,
    /// For those who look at definitions.
    shown: InForce,
    /// Whose topics a segment's entries may go to.
    settings: Settings,
    changes: Sender<Arc<Plan>>,
    metrics: Arc<ReloadMetrics>,
    /// `None`: lists that stand in topics are not followed.
    listing: Option<Listing>,
}

/// Lists that stand in topics.
pub struct Listing {
    pub topics: ListTopics,
    /// Some list has changed.
    pub changes: Receiver<()>,
    /// What is in force, but for those lists.
    pub ruleset: Ruleset,
}

/// Where configuration was read, and how everything stood just before that.
pub struct Origin {
    path: PathBuf,
    configuration: Signature,
    rules: Signature,
}

impl Origin {
    /// To be taken before the rules that `config` names are loaded: what changes from then on is noticed.
    pub fn of(path: PathBuf, config: &Config) -> Origin {
        Origin { configuration: Signature::of([path.as_path()]), rules: signature(config), path }
    }
}

impl Reload {
    /// `in_force` was loaded from what `config` names, after `origin` was taken.
    pub fn new(
        origin: Origin,
        config: Config,
        in_force: Arc<Plan>,
        shown: InForce,
        changes: Sender<Arc<Plan>>,
        metrics: Arc<ReloadMetrics>,
        settings: Settings,
    ) -> Reload {
        metrics.loaded(clock::wall());
        Reload { origin, config, in_force, shown, settings, changes, metrics, listing: None }
    }

    /// Follows lists that stand in topics too.
    pub fn listing(self, listing: Listing) -> Reload {
        Reload { listing: Some(listing), ..self }
    }

    /// Reloads at every hang-up, and after every change of a file, until nobody can hang up any more.
    pub fn follow(mut self, hangups: &Receiver<()>) {
        // Lists may change more often than files are looked at.
        let looks = self.config.watch.map_or_else(never, tick);
        let mut seen = self.origin.rules.clone();
        let listed = self.listing.as_ref().map_or_else(never, |listing| listing.changes.clone());
        loop {
            select! {
                recv(hangups) -> hung_up => match hung_up {
                    Ok(()) => self.reload(),
                    Err(_) => return,
                },
                recv(listed) -> _ => self.relist(),
                recv(looks) -> _ => {
                    let now = signature(&self.config);
                    if now != self.origin.rules && now == seen {
                        self.reload();
                    }
                    seen = now;
                }
            }
        }
    }

    /// Puts in force what stands on lists in topics now, also on those that no rule names: they are asked for, and tried in rules.
    /// Definitions that are broken at the moment do not hold it up.
    fn relist(&mut self) {
        let Some(Listing { topics, ruleset, .. }) = &self.listing else { return };
        let plan = Arc::new(ruleset.plan_with(&topics.contents(&ruleset.list_topics)));
        let lists = plan.lists_changed(&self.in_force).len();
        if lists > 0 {
            tracing::info!(lists, "lists have changed");
        }
        let (definitions, list_topics) = (ruleset.definitions.clone(), ruleset.list_topics.clone());
        self.put_in_force(plan, definitions, list_topics);
    }

    fn put_in_force(&mut self, plan: Arc<Plan>, definitions: Definitions, list_topics: BTreeMap<ListKey, TopicName>) {
        self.in_force = plan.clone();
        self.shown.replace(Rules { definitions, plan: plan.clone(), list_topics });
        // Nobody listens while the service stops.
        let _ = self.changes.send(plan);
    }

    /// The plan with what stands on lists in topics. Topics that are named for the first time are there: lists are read, and what
    /// entries go to is made and counted.
    fn planned(&self, ruleset: &Ruleset) -> Result<Plan, Unready> {
        let plan = match &self.listing {
            None => ruleset.plan(),
            Some(Listing { topics, .. }) => {
                topics.follow(ruleset.list_topics.values())?;
                ruleset.plan_with(&topics.contents(&ruleset.list_topics))
            }
        };
        topics::admit(&self.settings, &plan)?;
        Ok(plan)
    }

    /// Loads everything.
    fn reload(&mut self) {
        if Signature::of([self.origin.path.as_path()]) != self.origin.configuration {
            tracing::warn!(file = %self.origin.path.display(), "the configuration has changed; that needs a restart (segments, lists and streams do not)");
        }
        let mut before = signature(&self.config);
        for _ in 0..TRIES {
            let (ruleset, diagnostics) = ruleset::load_for(&self.config);
            let after = signature(&self.config);
            if before == after {
                self.origin.rules = after;
                return self.decide(ruleset, &diagnostics);
            }
            before = after;
        }
        // The next look finds them changed, and tries again.
        tracing::warn!("the files of definitions change while they are read; they are read again when they stand still");
    }

    fn decide(&mut self, ruleset: Option<Ruleset>, diagnostics: &[Diagnostic]) {
        let plan = match ruleset.as_ref().map(|ruleset| self.planned(ruleset)).transpose() {
            Ok(plan) => plan,
            Err(error) => {
                self.metrics.failed.inc();
                tracing::error!(%error, "what was in force stays in force");
                return;
            }
        };
        let Some((plan, ruleset)) = plan.map(Arc::new).zip(ruleset) else {
            self.metrics.failed.inc();
            let errors = diagnostics.iter().filter(|d| d.is_error()).count();
            let first = diagnostics.iter().find(|d| d.is_error()).map(in_a_line).unwrap_or_default();
            tracing::error!(
                errors,
                first,
                "changed definitions are refused; what was in force stays in force (`segmentd check` shows everything)"
            );
            return;
        };
        // An empty list is a warning, and moves everybody who was on it.
        diagnostics.iter().take(SHOWN).for_each(|warning| tracing::warn!(warning = in_a_line(warning), "a reload is in doubt"));
        let Difference { added, changed, removed } = Difference::between(&self.in_force, &plan);
        let lists = plan.lists_changed(&self.in_force).len();
        tracing::info!(segments = plan.segments.len(), added, changed, removed, lists, "definitions were loaded anew");
        self.metrics.succeeded(clock::wall());
        self.put_in_force(plan, ruleset.definitions.clone(), ruleset.list_topics.clone());
        if let Some(listing) = &mut self.listing {
            listing.topics.keep(&ruleset.list_topics);
            listing.ruleset = ruleset;
        }
    }
}

/// Why sound definitions cannot be put in force.
#[derive(thiserror::Error, Debug)]
enum Unready {
    #[error(transparent)]
    List(#[from] ListError),
    #[error(transparent)]
    EntryTopic(#[from] TopicError),
}

fn signature(config: &Config) -> Signature {
    let ruleset::Paths { streams, segments, lists } = ruleset::Paths::of(config);
    Signature::of(streams.into_iter().chain(segments.iter().map(PathBuf::as_path)).chain(lists))
}

/// How many segments differ.
#[derive(Debug, Default, PartialEq, Eq)]
struct Difference {
    added: usize,
    changed: usize,
    removed: usize,
}

impl Difference {
    fn between(before: &Plan, after: &Plan) -> Difference {
        let versions = |plan: &Plan| plan.segments.iter().map(|s| (s.key.clone(), s.version.clone())).collect::<HashMap<_, _>>();
        let (before, after) = (versions(before), versions(after));
        let count = |differs: &dyn Fn(&SegmentKey, &Arc<str>) -> bool| after.iter().filter(|(key, version)| differs(key, version)).count();
        Difference {
            added: count(&|key, _| !before.contains_key(key)),
            changed: count(&|key, version| before.get(key).is_some_and(|known| known != version)),
            removed: before.keys().filter(|key| !after.contains_key(*key)).count(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crossbeam_channel::unbounded;
    use rdkafka::mocking::MockCluster;
    use rdkafka::producer::DefaultProducerContext;
    use tempfile::TempDir;

    use super::*;
    use crate::config;
    use crate::id::TopicName;
    use crate::metrics::{Labels, Metrics};

    /// Follows `segments.yaml` and `staff.txt` of a folder, looking as often as `watch` says.
    struct Followed {
        folder: TempDir,
        hang_up: Sender<()>,
        changes: Receiver<Arc<Plan>>,
        metrics: Metrics,
        topics: crate::runtime::Topics,
    }

    const LOYAL: &str = "segments: [{key: loyal, when: 'count(orders last 30d) > 2 and not list(\"staff\")'}]";

    impl Followed {
        fn start(watch: &str) -> Followed {
            Followed::beside("127.0.0.1:1", watch)
        }

        /// Where topics are asked for at a broker that makes none.
        fn beside(bootstrap: &str, watch: &str) -> Followed {
            let folder = tempfile::tempdir().unwrap();
            let at = folder.path().display();
            let kafka = format!("kafka: {{bootstrap: \"{bootstrap}\", create_topics: false}}");
            let text = format!("{kafka}\nsegments: [{at}/segments.yaml]\nlists: {at}/lists\nwatch: {watch}\n");
            std::fs::create_dir(folder.path().join("lists")).unwrap();
            let (hang_up, hangups) = unbounded();
            let (sender, changes) = unbounded();
            let metrics = Metrics::new(&Labels::default()).unwrap();
            let config = config::parse("segmentd.yaml", text, std::iter::empty()).unwrap();
            let settings = config.service_settings();
            let followed = Followed { folder, hang_up, changes, metrics, topics: settings.topics.clone() };
            followed.write("lists/staff.txt", "ann\n");
            followed.write("segments.yaml", LOYAL);
            let origin = Origin::of("segmentd.yaml".into(), &config);
            let in_force = Arc::new(ruleset::load_text("segments.yaml", "segments: [{key: a, when: 'true'}]").unwrap().plan());
            let shown = InForce::new(Rules { definitions: Definitions::default(), plan: in_force.clone(), list_topics: BTreeMap::new() });
            let reload = Reload::new(origin, config, in_force, shown, sender, followed.metrics.reloads.clone(), settings);
            std::thread::spawn(move || reload.follow(&hangups));
            followed
        }

        fn write(&self, name: &str, text: &str) {
            std::fs::write(self.folder.path().join(name), text).unwrap();
        }

        /// The keys of the next plan that is put in force.
        fn next(&self) -> Vec<String> {
            let plan = self.changes.recv_timeout(Duration::from_secs(20)).expect("a plan");
            plan.segments.iter().map(|segment| segment.key.to_string()).collect()
        }

        fn await_failure(&self) {
            let deadline = clock::Deadline::after(Duration::from_secs(20));
            while self.metrics.reloads.failed.get() == 0 {
                assert!(!deadline.is_past(), "nothing was refused");
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }

    #[test]
    fn a_hang_up_loads_what_the_files_say_now() {
        let followed = Followed::start("0s");
        followed.write("segments.yaml", "segments: [{key: b, when: 'true'}, {key: a, when: 'true'}]");
        followed.hang_up.send(()).unwrap();
        assert_eq!(followed.next(), ["b", "a"]);
        followed.write("segments.yaml", "segments: [{key: b, when: 'tru'}]");
        followed.hang_up.send(()).unwrap();
        followed.await_failure();
        assert!(followed.changes.is_empty(), "what is refused changes nothing");
        followed.write("segments.yaml", LOYAL);
        followed.hang_up.send(()).unwrap();
        assert_eq!(followed.next(), ["loyal"]);
    }

    #[test]
    fn an_entry_topic_that_is_new_is_counted_or_else_nothing_changes() {
        let broker: MockCluster<'_, DefaultProducerContext> = MockCluster::new(1).unwrap();
        broker.create_topic("shop.events", 2, 1).unwrap();
        broker.create_topic("spring", 3, 1).unwrap();
        let followed = Followed::beside(&broker.bootstrap_servers(), "0s");
        let spring = || followed.topics.entry_topic(Some(&TopicName("spring".into()))).clone();
        assert_eq!(&*spring().name.0, "segment-entries", "not known yet");
        followed.write("segments.yaml", "segments: [{key: a, when: 'true', entry_topic: spring}]");
        followed.hang_up.send(()).unwrap();
        assert_eq!(followed.next(), ["a"]);
        assert_eq!((&*spring().name.0, spring().partitions), ("spring", 3));

        followed.write("segments.yaml", "segments: [{key: b, when: 'true', entry_topic: summer}]");
        followed.hang_up.send(()).unwrap();
        followed.await_failure();
        assert!(followed.changes.is_empty(), "what is refused changes nothing");
        broker.create_topic("summer", 1, 1).unwrap();
        followed.hang_up.send(()).unwrap();
        assert_eq!(followed.next(), ["b"]);
    }

    #[test]
    fn a_file_or_a_list_that_changes_is_noticed() {
        let followed = Followed::start("20ms");
        followed.write("lists/staff.txt", "ann\nbob\n");
        let plan = followed.changes.recv_timeout(Duration::from_secs(20)).expect("a plan");
        assert_eq!(plan.lists[0].1.len(), 2);
        std::fs::remove_file(followed.folder.path().join("lists/staff.txt")).unwrap();
        followed.await_failure();
        assert!(followed.changes.is_empty(), "a rule names a list that is gone");
    }
}
