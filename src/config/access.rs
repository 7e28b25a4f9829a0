//! Who may ask over HTTP: a file of tokens by their hashes, and the certificate that the server shows; and the key by which
//! it is written down of whom they asked.
//!
//! ```yaml
//! tokens:
//!   - {name: till-berlin, sha256: 6b1d…, scopes: [read:customers], expires: 2027-01-01T00:00:00Z, per_second: 200}
//! ```
//!
//! All are read again while the process runs, by the same functions and checked in the same way.
//!
//! **Invariant:** no message shows a line of the file of tokens where a hash stands: somebody may have pasted the token.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use openssl::x509::X509;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::{Deserialize, Serialize};

use super::document::Node;
use super::{amount, shape};
use crate::audit::Key;
use crate::http::access::{Hash, Scope, Token, Tokens};
use crate::http::tls::{Certificate, TlsError};
use crate::rule::diagnostic::{Diagnostic, Location, Source};
use crate::time::EventTime;

/// More would make each comparison slow.
const MOST_TOKENS: usize = 1000;
const MOST_NAME: usize = 64;

/// Where the two are read.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// `None`: everybody who reaches the address may ask everything.
    pub tokens: Option<PathBuf>,
    /// `None`: no TLS.
    pub identity: Option<Identity>,
    /// Who signs the other processes' certificates; `None`: whom the system trusts.
    pub authority: Option<PathBuf>,
    /// `None`: audit records do not say whom they are about.
    pub audit_key: Option<PathBuf>,
}

#[derive(Clone, Debug)]
pub struct Identity {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Access {
    /// Enough for a network with others in it: callers are known, and nobody listens in.
    pub fn is_closed(&self) -> bool {
        self.tokens.is_some() && self.identity.is_some()
    }

    pub fn files(&self) -> impl Iterator<Item = &Path> {
        let identity = self.identity.iter().flat_map(|identity| [identity.certificate.as_path(), identity.key.as_path()]);
        self.tokens.iter().chain(&self.audit_key).map(PathBuf::as_path).chain(identity)
    }

    /// Errors: every problem of the file.
    pub fn read_tokens(&self) -> Result<Option<Tokens>, Vec<Diagnostic>> {
        self.tokens.as_deref().map(tokens).transpose()
    }

    pub fn read_audit_key(&self) -> Result<Option<Key>, KeyError> {
        self.audit_key.as_deref().map(audit_key).transpose()
    }

    /// Errors: there is no certificate in the file.
    pub fn check_authority(&self) -> Result<(), KeyError> {
        let Some(path) = &self.authority else { return Ok(()) };
        let text = std::fs::read(path).map_err(|source| KeyError::Unreadable { path: path.clone(), source })?;
        let is_one = X509::stack_from_pem(&text).is_ok_and(|found| !found.is_empty());
        if is_one { Ok(()) } else { Err(KeyError::NoCertificate { path: path.clone() }) }
    }

    pub fn read_certificate(&self) -> Result<Option<Certificate>, TlsError> {
        self.identity.as_ref().map(|identity| Certificate::read(&identity.certificate, &identity.key)).transpose()
    }
}

/// Why a file gives no key or no certificate: a person has to put another one there.
#[derive(thiserror::Error, Debug)]
pub enum KeyError {
    #[error("the file {path} cannot be read: {source}")]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error("the file {path} is no key: 64 hexadecimal digits, as `openssl rand -hex 32` writes them")]
    NoKey { path: PathBuf },
    #[error("the file {path} holds no certificate")]
    NoCertificate { path: PathBuf },
}

/// The key of audit records that stands in a file. What else stands there is in no message: it may be a secret.
pub fn audit_key(path: &Path) -> Result<Key, KeyError> {
    let text = std::fs::read_to_string(path).map_err(|source| KeyError::Unreadable { path: path.into(), source })?;
    Key::parse(&text).ok_or_else(|| KeyError::NoKey { path: path.into() })
}

#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct TokensFile {
    tokens: Vec<TokenFile>,
}

