//! HTTP requests by route and status code.

use prometheus::{HistogramVec, Result};

use super::Declare;

pub struct RequestMetrics(HistogramVec);

impl RequestMetrics {
    pub(super) fn new(declare: &Declare<'_>, routes: &[&'static str]) -> Result<RequestMetrics> {
        let durations =
            declare.latencies("segmentd_http_request_duration_seconds", "HTTP requests by route and code", &["route", "code"])?;
        for route in routes {
            durations.with_label_values(&[route, "200"]);
        }
        Ok(RequestMetrics(durations))
    }

    /// Records one answered request. `route` is one of ours, never the path as the client wrote it.
    pub fn observe(&self, route: &'static str, code: u16, seconds: f64) {
        self.0.with_label_values(&[route, &code.to_string()]).observe(seconds);
    }
}
