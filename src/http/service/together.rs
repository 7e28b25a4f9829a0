//! An answer about the whole deployment: this process's own, and what the others say to the same question, added up.
//!
//! `?processes=all` asks for it, `here` (or nothing) for this process alone; that is how the others are asked, so the question
//! goes one step.
//!
//! **Invariant:** no partition is counted twice, and none is left out silently: an answer says which partitions it is about, whether
//! these are all, and of each process that is not in it why.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::http::{HeaderMap, Uri, header};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Partitions, Service, Shared};
use crate::http::parameters::Parameters;
use crate::http::peers::{Answer, Peers, Question, Unreached};
use crate::http::problem::Problem;
use crate::http::room::{later, refused};
use crate::id::Partition;

/// The parameter by which others are asked too.
pub const PROCESSES: &str = "processes";

/// Which partitions an answer is about.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Covered {
    /// These: owned, and readable.
    pub here: Vec<i32>,
    /// How many there are.
    pub of: u32,
    /// Some are missing.
    partial: bool,
    /// Processes that were to be asked and are not in the answer. Absent: there is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    unreached: Vec<Unreached>,
}

/// An answer to which another process's answer to the same question can be added.
pub trait Sum: DeserializeOwned {
    /// The partitions that it is about.
    fn covered(&mut self) -> &mut Covered;

    /// Errors: why the two cannot be added up; nothing was added then.
    fn add(&mut self, theirs: Self) -> Result<(), String>;
}

/// What other processes say; nothing where none was asked.
#[derive(Default)]
pub struct Others {
    answers: Vec<Answer>,
    unreached: Vec<Unreached>,
}

/// What they say to the question of this request, if it is one to all.
pub async fn others(shared: &Shared, parameters: &Parameters, uri: &Uri, headers: &HeaderMap) -> Result<Others, Problem> {
    others_to(shared, parameters, Question { path: &of_one(uri), token: headers.get(header::AUTHORIZATION), body: None }).await
}

/// The same of a question in other words.
pub async fn others_to(shared: &Shared, parameters: &Parameters, question: Question<'_>) -> Result<Others, Problem> {
    if !asks_all(parameters)? {
        return Ok(Others::default());
    }
    let peers = &shared.service.peers;
    let (answers, unreached) = peers.ask(elsewhere(&shared.service.partitions, peers), question).await;
    Ok(Others { answers, unreached })
}

pub fn asks_all(parameters: &Parameters) -> Result<bool, Problem> {
    match parameters.one(PROCESSES)?.as_deref() {
        None | Some("here") => Ok(false),
        Some("all") => Ok(true),
        Some(_) => Err(refused("`processes` is `all` or `here`")),
    }
}

/// Partitions that others are believed to have, by their addresses.
pub fn elsewhere(partitions: &Partitions, peers: &Peers) -> BTreeMap<Arc<str>, Vec<i32>> {
    let here = partitions.committed.running();
    let mut owned: BTreeMap<Arc<str>, Vec<i32>> = BTreeMap::new();
    for partition in (0..partitions.committed.partitions()).filter_map(|number| i32::try_from(number).ok()) {
        let owner = partitions.owners.of(Partition(partition)).filter(|owner| peers.own.as_ref() != Some(owner));
        if let Some(owner) = owner.filter(|_| !here.contains(&Partition(partition))) {
            owned.entry(owner).or_default().push(partition);
        }
    }
    owned
}

/// The same question, to one process alone.
pub fn of_one(uri: &Uri) -> String {
    let is_other = |parameter: &&str| parameter.split('=').next() != Some(PROCESSES);
    let query: Vec<&str> = uri.query().unwrap_or_default().split('&').filter(is_other).filter(|parameter| !parameter.is_empty()).collect();
    if query.is_empty() { uri.path().to_owned() } else { format!("{}?{}", uri.path(), query.join("&")) }
}

impl Covered {
    pub fn new(here: impl IntoIterator<Item = i32>, of: u32) -> Covered {
        let here: Vec<i32> = here.into_iter().collect();
        Covered { partial: here.len() < of as usize, here, of, unreached: Vec::new() }
    }

