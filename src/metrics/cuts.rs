//! Cuts among all customers, as this process decides by them.

use prometheus::{GaugeVec, Result};

use super::Declare;

pub struct CutMetrics {
    at: GaugeVec,
}

impl CutMetrics {
    pub(super) fn new(declare: &Declare<'_>) -> Result<CutMetrics> {
        let help = "The value from which on a customer is among the top, by the text of its rule";
        Ok(CutMetrics { at: declare.float_gauges("segmentd_top_cut", help, &["top"])? })
    }

    /// Shows the cuts in force, by the texts of the definitions; those that are not there are shown no more.
    pub fn show<'t>(&self, cuts: impl Iterator<Item = (&'t str, Option<f64>)>) {
        self.at.reset();
        for (text, cut) in cuts {
            cut.into_iter().for_each(|cut| self.at.with_label_values(&[text]).set(cut));
        }
    }
}