#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct TokenFile {
    /// Who holds it; audit records say it.
    name: String,
    /// SHA-256 of the token, 64 hexadecimal digits.
    sha256: String,
    scopes: Vec<String>,
    /// When it ends; absent: never.
    expires: Option<String>,
    /// Requests a second.
    #[schemars(range(min = 1, max = 1_000_000))]
    per_second: u32,
}

impl Default for TokenFile {
    fn default() -> TokenFile {
        TokenFile { name: String::new(), sha256: String::new(), scopes: vec![], expires: None, per_second: PER_SECOND }
    }
}

/// Requests a second of a token whose line does not say.
pub const PER_SECOND: u32 = 1000;

/// A name that can stand in a log, in a label and in the file.
pub fn is_name(name: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    !name.is_empty() && name.len() <= MOST_NAME && name.bytes().all(legal)
}

/// When a token ends: an instant, or a time from now (`90d`).
pub fn end(text: &str, now: EventTime) -> Option<EventTime> {
    let later = || amount::duration(text).and_then(|after| i64::try_from(after.as_millis()).ok());
    EventTime::parse(text).or_else(|| Some(EventTime::from_millis(now.millis().checked_add(later()?)?)))
}

fn tokens(path: &Path) -> Result<Tokens, Vec<Diagnostic>> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| {
        let location = Location { source: Source::new(name.as_str(), ""), bytes: None };
        vec![Diagnostic::error("no-file", location, format!("the tokens cannot be read: {error}")).help("`segmentd token new` makes one")]
    })?;
    parse(&name, text)
}

/// A text in the form of the file; `name` is what messages call it.
pub fn parse(name: &str, text: String) -> Result<Tokens, Vec<Diagnostic>> {
    let (document, mut diagnostics) = Node::parse(&Source::new(name, text));
    let schema = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true).into_generator();
    let written = shape::fit(&document, &schema.into_root_schema_for::<TokensFile>().to_value(), "", &mut diagnostics);
    let file: TokensFile = written.and_then(|written| serde_json::from_value(written).ok()).unwrap_or_default();
    let mut reading = Reading { document: &document, diagnostics, names: BTreeSet::new() };
    if file.tokens.len() > MOST_TOKENS {
        reading.error(0, "name", format!("there are {} tokens; at most {MOST_TOKENS} may be in force", file.tokens.len()));
    }
    let tokens = file.tokens.into_iter().enumerate().filter_map(|(i, token)| reading.token(i, token)).collect();
    if reading.diagnostics.is_empty() { Ok(Tokens(tokens)) } else { Err(reading.diagnostics) }
}

/// Gathers what is wrong.
struct Reading<'a> {
    document: &'a Node,
    diagnostics: Vec<Diagnostic>,
    names: BTreeSet<String>,
}