    /// Of these partitions one alone, if it is said which.
    pub fn only(mut self, partition: Option<Partition>) -> Covered {
        self.here.retain(|here| partition.is_none_or(|only| only.0 == *here));
        self.settle();
        self
    }

    /// Of a process that has no answer of its own.
    fn nothing(service: &Service) -> Covered {
        let committed = &service.partitions.committed;
        let partitions: Vec<i32> = committed.running().iter().map(|partition| partition.0).collect();
        let address = service.peers.own.as_deref().unwrap_or_default().to_owned();
        let unready = Unreached { address, partitions, why: "it cannot tell of them yet".into(), is_at_work: false };
        let unreached = Some(unready).filter(|unready| !unready.partitions.is_empty()).into_iter().collect();
        Covered { unreached, ..Covered::new([], committed.partitions()) }
    }

    fn nobody(&self) -> Problem {
        let problem = later("no partition is ready here, or what is asked for is still being read; ask again");
        if self.unreached.is_empty() { problem } else { problem.with("unreached", json!(self.unreached)) }
    }

    /// Of all partitions that are ready here or that somebody else is believed to have.
    pub fn believed(service: &Service) -> Covered {
        let others = elsewhere(&service.partitions, &service.peers);
        let mut covered = service.partitions.covered();
        covered.here.extend(others.into_values().flatten());
        covered.settle();
        covered
    }

    /// Those that are in it, from one on.
    pub fn from(&self, first: Partition) -> Vec<Partition> {
        self.here.iter().copied().map(Partition).filter(|partition| *partition >= first).collect()
    }

    /// Some of them are not in the answer after all.
    pub fn leave_out(&mut self, unreached: Unreached) {
        self.here.retain(|partition| !unreached.partitions.contains(partition));
        match self.unreached.iter_mut().find(|known| (&known.address, &known.why) == (&unreached.address, &unreached.why)) {
            Some(known) => known.partitions.extend(unreached.partitions),
            None => self.unreached.push(unreached),
        }
        self.settle();
    }

    fn settle(&mut self) {
        self.here.sort_unstable();
        self.partial = self.here.len() < self.of as usize;
    }

    /// Takes in the partitions of another answer.
    ///
    /// Errors: why the two cannot be added up.
    fn admit(&self, theirs: &Covered) -> Result<(), String> {
        if theirs.of != self.of {
            return Err(format!("it knows of {} partitions, and this process of {}", theirs.of, self.of));
        }
        match theirs.here.iter().find(|partition| self.here.contains(partition)) {
            Some(twice) => Err(format!("partition {twice} is moving: two processes have it")),
            None => Ok(()),
        }
    }
}

impl Others {
    pub fn new(answers: Vec<Answer>, unreached: Vec<Unreached>) -> Others {
        Others { answers, unreached }
    }

    /// All answers as one: this process's own and theirs; theirs alone where it has none (`None`).
    ///
    /// Errors: nobody has one.
    pub fn sum<T: Sum>(self, own: Option<T>, service: &Service) -> Result<T, Problem> {
        let mut sum = own;
        let mut covered = match &mut sum {
            Some(own) => std::mem::take(own.covered()),
            None => Covered::nothing(service),
        };
        self.add(&mut covered, |_, theirs: T| match &mut sum {
            Some(sum) => sum.add(theirs),
            None => {
                sum = Some(theirs);
                Ok(())
            }
        });
        let Some(mut sum) = sum else { return Err(covered.nobody()) };
        *sum.covered() = covered;
        Ok(sum)
    }

