//! Customers who are ranked: the n-th spends the square of n in each round, so that their order never changes while the cut
//! moves with every round.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use segmentd::runtime::changelog::{Entry, InForce};
use segmentd::time::EventTime;

use super::client::read_all;
use super::scene::{CUSTOMERS, Scene};
use super::service::{CHANGELOG, INPUT, TRANSITIONS};

/// What is known of one customer: sequences in order of the transitions.
type Told = BTreeMap<String, Vec<u64>>;

impl Scene {
    /// An order of every customer.
    pub fn send_ranked_orders(&self, minute: usize) {
        for customer in 0..CUSTOMERS {
            let properties = format!(r#""order_id":"o-{customer}-{minute}","total":{}"#, square(customer));
            self.send_event("Order Completed", minute, customer, &properties);
        }
        self.flush();
    }

    fn send_event(&self, event: &str, minute: usize, customer: usize, properties: &str) {
        let at = EventTime::from_millis(1_767_225_600_000 + minute as i64 * 60_000);
        let value = format!(
            r#"{{"type":"track","event":"{event}","messageId":"{event}-{customer}-{minute}","userId":"c-{customer}","timestamp":"{at}","properties":{{{properties}}}}}"#
        );
        self.send(INPUT, None, &format!("c-{customer}"), Some(value.as_bytes()));
    }

    /// Lets the clocks go on until every partition decides by the same cut, and the best quarter are those who spend most; the
    /// minute that comes next.
    pub fn await_ranks(&self, minute: usize, patience: Duration) -> usize {
        let deadline = Instant::now() + patience;
        let best: BTreeSet<String> = (CUSTOMERS * 3 / 4..CUSTOMERS).map(|n| format!("c-{n}")).collect();
        let mut minutes = minute..;
        loop {
            let minute = minutes.next().expect("a minute");
            (0..CUSTOMERS).for_each(|customer| self.send_event("Session Started", minute, customer, ""));
            self.flush();
            std::thread::sleep(Duration::from_millis(1_200));
            let (cuts, members) = (self.cuts(), self.members());
            let settled =
                cuts.len() == 4 && cuts.iter().all(|cut| *cut == InForce { found: cut.found, ..cuts[0].clone() } && cut.before.is_none());
            if settled && members == best {
                return minute + 1;
            }
            assert!(Instant::now() < deadline, "{cuts:?}\n{members:?}\n{}", self.logs());
        }
    }

    /// Of each partition's last manifest.
    fn cuts(&self) -> Vec<InForce> {
        let mut found = BTreeMap::new();
        for record in read_all(self.broker.bootstrap(), CHANGELOG) {
            if let Ok(Entry::Manifest(manifest)) = Entry::read(record.key.as_deref(), record.value.as_deref()) {
                found.insert(record.partition, manifest.decided.cuts);
            }
        }
        found.into_values().flatten().collect()
    }

    fn members(&self) -> BTreeSet<String> {
        let told = self.sequences();
        told.into_iter().filter(|(_, sequences)| sequences.len() % 2 == 1).map(|(customer, _)| customer).collect()
    }

    /// Nobody entered or left twice in a row, and nothing is missing in between.
    pub fn assert_alternating(&self) {
        let told = self.sequences();
        assert!(told.values().any(|sequences| sequences.len() > 2), "no cut ever put anybody out: {told:?}");
        for (customer, sequences) in told {
            assert!(sequences.iter().copied().eq(1..=sequences.len() as u64), "{customer}: {sequences:?}\n{}", self.logs());
        }
    }

    fn sequences(&self) -> Told {
        let mut told = Told::new();
        for record in read_all(self.broker.bootstrap(), TRANSITIONS) {
            let properties = &record.json()["properties"];
            let (customer, sequence) = (properties["customer"].as_str().expect("a customer"), properties["sequence"].as_u64());
            told.entry(customer.to_owned()).or_default().extend(sequence);
        }
        told
    }
}

fn square(customer: usize) -> usize {
    10 * (customer + 1) * (customer + 1)
}
