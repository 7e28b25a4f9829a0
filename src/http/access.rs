//! Who may ask what: one layer in front of every route.
//!
//! A request carries `Authorization: Bearer TOKEN`. The [table](routes) says which scope its route needs, the
//! [tokens](tokens) which of them the caller has. Where no tokens are configured everything that reads is answered: such a server
//! listens on this machine alone, or on a network that somebody has called closed. What changes something needs a token always.
//!
//! Every read of a customer leaves a [record](crate::audit): token, method, route, code, and a keyed hash of whom.
//!
//! **Invariant:** a route that is not in the table, or a method of it, is never reached. No record holds an id, a query
//! or a body.

mod named;
mod pace;
mod routes;
mod tokens;

#[cfg(test)]
mod tests;

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::problem::Problem;
use crate::audit::{self, Audit};
use crate::runtime::clock;
use crate::time::EventTime;
pub use named::{Recorder, naming};
use pace::Pace;
pub use routes::{Need, Route, TABLE, route_of};
pub use tokens::{Hash, Scope, Token, Tokens};

/// The tokens in force; cheap to clone, and the same for all clones.
#[derive(Clone, Default)]
pub struct Access {
    /// `None`: everybody may ask everything.
    tokens: Option<Arc<RwLock<Arc<Tokens>>>>,
    pace: Arc<Pace>,
    audit: Audit,
}

/// Why a request is turned away.
#[derive(Debug, PartialEq, Eq)]
enum Refusal {
    /// No token, or another scheme than `Bearer`.
    Anonymous,
    /// It changes something, and no tokens are configured.
    NoTokens,
    Unknown,
    Expired,
    /// The token lacks this scope.
    Scope(Scope),
    /// Too many requests; one more is answered after so many seconds.
    TooMany(u16),
}

/// Name of the token that a record shows; of a request that needs none, and of one that has no good one.
const NOBODY: &str = "-";

impl Access {
    /// Everybody may ask everything.
    pub fn open() -> Access {
        Access::default()
    }

    pub fn by(tokens: Tokens) -> Access {
        Access { tokens: Some(Arc::new(RwLock::new(Arc::new(tokens)))), ..Access::default() }
    }

    /// Writes its records with this.
    pub fn auditing(self, audit: Audit) -> Access {
        Access { audit, ..self }
    }

    /// Puts other tokens in force, for requests from now on. Who may ask everything still may.
    pub fn replace(&self, tokens: Tokens) {
        if let Some(in_force) = &self.tokens {
            self.pace.forget_others(&tokens);
            *in_force.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(tokens);
        }
    }

    /// The name of the caller, or why it is turned away.
    fn admit(&self, need: Need, headers: &HeaderMap, wall: EventTime, now: Instant) -> (String, Result<(), Refusal>) {
        let nobody = |verdict| (NOBODY.to_owned(), verdict);
        let (Some(in_force), Need::Scope(scope)) = (&self.tokens, need) else {
            return nobody(if need.is_a_request() { Err(Refusal::NoTokens) } else { Ok(()) });
        };
        let tokens = in_force.read().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(presented) = bearer(headers) else { return nobody(Err(Refusal::Anonymous)) };
        let Some(token) = tokens.find(presented) else { return nobody(Err(Refusal::Unknown)) };
        let verdict = match () {
            () if token.expires.is_some_and(|end| end <= wall) => Err(Refusal::Expired),
            () if !token.scopes.contains(&scope) => Err(Refusal::Scope(scope)),
            () => self.pace.admit(token, now).map_err(Refusal::TooMany),
        };
        (token.name.clone(), verdict)
    }
}

/// The layer.
pub async fn guard(State(access): State<Access>, request: Request, next: Next) -> Response {
    // No route: the answer tells only that, and needs no token.
    let Some(path) = request.extensions().get::<MatchedPath>() else { return next.run(request).await };
    let Some(route) = routes::find(path.as_str()) else {
        return Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "this route has no scope, so that nobody may ask it").into_response();
    };
    let Some((method, need)) = route.need(request.method()) else { return not_allowed(route) };
    let (token, verdict) = access.admit(need, request.headers(), clock::wall(), clock::now());
    let (of_path, mut request) = named::of_path(request).await;
    let asked = audit::Request { token, method, route: route.path };
    let mut response = match verdict {
        Ok(()) => {
            request.extensions_mut().insert(Recorder { audit: access.audit.clone(), request: asked.clone() });
            next.run(request).await
        }
        Err(refusal) => refusal.into_response(),
    };
    if need.is_about_customers() {
        let customers = named::take(of_path, &mut response);
        access.audit.read(&asked, response.status().as_u16(), customers.iter().map(String::as_str));
    }
    response
}

/// Source: RFC 6750 §2.1; the scheme's case does not matter (RFC 9110 §11.1).
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn not_allowed(route: &Route) -> Response {
    let mut response = Problem::new(StatusCode::METHOD_NOT_ALLOWED, "see the header Allow for what is").into_response();
    let allowed: Vec<&str> = route.methods.iter().map(|(method, _)| *method).collect();
    response.headers_mut().extend(HeaderValue::from_str(&allowed.join(", ")).ok().map(|value| (header::ALLOW, value)));
    response
}

impl Refusal {
    fn status(&self) -> StatusCode {
        match self {
            Refusal::Anonymous | Refusal::Unknown | Refusal::Expired => StatusCode::UNAUTHORIZED,
            Refusal::Scope(_) | Refusal::NoTokens => StatusCode::FORBIDDEN,
            Refusal::TooMany(_) => StatusCode::TOO_MANY_REQUESTS,
        }
    }

    fn detail(&self) -> String {
        match self {
            Refusal::Anonymous => "this needs a token: Authorization: Bearer …".into(),
            Refusal::NoTokens => "what changes something needs a token, and this service has none: see access.tokens".into(),
            Refusal::Unknown => "the token is not known".into(),
            Refusal::Expired => "the token has expired".into(),
            Refusal::Scope(scope) => format!("the token lacks the scope {scope}"),
            Refusal::TooMany(_) => "the token has used up its requests for this second".into(),
        }
    }

    /// Source: RFC 6750 §3.
    fn challenge(&self) -> Option<String> {
        match self {
            Refusal::Anonymous => Some(r#"Bearer realm="segmentd""#.into()),
            Refusal::Unknown | Refusal::Expired => Some(r#"Bearer realm="segmentd", error="invalid_token""#.into()),
            Refusal::Scope(scope) => Some(format!(r#"Bearer realm="segmentd", error="insufficient_scope", scope="{scope}""#)),
            Refusal::TooMany(_) | Refusal::NoTokens => None,
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let problem = Problem::new(self.status(), self.detail());
        let mut response = match self {
            Refusal::TooMany(seconds) => problem.retry_after(seconds).into_response(),
            _ => problem.into_response(),
        };
        let challenge = self.challenge().and_then(|text| HeaderValue::from_str(&text).ok());
        response.headers_mut().extend(challenge.map(|value| (header::WWW_AUTHENTICATE, value)));
        response
    }
}
