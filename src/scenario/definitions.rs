//! A page's segments as definitions: through the same loader, and with the same checks, as a user's files.
//!
//! **Invariant:** a page cannot define what a file could not.

use super::Page;
use crate::event::Catalogue;
use crate::rule::{Loaded, Names, load_text};

/// What stands on a page beside `segments` and `lists`.
const BESIDE: [&str; 4] = ["name", "events", "until", "expect"];

impl Page {
    /// Loads and checks the page's segments; places in diagnostics are those of the page as [`Page::to_yaml`] writes it.
    pub fn definitions(&self, catalogue: &Catalogue) -> Loaded {
        load_text(&self.name, &self.to_yaml(catalogue), Names { catalogue, lists: &[] }, &BESIDE)
    }
}
