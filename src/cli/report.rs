//! Shows diagnostics: to a person in colour, to a program as JSON, one object a line.
//!
//! **Invariant:** the last line for a person says how many problems there are, also when not all are shown.

use std::io::{IsTerminal, Write};
use std::path::Path;

use clap::ValueEnum;

use crate::config::ruleset::{self, Ruleset};
use crate::config::{self, Config};
use crate::rule::diagnostic::{Diagnostic, Style, render_all};
use crate::runtime::Settings;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For a person.
    #[default]
    Text,
    /// One object a line.
    Json,
}

/// On stderr, as everything that is not the result of a command.
pub fn complain(diagnostics: &[Diagnostic]) {
    let style = style(std::io::stderr().is_terminal());
    eprint!("{}", render_all(diagnostics, style));
    if !diagnostics.is_empty() {
        eprintln!("{}", summary(diagnostics));
    }
}

/// The configuration that a command was given, or the default one; `None`: refused, and said why.
pub fn configuration(path: Option<&Path>) -> Option<Config> {
    config::load_or_default(path, std::env::vars()).inspect_err(|diagnostics| complain(diagnostics)).ok()
}

/// The definitions that a configuration names; `None`: refused. What is wrong or doubtful about them is said in any case.
pub fn definitions(config: &Config) -> Option<Ruleset> {
    let (ruleset, diagnostics) = ruleset::load_for(config);
    complain(&diagnostics);
    ruleset
}

/// As the service has them with these definitions, the entry topics of segments included.
pub fn settings(config: &Config, ruleset: &Ruleset) -> Settings {
    let settings = config.service_settings();
    settings.take_entry_topics(&ruleset.plan());
    settings
}

/// As JSON on stdout: here the problems are the result.
pub fn print_json(diagnostics: &[Diagnostic]) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    for diagnostic in diagnostics {
        writeln!(out, "{}", serde_json::to_string(diagnostic)?)?;
    }
    Ok(())
}

/// `loyal.yaml:4:31: there is no stream …`
pub fn in_a_line(diagnostic: &Diagnostic) -> String {
    let place = diagnostic.location.as_ref().map(|location| format!("{location}: ")).unwrap_or_default();
    format!("{place}{}", diagnostic.message)
}

/// `2 errors, 1 warning`
pub fn summary(diagnostics: &[Diagnostic]) -> String {
    let errors = diagnostics.iter().filter(|d| d.is_error()).count();
    let counts = [(errors, "error"), (diagnostics.len() - errors, "warning")];
    let parts: Vec<_> =
        counts.iter().filter(|(n, _)| *n > 0).map(|(n, word)| format!("{n} {word}{}", if *n == 1 { "" } else { "s" })).collect();
    parts.join(", ")
}

/// Colours for a terminal, unless the environment asks for none (<https://no-color.org>).
fn style(terminal: bool) -> Style {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    if terminal && !refused { Style::Coloured } else { Style::Plain }
}
