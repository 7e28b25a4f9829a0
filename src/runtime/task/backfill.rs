//! Which of a partition's customers other definitions, or other lists, have decided; the scan that decides them anew.
//!
//! After a change of definitions every customer whose state says another plan is decided by the new one; after a change
//! of a list, those who came on it or left it. The scan goes through the store in the order of its keys, a slice at a
//! time between the batches of live events. A customer that an event or a timer wants before goes on by what both plans have in
//! common; where nothing is, or the plan before is not known (the process has started with the new one), it is decided then.
//!
//! ```text
//!     first key ├── decided by this plan and these lists ──┤ cursor ├── whatever their states say ──┤ last key
//! ```
//!
//! **Invariant:** the cursor goes into the manifest with the states that it has passed, in one transaction: wherever the
//! task goes on, nobody is passed over. What no manifest says to be decided is looked at.

use std::sync::Arc;

use crate::customer::codec;
use crate::id::{CustomerId, ListKey};
use crate::plan::{Common, List, Plan};
use crate::runtime::changelog::Decided;
use crate::transition::Cause;

/// A scan under way.
pub struct Backfill {
    /// Key of the head that was looked at last.
    after: Option<Vec<u8>>,
    lists: Lists,
    /// By what customers of the plan before may go on until the scan comes to them.
    common: Option<Arc<Common>>,
    pub seen: Seen,
}

/// What a scan has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    pub looked_at: u64,
    pub decided: u64,
}

/// Whose lists are others than when they were decided.
enum Lists {
    Same,
    /// Both are known: who is on one and not on the other.
    Changed {
        before: Arc<Vec<(ListKey, List)>>,
        after: Arc<Vec<(ListKey, List)>>,
        pairs: Vec<(usize, usize)>,
    },
    /// Anybody.
    Unknown,
}

/// By this plan and its lists, everywhere.
pub fn decided_by(plan: &Plan) -> Decided {
    let lists = match plan.lists_fingerprint() {
        0 => String::new(),
        lists => format!("{lists:016x}"),
    };
    Decided { definitions: format!("{:016x}", plan.fingerprint), lists, ..Decided::default() }
}

impl Backfill {
    /// What is still to be done on a partition that was left as `then`; `None`: nothing.
    pub fn since(then: &Decided, now: &Decided) -> Option<Backfill> {
        if *then == Decided::default() {
            // No transaction has ever written here: there is nobody.
            return None;
        }
        let same_lists = then.lists == now.lists;
        let lists = |same: bool| if same || now.lists.is_empty() { Lists::Same } else { Lists::Unknown };
        if then.definitions != now.definitions || !same_lists {
            return Some(Backfill::over(None, lists(same_lists && then.scanned_to.is_none())));
        }
        let after = codec::head_key(&CustomerId::new(then.scanned_to.as_deref()?));
        Some(Backfill::over(Some(after), lists(false)))
    }

    /// What a change from one plan to another leaves to be done, if `running` was still to be finished.
    pub fn between(before: &Plan, after: &Plan, running: Option<Backfill>) -> Option<Backfill> {
        let pairs = after.lists_changed(before);
        let lists_stood = pairs.is_empty();
        let lists = match &running {
            Some(Backfill { lists: Lists::Changed { .. } | Lists::Unknown, .. }) => Lists::Unknown,
            _ if lists_stood => Lists::Same,
            _ => Lists::Changed { before: before.lists.clone(), after: after.lists.clone(), pairs },
        };
        if before.fingerprint == after.fingerprint && lists_stood {
            return running;
        }
        let common = matches!(lists, Lists::Same).then(|| after.common_with(before)).flatten().map(Arc::new);
        Some(Backfill { common, ..Backfill::over(None, lists) })
    }

    /// By what a customer goes on whom the plan of this fingerprint has decided.
    pub fn common(&self, fingerprint: u64) -> Option<&Arc<Common>> {
        self.common.as_ref().filter(|common| common.continues(fingerprint))
    }

    fn over(after: Option<Vec<u8>>, lists: Lists) -> Backfill {
        Backfill { after, lists, common: None, seen: Seen::default() }
    }

    pub fn cursor(&self) -> Option<&[u8]> {
        self.after.as_deref()
    }

    /// The customer that the scan has come to, as a manifest says it: the empty id stands before everybody.
    pub fn scanned_to(&self) -> String {
        self.after.as_deref().and_then(codec::customer_of).map_or(String::new(), |customer| customer.as_str().to_owned())
    }

    /// The scan has come to the head under this key.
    pub fn pass(&mut self, key: &[u8], decided: bool) {
        self.after = Some(key.to_vec());
        self.seen.looked_at += 1;
        self.seen.decided += u64::from(decided);
    }

    /// The customer is erased: its id must not stand in the manifests to come. Where the scan had come to just that customer
    /// it begins again, which decides nobody otherwise.
    pub fn forget(&mut self, customer: &CustomerId) {
        if self.after.as_deref() == Some(&codec::head_key(customer)) {
            self.after = None;
        }
    }

    /// Its state was decided with other lists than these.
    pub fn is_relisted(&self, customer: &CustomerId) -> bool {
        let passed = || self.after.as_deref().is_some_and(|after| *codec::head_key(customer) <= *after);
        match &self.lists {
            Lists::Same => false,
            Lists::Unknown => !passed(),
            Lists::Changed { before, after, pairs } => {
                pairs.iter().any(|(was, is)| before[*was].1.contains(customer) != after[*is].1.contains(customer)) && !passed()
            }
        }
    }
}

/// Why a customer has to be decided anew, if it has to. `current`: this plan has decided it.
pub fn redecide(backfill: Option<&Backfill>, customer: &CustomerId, current: bool) -> Option<Cause> {
    if !current {
        return Some(Cause::Definition);
    }
    backfill.is_some_and(|backfill| backfill.is_relisted(customer)).then_some(Cause::List)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decided(definitions: &str, lists: &str, scanned_to: Option<&str>) -> Decided {
        Decided { definitions: definitions.into(), lists: lists.into(), scanned_to: scanned_to.map(Into::into), cuts: None }
    }

    /// Where a scan begins, and whether it decides those anew whom this plan has decided.
    fn check(then: Decided, now: Decided, expected: Option<(Option<&str>, bool)>) {
        let found = Backfill::since(&then, &now);
        let found = found.as_ref().map(|backfill| (backfill.cursor(), backfill.is_relisted(&"zoe".into())));
        assert_eq!(found, expected.map(|(after, lists)| (after.map(str::as_bytes), lists)));
    }

    #[test]
    fn nothing_is_scanned_where_nothing_changed_or_nobody_ever_was() {
        check(Decided::default(), decided("a", "x", None), None);
        check(decided("a", "x", None), decided("a", "x", None), None);
    }

    #[test]
    fn a_scan_goes_on_where_it_was_left() {
        check(decided("a", "", Some("bob")), decided("a", "", None), Some((Some("hbob"), false)));
        check(decided("a", "x", Some("bob")), decided("a", "x", None), Some((Some("hbob"), true)));
    }

    #[test]
    fn a_scan_of_other_definitions_or_lists_begins_anew() {
        check(decided("a", "", Some("bob")), decided("b", "", None), Some((None, false)));
        check(decided("a", "x", None), decided("b", "x", None), Some((None, false)));
        check(decided("a", "x", Some("bob")), decided("b", "x", None), Some((None, true)));
        check(decided("a", "x", None), decided("a", "y", None), Some((None, true)));
        check(decided("a", "x", None), decided("a", "", None), Some((None, false)));
    }
}