impl Reading<'_> {
    fn token(&mut self, i: usize, file: TokenFile) -> Option<Token> {
        if !is_name(&file.name) {
            self.error(i, "name", format!("`{}` is no name: letters, digits, `.`, `_` and `-`, at most {MOST_NAME}", file.name));
        } else if !self.names.insert(file.name.clone()) {
            self.error(i, "name", format!("`{}` is already another token", file.name));
        }
        let hash = Hash::parse(&file.sha256);
        if hash.is_none() {
            self.error(i, "sha256", format!("the sha256 of `{}` is not 64 hexadecimal digits", file.name));
        }
        let scopes: Option<Vec<Scope>> = file.scopes.iter().enumerate().map(|(at, scope)| self.scope(i, at, scope)).collect();
        let expires = file.expires.as_deref().map(|text| (text, EventTime::parse(text)));
        if let Some((text, None)) = expires {
            self.error(i, "expires", format!("`{text}` is no instant: 2027-01-01T00:00:00Z"));
        }
        let expires = expires.and_then(|(_, expires)| expires);
        Some(Token { name: file.name, hash: hash?, scopes: scopes?, expires, per_second: file.per_second })
    }

    fn scope(&mut self, i: usize, at: usize, text: &str) -> Option<Scope> {
        let scope = Scope::parse(text);
        if scope.is_none() {
            let known = Scope::ALL.map(Scope::as_str);
            let location = self.location(&["tokens", &i.to_string(), "scopes", &at.to_string()]);
            let unknown = Diagnostic::error("bad-value", location, format!("there is no scope `{text}`")).suggest(text, known);
            self.diagnostics.push(unknown.help(format!("the scopes are {}", known.join(", "))));
        }
        scope
    }

    fn error(&mut self, i: usize, key: &str, message: String) {
        let location = self.location(&["tokens", &i.to_string(), key]);
        self.diagnostics.push(Diagnostic::error("bad-value", location, message));
    }

    fn location(&self, path: &[&str]) -> Location {
        // What is missing has the place of what it is missing from.
        let node = (1..=path.len()).rev().find_map(|depth| self.document.get(&path[..depth]));
        let location = node.unwrap_or(self.document).location.clone();
        let source = &location.source;
        let (line, column) = location.line_and_column().unwrap_or((1, 1));
        // The place, without the text around it.
        Location { source: Source::new(format!("{}:{line}:{column}", source.name), ""), bytes: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "6b1d4fbb9d2b9d4b0a3f1c1e5d6c7b8a9f0e1d2c3b4a59687766554433221100";

    fn problems(text: &str) -> String {
        let problems = parse("tokens.yaml", text.to_owned()).expect_err("problems");
        let line = |d: &Diagnostic| format!("{}: {}", d.location.as_ref().map(ToString::to_string).unwrap_or_default(), d.message);
        problems.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_file_of_tokens_says_who_may_what_until_when() {
        let text = format!(
            "tokens:\n  - {{name: till, sha256: {HASH}, scopes: [read:customers]}}\n  - {{name: prom, sha256: {HASH}, scopes: [metrics], expires: 1970-01-01T00:00:01Z, per_second: 5}}\n"
        );
        let Tokens(tokens) = parse("tokens.yaml", text).unwrap();
        assert_eq!((tokens[0].expires, tokens[0].per_second, &tokens[0].scopes), (None, PER_SECOND, &vec![Scope::ReadCustomers]));
        assert_eq!((tokens[1].expires, tokens[1].per_second), (Some(EventTime::from_millis(1000)), 5));
        assert!(parse("tokens.yaml", String::new()).unwrap().0.is_empty(), "nobody may ask anything");
    }

    #[test]
    fn every_problem_of_a_file_is_named_and_no_text_is_shown_that_may_be_a_token() {
        let text = format!(
            "tokens:\n  - {{name: till, sha256: hush-hush, scopes: [read:customer]}}\n  - {{name: till, sha256: {HASH}, expires: soon}}\n  - {{sha: x}}\n"
        );
        insta::assert_snapshot!(problems(&text), @r"
        tokens.yaml:4:6: there is no setting `tokens[2].sha`
        tokens.yaml:2:26: the sha256 of `till` is not 64 hexadecimal digits
        tokens.yaml:2:46: there is no scope `read:customer`
        tokens.yaml:3:12: `till` is already another token
        tokens.yaml:3:101: `soon` is no instant: 2027-01-01T00:00:00Z
        tokens.yaml:4:5: `` is no name: letters, digits, `.`, `_` and `-`, at most 64
        tokens.yaml:4:5: the sha256 of `` is not 64 hexadecimal digits
        ");
        let shown =
            crate::rule::diagnostic::render_all(&parse("tokens.yaml", text).unwrap_err()[1..3], crate::rule::diagnostic::Style::Plain);
        assert!(!shown.contains("hush-hush"), "{shown}");
    }
}
