//! The broker inside the process, with the topics that the service needs, and a reader of its transitions.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaResult;
use rdkafka::message::Message;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::{Offset, TopicPartitionList};

use crate::config::ConfigFile;
use crate::kafka::settings::Logged;

/// So many customers at once that partitions matter, so few that the broker keeps up.
const PARTITIONS: i32 = 4;

pub struct Broker {
    cluster: MockCluster<'static, DefaultProducerContext>,
    transitions: String,
}

impl Broker {
    /// With every topic of the default configuration: this broker cannot be asked to create any.
    pub fn start() -> KafkaResult<Broker> {
        let cluster = MockCluster::new(1)?;
        let ConfigFile { input, output, state, .. } = ConfigFile::default();
        let own = [&state.changelog, &state.repartition, &state.ranks];
        let outputs = [&output.transitions, &output.entries, &output.membership, &output.dead_letters].into_iter().chain(own);
        for topic in input.topics.iter().chain(outputs) {
            cluster.create_topic(topic, PARTITIONS, 1)?;
        }
        Ok(Broker { cluster, transitions: output.transitions })
    }

    pub fn bootstrap(&self) -> String {
        self.cluster.bootstrap_servers()
    }

    /// Reads the transitions from the first one on.
    pub fn reader(&self) -> anyhow::Result<Reader> {
        let mut config = rdkafka::ClientConfig::new();
        config.set("bootstrap.servers", self.bootstrap()).set("group.id", "demo-screen").set("fetch.wait.max.ms", "20");
        let consumer: BaseConsumer<Logged> = config.create_with_context(Logged)?;
        let mut list = TopicPartitionList::new();
        for partition in 0..PARTITIONS {
            list.add_partition_offset(&self.transitions, partition, Offset::Beginning)?;
        }
        consumer.assign(&list)?;
        Ok(Reader(consumer))
    }
}

pub struct Reader(BaseConsumer<Logged>);

impl Reader {
    /// The value of the next transition, if one comes within `wait`.
    pub fn next(&mut self, wait: Duration) -> Option<Vec<u8>> {
        let record = self.0.poll(wait)?.ok()?;
        record.payload().map(<[u8]>::to_vec)
    }
}
