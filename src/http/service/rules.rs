//! The definitions in force, as their authors wrote them, for those who look at them.
//!
//! **Invariant:** definitions and plan are of one load. Lanes change over to a plan a moment after it stands here.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use crate::id::{ListKey, TopicName};
use crate::plan::Plan;
use crate::rule::Definitions;

/// What was loaded together.
pub struct Rules {
    pub definitions: Definitions,
    pub plan: Arc<Plan>,
    /// Lists that stand in topics; the others stand in files.
    pub list_topics: BTreeMap<ListKey, TopicName>,
}

/// Those of now. Cheap to clone.
#[derive(Clone)]
pub struct InForce(Arc<RwLock<Arc<Rules>>>);

impl InForce {
    pub fn new(rules: Rules) -> InForce {
        InForce(Arc::new(RwLock::new(Arc::new(rules))))
    }

    pub fn current(&self) -> Arc<Rules> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn replace(&self, rules: Rules) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(rules);
    }
}
