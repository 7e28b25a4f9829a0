//! What each part of the program is told of the configuration.
//!
//! **Invariant:** nothing is decided here: every value stands in the [`Config`] already.

use super::meaning::{Config, Secret};
use crate::history;
use crate::http::peers::Peers;
use crate::id::TopicName;
use crate::kafka::settings::Settings;
use crate::replica;
use crate::runtime;
use crate::runtime::owners::Advertised;

impl Config {
    /// How to reach Kafka, secrets included.
    pub fn kafka_settings(&self) -> Settings {
        Settings {
            bootstrap: self.kafka.bootstrap.clone(),
            deployment: self.deployment.clone(),
            group_instance_id: self.kafka.group_instance_id.clone(),
            properties: self.kafka.properties.iter().map(|(name, Secret(value))| (name.clone(), value.clone())).collect(),
            embedded: false,
        }
    }

    /// Every topic by the setting that names it.
    pub fn topics(&self) -> impl Iterator<Item = (String, &TopicName)> {
        let output = &self.output;
        let inputs = self.input.topics.iter().enumerate().map(|(i, topic)| (format!("input.topics.{i}"), topic));
        let named = [
            ("output.transitions", &output.transitions),
            ("output.entries", &output.entries),
            ("output.membership", &output.membership),
            ("output.dead_letters", &output.dead_letters),
            ("state.changelog", &self.state.changelog),
            ("state.repartition", &self.state.repartition),
            ("state.ranks", &self.state.ranks),
        ];
        inputs.chain(named.map(|(setting, topic)| (setting.to_owned(), topic)))
    }

    /// The topic that says which process owns which partition.
    fn owners(&self) -> TopicName {
        TopicName(format!("{}-owners", self.deployment).into())
    }

    /// Everything that a read replica is told.
    pub fn replica_settings(&self) -> replica::Settings {
        replica::Settings {
            kafka: self.kafka_settings(),
            topic: self.output.membership.clone(),
            dir: self.state.dir.join("replica"),
            memory_bytes: self.state.memory_bytes,
        }
    }

    /// Everything that the history is told; `None`: there is none.
    pub fn history_settings(&self) -> Option<history::Settings> {
        let (kafka, topic) = (self.kafka_settings(), self.output.transitions.clone());
        self.history.map(|keep| history::Settings { kafka, topic, dir: self.state.dir.join("history"), keep })
    }

    /// How the other processes of the deployment are asked.
    pub fn peers(&self) -> Peers {
        let own = self.advertise.as_deref().map(Into::into);
        Peers { own, tls: self.access.identity.is_some(), authority: self.access.authority.clone() }
    }

    /// Everything that the service is told, but for the topics that segments have for themselves.
    pub fn service_settings(&self) -> runtime::Settings {
        let output = |topic: &TopicName| runtime::Topic::named(&topic.0);
        runtime::Settings {
            kafka: self.kafka_settings(),
            topics: runtime::Topics {
                inputs: self.input.topics.clone(),
                transitions: output(&self.output.transitions),
                entries: output(&self.output.entries),
                own_entries: Default::default(),
                membership: output(&self.output.membership),
                dead_letters: output(&self.output.dead_letters),
                changelog: self.state.changelog.clone(),
                repartition: self.state.repartition.clone(),
                ranks: self.state.ranks.clone(),
                partitions: 0,
            },
            create_topics: self.kafka.create_topics,
            start: self.input.start,
            state_dir: self.state.dir.clone(),
            state_memory: self.state.memory_bytes,
            commit: self.commit,
            clock: self.clock,
            epoch: self.epoch,
            limits: self.limits,
            lanes: self.lanes,
            advertised: self.advertise.clone().map(|address| Advertised { topic: self.owners(), address }),
        }
    }
}
