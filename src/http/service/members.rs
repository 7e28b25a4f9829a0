//! Who is in a segment, page by page: of this process's partitions, of one of them, or of all that there are.
//!
//! Partitions are gone through in the order of their numbers, customers of one in the order of their ids; of all processes, each
//! partition is asked for of whoever has it. So a cursor means the same everywhere, also after a partition has moved.
//!
//! **Invariant:** a page takes a fifth of a second, and of all processes what one of them may take for an answer more. A partition that
//! is left out is named on the page on which its turn would have come.

use std::time::Duration;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, Uri, header};
use axum::response::Response;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::segments::defined;
use super::together::{Covered, PROCESSES, asks_all};
use super::{Partitions, Shared};
use crate::customer::{Membership, codec};
use crate::http::access::naming;
use crate::http::parameters::Parameters;
use crate::http::peers::{Question, Unreached};
use crate::http::problem::Problem;
use crate::http::room::{json, refused};
use crate::id::{CustomerId, Partition, SegmentKey};
use crate::runtime::clock::Deadline;
use crate::runtime::committed::{Reading, Unread};
use crate::store::StoreError;

/// Customers of one page, unless it is asked for otherwise; and at most.
const CUSTOMERS: (usize, usize) = (100, 1000);
/// How long a page of customers is looked for. Only reading everybody finds who is in a segment.
const LOOKING: Duration = Duration::from_millis(200);
/// Customers that are read at once.
const HEADS: usize = 500;

/// Who is in a segment, by partition and then by id.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Members {
    segment: String,
    /// There may be fewer than `limit`, or none, although more follow.
    customers: Vec<Member>,
    /// Give it back as `cursor` for those that follow; null: these were the last.
    next: Option<String>,
    partitions: Covered,
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Member {
    customer: CustomerId,
    since: String,
    entry: u64,
    sequence: u64,
}

/// What a page is to hold.
#[derive(Clone)]
struct Wanted {
    segment: SegmentKey,
    from: Cursor,
    limit: usize,
    /// `None`: of all that are here.
    only: Option<Partition>,
}

/// Who was looked at last.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Cursor {
    partition: Partition,
    /// The key of its head; empty: nobody of this partition yet.
    after: Vec<u8>,
}

pub async fn members(
    State(shared): State<Shared>,
    key: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    let parameters = Parameters::read(uri.query().unwrap_or_default(), &["cursor", "limit", "partition", PROCESSES])?;
    let limit = parameters.count("limit", CUSTOMERS.0, CUSTOMERS.1)?;
    let cursor = parameters.one("cursor")?.map(|text| Cursor::parse(&text).ok_or_else(|| refused("`cursor` is not one of ours")));
    let only = parameters.one("partition")?.map(|text| text.parse().map(Partition).map_err(|_| refused("`partition` is a number")));
    let (from, only) = (cursor.transpose()?.unwrap_or_else(|| Cursor::before(Partition(0))), only.transpose()?);
    let wanted = Wanted { segment: defined(&shared.service.rules.current(), key)?.key.clone(), from, limit, only };
    let members = if asks_all(&parameters)? {
        everywhere(&shared, wanted, uri.path(), headers.get(header::AUTHORIZATION)).await?
    } else {
        here(&shared, wanted).await?
    };
    Ok(naming(json(&members), members.customers.iter().map(|member| member.customer.as_str())))
}

/// A page of all processes: a stretch of a partition at a time, until it is full or has taken long enough.
async fn everywhere(shared: &Shared, wanted: Wanted, path: &str, token: Option<&HeaderValue>) -> Result<Members, Problem> {
    let deadline = Deadline::after(LOOKING);
    let partitions = Covered::believed(&shared.service).only(wanted.only);
    let mut page = Members { segment: wanted.segment.to_string(), customers: Vec::new(), next: None, partitions };
    for partition in page.partitions.from(wanted.from.partition) {
        let mut from = wanted.from.of(partition);
        loop {
            if page.customers.len() == wanted.limit || deadline.is_past() {
                page.next = Some(from.text());
                return Ok(page);
            }
            let room = wanted.limit - page.customers.len();
            let stretch = Wanted { limit: room, only: Some(partition), from, ..wanted.clone() };
            let found = match of_partition(shared, partition, stretch, path, token).await? {
                Ok(found) => found,
                Err(unreached) => {
                    page.partitions.leave_out(unreached);
                    break;
                }
            };
            page.customers.extend(found.customers);
            match found.next.and_then(|next| Cursor::parse(&next)) {
                Some(next) => from = next,
                None => break,
            }
        }
    }
    Ok(page)
}

