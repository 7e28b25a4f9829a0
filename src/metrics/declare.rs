//! Declaring a metric: made and registered in one step, so that none can be counted and not shown.

use prometheus::core::Collector;
use prometheus::{
    GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, Result,
};

/// From one millisecond to a minute, in seconds: fine where a commit and an end-to-end latency are expected to lie.
const LATENCY_BUCKETS: [f64; 20] =
    [0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0];

/// The registry that declarations go to.
pub struct Declare<'a>(pub &'a Registry);

impl Declare<'_> {
    pub fn counter(&self, name: &str, help: &str) -> Result<IntCounter> {
        self.register(IntCounter::new(name, help)?)
    }

    pub fn counters(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec> {
        self.register(IntCounterVec::new(Opts::new(name, help), labels)?)
    }

    pub fn gauge(&self, name: &str, help: &str) -> Result<IntGauge> {
        self.register(IntGauge::new(name, help)?)
    }

    pub fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntGaugeVec> {
        self.register(IntGaugeVec::new(Opts::new(name, help), labels)?)
    }

    /// Gauges that hold fractions.
    pub fn float_gauges(&self, name: &str, help: &str, labels: &[&str]) -> Result<GaugeVec> {
        self.register(GaugeVec::new(Opts::new(name, help), labels)?)
    }

    /// A latency in seconds.
    pub fn latency(&self, name: &str, help: &str) -> Result<Histogram> {
        self.register(Histogram::with_opts(latency_options(name, help))?)
    }

    pub fn latencies(&self, name: &str, help: &str, labels: &[&str]) -> Result<HistogramVec> {
        self.register(HistogramVec::new(latency_options(name, help), labels)?)
    }

    fn register<C: Collector + Clone + 'static>(&self, metric: C) -> Result<C> {
        self.0.register(Box::new(metric.clone()))?;
        Ok(metric)
    }
}

fn latency_options(name: &str, help: &str) -> HistogramOpts {
    HistogramOpts::new(name, help).buckets(LATENCY_BUCKETS.to_vec())
}
