//! Everything that is to be tested: pages of files and of definitions, and the plans that they run over.
//!
//! **Invariant:** what keeps a test from being run is a diagnostic, and then the suite has failed.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use indicatif::ProgressBar;

use super::Args;
use super::result::TestResult;
use crate::config::ruleset;
use crate::event::Catalogue;
use crate::id::ListKey;
use crate::plan::{self, List, Plan};
use crate::rule::Definitions;
use crate::rule::definition::{self, is_test};
use crate::rule::diagnostic::Diagnostic;
use crate::scenario::{self, Written};

/// With fewer tests nobody waits.
const PROGRESS_FROM: usize = 500;

/// What there is to test, and everything that keeps a part of it from being tested.
pub struct Suite {
    catalogue: Arc<Catalogue>,
    /// Those beside the tests, with the lists that they know.
    definitions: Option<Definitions>,
    lists: HashMap<ListKey, List>,
    pub tests: Vec<Written>,
    pub diagnostics: Vec<Diagnostic>,
}

impl Suite {
    pub fn read(args: &Args) -> Suite {
        let (catalogue, mut diagnostics) = ruleset::catalogue(args.around.streams());
        let (sources, unreadable) = definition::test_sources(&args.paths);
        diagnostics.extend(unreadable);
        let mut tests = Vec::new();
        for source in &sources {
            let (pages, problems) = scenario::read(source, &catalogue);
            tests.extend(pages);
            diagnostics.extend(problems);
        }
        let mut suite = Suite { catalogue: Arc::new(catalogue), definitions: None, lists: HashMap::new(), tests, diagnostics };
        if suite.diagnostics.is_empty() {
            suite.read_definitions(args);
        }
        suite
    }

    fn read_definitions(&mut self, args: &Args) {
        let lonely = self.tests.iter().any(|test| !test.has_segments());
        let paths = definition_paths(&args.paths, lonely);
        let (sources, unreadable) = definition::sources(&paths);
        if sources.is_empty() && unreadable.is_empty() && !lonely {
            return;
        }
        let (ruleset, problems) = args.around.load(&paths);
        // Warnings are for `check`.
        self.diagnostics.extend(problems.into_iter().filter(Diagnostic::is_error));
        let Some(ruleset) = ruleset else { return };
        let (pages, problems) = scenario::read_tests(&ruleset.definitions, &self.catalogue);
        self.tests.extend(pages);
        self.diagnostics.extend(problems);
        self.lists = ruleset.all_lists().into_iter().collect();
        self.definitions = Some(ruleset.definitions);
    }

    /// The result of every test that could be run; what could not is among the diagnostics.
    pub fn results(&mut self) -> Vec<TestResult> {
        let bar = if self.tests.len() < PROGRESS_FROM { ProgressBar::hidden() } else { ProgressBar::new(self.tests.len() as u64) };
        let together = self.definitions.as_ref().map(|definitions| self.compile(definitions, &HashMap::new()));
        let mut results = Vec::new();
        for test in &self.tests {
            match self.plan(test, together.as_ref()) {
                Ok(Some(plan)) => results.push(TestResult::of(test, &plan)),
                Ok(None) => {}
                Err(problems) => self.diagnostics.extend(problems),
            }
            bar.inc(1);
        }
        bar.finish_and_clear();
        results
    }

    /// What a test runs over; `None`: definitions that are broken, as was reported.
    fn plan(&self, test: &Written, together: Option<&Arc<Plan>>) -> Result<Option<Arc<Plan>>, Vec<Diagnostic>> {
        let own: HashMap<ListKey, List> = test.page.lists.iter().map(|(key, ids)| (key.clone(), ids.iter().cloned().collect())).collect();
        let plan = if test.has_segments() {
            let loaded = test.definitions(&self.catalogue);
            let definitions = loaded.definitions.ok_or(loaded.diagnostics)?;
            Some(Arc::new(plan::compile(&definitions, self.catalogue.clone(), own.into_iter().collect())))
        } else if own.is_empty() {
            together.cloned()
        } else {
            self.definitions.as_ref().map(|definitions| self.compile(definitions, &own))
        };
        let Some(plan) = plan else { return Ok(None) };
        let unknown = test.unknown_segments(&plan);
        if unknown.is_empty() { Ok(Some(plan)) } else { Err(unknown) }
    }

    /// The definitions compiled with their lists, of which those in `instead` are replaced.
    fn compile(&self, definitions: &Definitions, instead: &HashMap<ListKey, List>) -> Arc<Plan> {
        let list = |(key, customers): (&ListKey, &List)| (key.clone(), instead.get(key).unwrap_or(customers).clone());
        Arc::new(plan::compile(definitions, self.catalogue.clone(), self.lists.iter().map(list).collect()))
    }
}

/// Where definitions are looked for: `beside`, also in the folders of the files of tests.
fn definition_paths(paths: &[PathBuf], beside: bool) -> Vec<PathBuf> {
    let (tests, mut found): (Vec<&PathBuf>, Vec<PathBuf>) =
        (paths.iter().filter(|path| is_test(path)).collect(), paths.iter().filter(|path| !is_test(path)).cloned().collect());
    for folder in tests.into_iter().filter(|_| beside).filter_map(|test| test.parent()) {
        let folder = if folder == Path::new("") { Path::new(".") } else { folder };
        if !found.iter().any(|path| is_within(folder, path)) {
            found.retain(|path| !is_within(path, folder));
            found.push(folder.to_owned());
        }
    }
    found
}

/// Whether `path` is `folder` or below it, however both are written.
fn is_within(path: &Path, folder: &Path) -> bool {
    matches!((path.canonicalize(), folder.canonicalize()), (Ok(path), Ok(folder)) if path.starts_with(&folder))
}