/// Members in one partition, from whoever has it. `Err`: who does not answer for it, and why.
async fn of_partition(
    shared: &Shared,
    partition: Partition,
    wanted: Wanted,
    path: &str,
    token: Option<&HeaderValue>,
) -> Result<Result<Members, Unreached>, Problem> {
    let partitions = &shared.service.partitions;
    if partitions.committed.running().contains(&partition) {
        return here(shared, wanted).await.map(Ok);
    }
    let owner = partitions.owners.of(partition).unwrap_or_default();
    let path = format!("{path}?partition={}&limit={}&cursor={}", partition.0, wanted.limit, wanted.from.text());
    let question = Question { path: &path, token, body: None };
    let (answers, silent) = shared.service.peers.ask([(owner.clone(), vec![partition.0])].into(), question).await;
    if let Some(unreached) = silent.into_iter().next() {
        return Ok(Err(unreached));
    }
    let told = answers.into_iter().next().and_then(|answer| serde_json::from_value::<Members>(answer.told).ok());
    let why = match told {
        Some(members) if members.partitions.here == [partition.0] => return Ok(Ok(members)),
        Some(_) => "it does not have them at this moment",
        None => "its answer has another form",
    };
    Ok(Err(Unreached { address: owner.to_string(), partitions: vec![partition.0], why: why.to_owned(), is_at_work: false }))
}

/// A page of this process.
async fn here(shared: &Shared, wanted: Wanted) -> Result<Members, Problem> {
    let partitions = shared.service.partitions.clone();
    shared.looks.look(move || page(&partitions, wanted).map_err(|unread| partitions.problem(unread))).await
}

impl Cursor {
    fn before(partition: Partition) -> Cursor {
        Cursor { partition, after: Vec::new() }
    }

    /// Where a partition is begun that is this one's or comes after it.
    fn of(&self, partition: Partition) -> Cursor {
        if partition == self.partition { self.clone() } else { Cursor::before(partition) }
    }

    fn parse(text: &str) -> Option<Cursor> {
        let (partition, after) = text.split_once('-')?;
        let byte = |at: usize| u8::from_str_radix(after.get(at..at + 2)?, 16).ok();
        let after = (0..after.len()).step_by(2).map(byte).collect::<Option<_>>()?;
        Some(Cursor { partition: Partition(partition.parse().ok()?), after })
    }

    fn text(&self) -> String {
        let after: String = self.after.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{}-{after}", self.partition.0)
    }
}

fn page(partitions: &Partitions, wanted: Wanted) -> Result<Members, Unread> {
    let Wanted { segment, from, limit, only } = wanted;
    let deadline = Deadline::after(LOOKING);
    let covered = partitions.covered().only(only);
    let mut members = Members { segment: segment.to_string(), customers: Vec::new(), next: None, partitions: covered };
    for partition in members.partitions.from(from.partition) {
        let Cursor { mut after, .. } = from.of(partition);
        loop {
            if members.customers.len() == limit || deadline.is_past() {
                members.next = Some(Cursor { partition, after }.text());
                return Ok(members);
            }
            let room = limit - members.customers.len();
            let ((found, last), _) = partitions.committed.read(partition, |reading| stretch(reading, &segment, &after, room))?;
            members.customers.extend(found);
            match last {
                Some(last) => after = last,
                None => break,
            }
        }
    }
    Ok(members)
}

/// A stretch of a partition: up to `room` members, and whoever was looked at last; `None`: there is nobody after them.
fn stretch(reading: &Reading<'_>, key: &SegmentKey, after: &[u8], room: usize) -> Result<(Vec<Member>, Option<Vec<u8>>), StoreError> {
    let Some(hash) = reading.plan.segments.iter().find(|segment| segment.key == *key).map(|segment| segment.hash) else {
        return Ok((Vec::new(), None));
    };
    let heads = reading.view.scan_state(codec::HEADS, Some(after).filter(|after| !after.is_empty()), HEADS)?;
    let mut found = Vec::new();
    for (key, head) in &heads {
        let membership = codec::memberships_of(head).ok().and_then(|mut known| known.find(|(segment, _)| *segment == hash));
        if let Some((customer, (_, membership))) = codec::customer_of(key).zip(membership) {
            found.extend(member(customer, membership));
        }
        if found.len() == room {
            return Ok((found, Some(key.to_vec())));
        }
    }
    Ok((found, heads.last().filter(|_| heads.len() == HEADS).map(|(key, _)| key.to_vec())))
}

fn member(customer: CustomerId, membership: Membership) -> Option<Member> {
    let since = membership.since()?.to_string();
    Some(Member { customer, since, entry: membership.entry(), sequence: membership.sequence })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_back_and_anything_else_is_none() {
        for cursor in [Cursor { partition: Partition(3), after: b"hann\xff/".to_vec() }, Cursor { partition: Partition(0), after: vec![] }]
        {
            assert_eq!(Cursor::parse(&cursor.text()), Some(cursor));
        }
        for text in ["", "3", "x-00", "3-0", "3-zz", "3-é0"] {
            assert_eq!(Cursor::parse(text), None, "{text}");
        }
    }
}