    /// Adds up. `add` takes the address of a process and its answer, or says why it cannot be added.
    pub fn add<T: DeserializeOwned>(self, covered: &mut Covered, mut add: impl FnMut(&str, T) -> Result<(), String>) {
        covered.unreached.extend(self.unreached);
        for Answer { address, partitions, told } in self.answers {
            let theirs = Covered::deserialize(&told["partitions"]).map_err(|_| "its answer has another form".to_owned());
            let added = theirs.and_then(|theirs| {
                covered.admit(&theirs)?;
                let told = serde_json::from_value(told).map_err(|_| "its answer has another form")?;
                add(&address, told).map(|()| theirs.here)
            });
            let (why, here) = match added {
                Ok(here) => ("it does not have them at this moment".to_owned(), here),
                Err(why) => (why, Vec::new()),
            };
            let missing: Vec<i32> = partitions.into_iter().filter(|partition| !here.contains(partition)).collect();
            if !missing.is_empty() {
                covered.unreached.push(Unreached { address: address.to_string(), partitions: missing, why, is_at_work: false });
            }
            covered.here.extend(here);
        }
        covered.settle();
    }

    /// Some of them are at work on their answers.
    pub fn are_at_work(&self) -> bool {
        self.unreached.iter().any(|unreached| unreached.is_at_work)
    }
}

/// Adds counts by their names.
pub fn add_counts(sums: &mut BTreeMap<String, u64>, counts: &BTreeMap<String, u64>) {
    counts.iter().for_each(|(name, count)| *sums.entry(name.clone()).or_default() += count);
}

/// Which of these keys are not the same in both.
///
/// Errors: a sentence on it.
pub fn same<T: Ord>(ours: impl Iterator<Item = T>, theirs: impl Iterator<Item = T>) -> Result<(), String> {
    let (ours, theirs): (BTreeSet<T>, BTreeSet<T>) = (ours.collect(), theirs.collect());
    if ours == theirs { Ok(()) } else { Err("it has other definitions at this moment".into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(answers: &[(&str, &[i32], serde_json::Value)], here: &[i32], unreached: &[(&[i32], &str)]) {
        let answer = |(address, partitions, told): &(&str, &[i32], serde_json::Value)| Answer {
            address: (*address).into(),
            partitions: partitions.to_vec(),
            told: told.clone(),
        };
        let mut covered = Covered::new([0], 4);
        let others = Others { answers: answers.iter().map(answer).collect(), unreached: vec![] };
        others.add(&mut covered, |_, told: serde_json::Value| if told["bad"].is_null() { Ok(()) } else { Err("bad".into()) });
        assert_eq!((covered.here.as_slice(), covered.partial), (here, here.len() < 4));
        let found: Vec<_> = covered.unreached.iter().map(|one| (one.partitions.as_slice(), one.why.as_str())).collect();
        assert_eq!(found, unreached);
    }

    fn of(here: &[i32]) -> serde_json::Value {
        json!({"partitions": {"here": here, "of": 4, "partial": true}})
    }

    #[test]
    fn answers_of_other_partitions_are_added_up() {
        check(&[("b", &[3, 1], of(&[1, 3])), ("c", &[2], of(&[2]))], &[0, 1, 2, 3], &[]);
        check(&[("b", &[1], of(&[1]))], &[0, 1], &[]);
    }

    #[test]
    fn a_partition_that_moves_is_not_counted_twice_and_what_is_left_out_is_named() {
        check(&[("b", &[1], of(&[0, 1]))], &[0], &[(&[1], "partition 0 is moving: two processes have it")]);
        check(&[("b", &[1, 2], of(&[2]))], &[0, 2], &[(&[1], "it does not have them at this moment")]);
        check(&[("b", &[1], json!({"bad": 1, "partitions": {"here": [1], "of": 4, "partial": true}}))], &[0], &[(&[1], "bad")]);
        check(&[("b", &[1], json!({}))], &[0], &[(&[1], "its answer has another form")]);
        let larger = json!({"partitions": {"here": [1], "of": 8, "partial": true}});
        check(&[("b", &[1], larger)], &[0], &[(&[1], "it knows of 8 partitions, and this process of 4")]);
    }

    #[test]
    fn the_question_goes_one_step() {
        for (asked, expected) in
            [("/a?processes=all", "/a"), ("/a%20b?step=1d&processes=all&from=x", "/a%20b?step=1d&from=x"), ("/a?x=1", "/a?x=1")]
        {
            assert_eq!(of_one(&asked.parse().unwrap()), expected);
        }
    }
}
