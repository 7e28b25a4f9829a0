//! Whom a request is about, for its audit record.
//!
//! The id of a path is seen by the [layer](super::guard) itself. Whom else an answer tells of its handler says, with
//! [`Named`]; an answer that goes on says so as it goes, by its [`Recorder`].
//!
//! **Invariant:** none of this is sent.

use axum::extract::{FromRequestParts, RawPathParams, Request};
use axum::response::Response;

use crate::audit::{self, Audit};

/// The parameter of a path that is a customer's id.
const PARAMETER: &str = "id";

/// Customers that an answer tells of, beside the one of the path.
#[derive(Clone)]
struct Named(Vec<String>);

/// Says whom an answer tells of.
pub fn naming(mut response: Response, customers: impl IntoIterator<Item = impl Into<String>>) -> Response {
    response.extensions_mut().insert(Named(customers.into_iter().map(Into::into).collect()));
    response
}

/// Every customer of a request and its answer.
pub fn take(of_path: Option<String>, response: &mut Response) -> Vec<String> {
    let named = response.extensions_mut().remove::<Named>();
    of_path.into_iter().chain(named.into_iter().flat_map(|Named(customers)| customers)).collect()
}

/// The customer of a path; `None`: it has none, or something that is no text.
pub async fn of_path(request: Request) -> (Option<String>, Request) {
    let (mut parts, body) = request.into_parts();
    let parameters = RawPathParams::from_request_parts(&mut parts, &()).await;
    let mut parameters = parameters.iter().flat_map(RawPathParams::iter);
    let id = parameters.find(|(name, _)| *name == PARAMETER).map(|(_, id)| id.to_owned());
    (id, Request::from_parts(parts, body))
}

/// Writes the records of an answer that goes on.
#[derive(Clone)]
pub struct Recorder {
    pub audit: Audit,
    pub request: audit::Request,
}

impl Recorder {
    /// The answer has told of one more.
    pub fn told(&self, customer: &str) {
        self.audit.read(&self.request, 200, std::iter::once(customer));
    }
}
