//! Every route, with what each of its methods needs.
//!
//! **Invariant:** a route that is served stands here; the [layer](super::guard) turns everything else away, so that a
//! route that was forgotten fails the first test that asks it.

use axum::http::Method;

use super::Scope;
use crate::http::{console, lookup, service};

/// What a caller must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Nothing: health, what stands in the documentation anyway, and the console's own files.
    Nothing,
    Scope(Scope),
}

#[derive(Debug)]
pub struct Route {
    /// As the router has it, and as metrics name it.
    pub path: &'static str,
    pub methods: &'static [(&'static str, Need)],
}

const OPEN: &[(&str, Need)] = &[("GET", Need::Nothing)];
const FIGURES: &[(&str, Need)] = &[("GET", Need::Scope(Scope::Metrics))];

const SEGMENTS: &[(&str, Need)] = &[("GET", Need::Scope(Scope::ReadSegments))];
const CUSTOMERS: &[(&str, Need)] = &[("GET", Need::Scope(Scope::ReadCustomers))];

const LISTED: &[(&str, Need)] =
    &[("GET", Need::Scope(Scope::ReadCustomers)), ("PUT", Need::Scope(Scope::WriteLists)), ("DELETE", Need::Scope(Scope::WriteLists))];

pub const TABLE: &[Route] = &[
    Route { path: "/livez", methods: OPEN },
    Route { path: "/readyz", methods: OPEN },
    Route { path: "/metrics", methods: FIGURES },
    Route { path: "/version", methods: FIGURES },
    Route { path: lookup::OPENAPI, methods: OPEN },
    Route { path: console::START, methods: OPEN },
    Route { path: console::BARE, methods: OPEN },
    Route { path: console::PAGE, methods: OPEN },
    Route { path: console::ASSET, methods: OPEN },
    Route { path: lookup::CUSTOMER, methods: CUSTOMERS },
    Route { path: service::SEGMENTS, methods: SEGMENTS },
    Route { path: service::SEGMENT, methods: SEGMENTS },
    Route { path: service::MEMBERS, methods: CUSTOMERS },
    Route { path: service::CUSTOMER, methods: &[("GET", Need::Scope(Scope::ReadCustomers)), ("DELETE", Need::Scope(Scope::Erase))] },
    Route { path: service::LISTS, methods: SEGMENTS },
    Route { path: service::LISTED, methods: LISTED },
    Route { path: service::TIMELINE, methods: CUSTOMERS },
    Route { path: service::HISTORY, methods: SEGMENTS },
    Route { path: service::FLOWS, methods: SEGMENTS },
    Route { path: service::EXPLAIN, methods: CUSTOMERS },
    Route { path: service::TRANSITIONS, methods: CUSTOMERS },
    Route { path: service::EXPERIMENTS, methods: SEGMENTS },
    Route { path: service::EXPERIMENT, methods: SEGMENTS },
    Route { path: service::PROCESSES, methods: FIGURES },
    Route { path: service::CHECK, methods: &[("POST", Need::Scope(Scope::ReadSegments))] },
    Route { path: service::TRY, methods: &[("POST", Need::Scope(Scope::ReadCustomers))] },
    Route { path: service::PLAN, methods: &[("POST", Need::Scope(Scope::ReadCustomers))] },
    Route { path: lookup::MANY, methods: &[("POST", Need::Scope(Scope::ReadCustomers))] },
];

/// The route with this path, written as the router has it.
pub fn find(path: &str) -> Option<&'static Route> {
    TABLE.iter().find(|route| route.path == path)
}

/// The path of the route, as metrics name it.
pub fn route_of(matched: &str) -> Option<&'static str> {
    find(matched).map(|route| route.path)
}

impl Route {
    /// The method as the table writes it, and its need; `None`: it is not served. A `HEAD` is a `GET`.
    pub fn need(&self, method: &Method) -> Option<(&'static str, Need)> {
        let method = if method == Method::HEAD { &Method::GET } else { method };
        self.methods.iter().find(|(served, _)| *served == method.as_str()).copied()
    }
}

impl Need {
    /// Is it about a customer?
    pub fn is_about_customers(self) -> bool {
        matches!(self, Need::Scope(Scope::ReadCustomers | Scope::WriteLists | Scope::Erase))
    }

    /// Does it change something? Then nobody may ask it without a token, wherever the server listens: a page of somebody else's in a
    /// browser on this machine reaches it too.
    pub fn is_a_request(self) -> bool {
        matches!(self, Need::Scope(Scope::WriteLists | Scope::Erase))
    }
}
