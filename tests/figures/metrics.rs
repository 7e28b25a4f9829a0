//! What a service says of itself: sums of series, and quantiles of histograms between two scrapes.

use std::collections::BTreeMap;

/// Prometheus' text form.
pub struct Metrics(pub String);

impl Metrics {
    /// Of all series of a name.
    pub fn sum(&self, name: &str) -> f64 {
        self.series(name).map(|(_, value)| value).sum()
    }

    pub fn series<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (&'a str, f64)> {
        let of_name = move |line: &'a str| line.strip_prefix(name).filter(|rest| rest.starts_with(['{', ' ']));
        self.0.lines().filter_map(of_name).filter_map(|rest| rest.rsplit_once(' ')).map(|(labels, value)| (labels, value.parse().unwrap()))
    }

    /// The buckets of a histogram, of what came after an earlier scrape.
    pub fn since(&self, earlier: &Metrics, name: &str) -> BTreeMap<u64, f64> {
        let (before, mut buckets) = (earlier.buckets(name), self.buckets(name));
        buckets.iter_mut().for_each(|(bound, count)| *count -= before.get(bound).copied().unwrap_or_default());
        buckets
    }

    /// How many were not above each bound, in microseconds.
    fn buckets(&self, name: &str) -> BTreeMap<u64, f64> {
        let mut buckets: BTreeMap<u64, f64> = BTreeMap::new();
        let bucket = format!("{name}_bucket");
        for (labels, count) in self.series(&bucket) {
            let bound = labels.split("le=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
            let micros =
                bound.parse::<f64>().map_or(u64::MAX, |seconds| if seconds.is_finite() { (seconds * 1e6) as u64 } else { u64::MAX });
            *buckets.entry(micros).or_default() += count;
        }
        buckets
    }
}

pub fn shown(buckets: &BTreeMap<u64, f64>) -> String {
    format!("p50 {:.1} ms, p99 {:.1} ms", quantile(buckets, 0.50), quantile(buckets, 0.99))
}

/// Milliseconds, linear within a bucket, as Prometheus' `histogram_quantile` has it.
pub fn quantile(buckets: &BTreeMap<u64, f64>, q: f64) -> f64 {
    let rank = buckets.values().last().copied().unwrap_or_default() * q;
    let (mut below, mut bound_below) = (0.0, 0);
    for (bound, count) in buckets {
        if *count >= rank {
            let bound = if *bound == u64::MAX { bound_below } else { *bound };
            let share = if *count > below { (rank - below) / (*count - below) } else { 0.0 };
            return (bound_below as f64 + (bound - bound_below) as f64 * share) / 1000.0;
        }
        (below, bound_below) = (*count, *bound);
    }
    0.0
}
