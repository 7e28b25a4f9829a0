//! A read replica in this process, with lookups over HTTP as a client makes them.

use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use segmentd::http::lookup::Source;
use segmentd::id::TopicName;
use segmentd::replica::{self, Memberships, ReplicaError};
use segmentd::runtime::Shutdown;

use super::api::Api;
use super::service::{MEMBERSHIP, observed};

pub struct Replica {
    api: Api,
    shutdown: Shutdown,
    reading: Option<JoinHandle<Result<(), ReplicaError>>>,
}

impl Deref for Replica {
    type Target = Api;

    fn deref(&self) -> &Api {
        &self.api
    }
}

impl Replica {
    pub fn start(kafka: segmentd::kafka::Settings, dir: &Path) -> Replica {
        let (observed, shutdown, memberships) = (observed(), Shutdown::default(), Arc::new(Memberships::default()));
        let api = Api::start(&observed, Source::Replica(memberships.clone()), None);
        let settings = replica::Settings { kafka, topic: TopicName(MEMBERSHIP.into()), dir: dir.into(), memory_bytes: 16 << 20 };
        let asked = shutdown.clone();
        let reading = std::thread::spawn(move || replica::run(settings, memberships, &observed.metrics, observed.status, &asked));
        Replica { api, shutdown, reading: Some(reading) }
    }

    pub fn await_ready(&self) -> Duration {
        self.await_that("ready", |replica| replica.get("/readyz").0 == 200)
    }

    /// A figure without labels.
    pub fn figure(&self, name: &str) -> f64 {
        let text = self.get("/metrics").1;
        text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok()).expect("a figure")
    }

    pub fn stop(mut self) {
        self.shutdown.request();
        self.reading.take().expect("runs").join().expect("no panic").expect("a clean end");
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.shutdown.request();
    }
}
