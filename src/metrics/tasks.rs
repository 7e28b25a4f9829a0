//! Tasks and their transactions: who owns what, how far it is, and how long a commit takes.

use prometheus::{Gauge, GaugeVec, Histogram, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Result};

use super::Declare;
use crate::id::{Partition, TopicName};
use crate::time::EventTime;

pub struct TasksMetrics {
    /// Partitions assigned to this process, callback by callback.
    pub assigned: IntCounter,
    pub revoked: IntCounter,
    /// Revoked without a word: the group had already given them away.
    pub lost: IntCounter,
    /// Customers that have a timer.
    pub timers_pending: IntGauge,
    by_state: IntGaugeVec,
    clock: GaugeVec,
    epoch: GaugeVec,
    restore_remaining: IntGaugeVec,
    backfill_remaining: IntGaugeVec,
    /// Customers that scans after a change of definitions or lists have looked at.
    pub backfill_customers: IntCounter,
    lag: IntGaugeVec,
}

/// Handles of one task; [`TasksMetrics::forget`] takes its series away when the task goes.
#[derive(Clone)]
pub struct TaskMetrics {
    clock: Gauge,
    epoch: Gauge,
    /// Changelog records still to replay.
    pub restore_remaining: IntGauge,
    /// About how many customers a scan still has to look at.
    pub backfill_remaining: IntGauge,
}

/// Transactions of all lanes.
pub struct CommitMetrics {
    pub committed: IntCounter,
    pub aborted: IntCounter,
    /// Neither is known: the changelog will tell.
    pub unknown: IntCounter,
    /// From the last computed record to the answer of the broker, in seconds.
    pub duration: Histogram,
}

impl TasksMetrics {
    pub(super) fn new(declare: &Declare<'_>, states: &[&'static str]) -> Result<TasksMetrics> {
        let by_state = declare.gauges("segmentd_tasks", "Tasks of this process by state", &["state"])?;
        for state in states {
            by_state.with_label_values(&[state]);
        }
        let rebalances: IntCounterVec = declare.counters("segmentd_rebalances_total", "Rebalance callbacks by kind", &["kind"])?;
        Ok(TasksMetrics {
            assigned: rebalances.with_label_values(&["assigned"]),
            revoked: rebalances.with_label_values(&["revoked"]),
            lost: rebalances.with_label_values(&["lost"]),
            timers_pending: declare.gauge("segmentd_timers_pending", "Customers with a timer that has not fired")?,
            by_state,
            clock: declare.float_gauges("segmentd_task_clock_timestamp_seconds", "The task clock, in Unix time", &["partition"])?,
            epoch: declare.float_gauges(
                "segmentd_top_sketch_timestamp_seconds",
                "The task clock as of which a task last told where its customers rank, in Unix time",
                &["partition"],
            )?,
            restore_remaining: declare.gauges(
                "segmentd_restore_remaining_records",
                "Changelog records that a task still has to replay",
                &["partition"],
            )?,
            backfill_remaining: declare.gauges(
                "segmentd_backfill_remaining_customers",
                "About how many customers are still to be decided by changed definitions or lists",
                &["partition"],
            )?,
            backfill_customers: declare
                .counter("segmentd_backfill_customers_total", "Customers that were looked at after a change of definitions or lists")?,
            lag: declare.gauges(
                "segmentd_consumer_lag_records",
                "Records of an input partition not yet committed",
                &["topic", "partition"],
            )?,
        })
    }

    /// Tasks in one state of their life cycle.
    pub fn in_state(&self, state: &'static str) -> IntGauge {
        self.by_state.with_label_values(&[state])
    }

    pub fn task(&self, partition: Partition) -> TaskMetrics {
        let partition = partition.0.to_string();
        TaskMetrics {
            clock: self.clock.with_label_values(&[&partition]),
            epoch: self.epoch.with_label_values(&[&partition]),
            restore_remaining: self.restore_remaining.with_label_values(&[&partition]),
            backfill_remaining: self.backfill_remaining.with_label_values(&[&partition]),
        }
    }

    /// Records of an input partition that are not yet committed.
    pub fn lag(&self, topic: &TopicName, partition: Partition) -> IntGauge {
        self.lag.with_label_values(&[&*topic.0, &partition.0.to_string()])
    }

    /// Takes away the series of a task that is no longer here: two processes must not both report its lag.
    pub fn forget(&self, topics: &[TopicName], partition: Partition) {
        let partition = partition.0.to_string();
        // An error says that there was no such series.
        let _ = self.clock.remove_label_values(&[&partition]);
        let _ = self.epoch.remove_label_values(&[&partition]);
        let _ = self.restore_remaining.remove_label_values(&[&partition]);
        let _ = self.backfill_remaining.remove_label_values(&[&partition]);
        for topic in topics {
            let _ = self.lag.remove_label_values(&[&*topic.0, &partition]);
        }
    }
}

impl TaskMetrics {
    /// Shows the task clock; one that has seen nothing is not shown.
    pub fn set_clock(&self, clock: EventTime) {
        show_instant(&self.clock, clock);
    }

    /// Shows as of when the task told where its customers rank.
    pub fn set_epoch(&self, clock: EventTime) {
        show_instant(&self.epoch, clock);
    }
}

fn show_instant(gauge: &Gauge, instant: EventTime) {
    if instant != EventTime::MIN {
        gauge.set(instant.millis() as f64 / 1000.0);
    }
}

impl CommitMetrics {
    pub(super) fn new(declare: &Declare<'_>) -> Result<CommitMetrics> {
        let commits = declare.counters("segmentd_commits_total", "Transactions by result", &["result"])?;
        Ok(CommitMetrics {
            committed: commits.with_label_values(&["committed"]),
            aborted: commits.with_label_values(&["aborted"]),
            unknown: commits.with_label_values(&["unknown"]),
            duration: declare
                .latency("segmentd_commit_duration_seconds", "From the last computed record of a transaction to its commit")?,
        })
    }
}
