//! The console: pages for people, made of files that stand in the program and of what the other routes answer.
//!
//! | route | answers |
//! | --- | --- |
//! | `/console/` | the page; its parts below it |
//! | `/`, `/console` | a browser is sent there |
//!
//! The files are served as they stand in `console/assets`: modules for browsers, with no step in between. They hold nothing
//! that is secret, so that no token is needed for them: what the page shows is asked for with the token of whoever sits
//! before it.
//!
//! **Invariant:** a page may load from this server alone, run no script and no style but these files, and be shown in no
//! other page. An id or a name that holds a script is text.

#[cfg(test)]
mod tests;

use axum::Router;
use axum::extract::{Path, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use xxhash_rust::xxh3::xxh3_128;

use super::lookup::is_known;
use super::problem::Problem;

pub const START: &str = "/";
pub const BARE: &str = "/console";
pub const PAGE: &str = "/console/";
pub const ASSET: &str = "/console/{*asset}";

/// Every route here, as request metrics name them.
pub const ROUTES: [&str; 4] = [START, BARE, PAGE, ASSET];

/// Source: W3C Content Security Policy Level 3.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const DRAWING: &str = "image/svg+xml";
const TEXT: &str = "text/plain; charset=utf-8";

struct Asset {
    path: &'static str,
    content_type: &'static str,
    bytes: &'static [u8],
}

macro_rules! assets {
    ($($content_type:ident $path:literal)*) => {
        &[$(Asset { path: $path, content_type: $content_type, bytes: include_bytes!(concat!("console/assets/", $path)) }),*]
    };
}

const ASSETS: &[Asset] = assets! {
    SCRIPT "api.js"
    SCRIPT "app.js"
    SCRIPT "charts.js"
    SCRIPT "dom.js"
    SCRIPT "editor.js"
    SCRIPT "format.js"
    DRAWING "icon.svg"
    HTML "index.html"
    CSS "pages.css"
    SCRIPT "parts.js"
    SCRIPT "prometheus.js"
    SCRIPT "refused.js"
    SCRIPT "stream.js"
    CSS "style.css"
    SCRIPT "theme.js"
    SCRIPT "token.js"
    SCRIPT "words.js"
    SCRIPT "pages/access.js"
    SCRIPT "pages/customer.js"
    SCRIPT "pages/dryrun.js"
    SCRIPT "pages/experiments.js"
    SCRIPT "pages/explained.js"
    SCRIPT "pages/growth.js"
    SCRIPT "pages/ladders.js"
    SCRIPT "pages/overview.js"
    SCRIPT "pages/past.js"
    SCRIPT "pages/playground.js"
    SCRIPT "pages/segment.js"
    SCRIPT "pages/segments.js"
    TEXT "uplot/LICENSE"
    SCRIPT "uplot/uPlot.esm.js"
    CSS "uplot/uPlot.min.css"
};

pub fn router() -> Router {
    Router::new()
        .route(START, get(start))
        .route(BARE, get(|| async { moved("console/") }))
        .route(PAGE, get(|headers: HeaderMap| async move { asset("index.html", &headers) }))
        .route(ASSET, get(|Path(path): Path<String>, headers: HeaderMap| async move { asset(&path, &headers) }))
        .layer(middleware::map_response(confined))
}

/// Programs are told what there is, as anywhere else that nothing is.
async fn start(request: Request) -> Response {
    let accepts = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if accepts.contains("text/html") { moved("console/") } else { super::not_served().await.into_response() }
}

/// `to` is relative: in front of this server there may be a path that it does not know of.
fn moved(to: &'static str) -> Response {
    (StatusCode::SEE_OTHER, [(header::LOCATION, to)]).into_response()
}

/// Asked for anew each time and rarely sent: after an upgrade no old part is left beside a new one.
fn asset(path: &str, headers: &HeaderMap) -> Response {
    let Some(asset) = ASSETS.iter().find(|asset| asset.path == path) else {
        return Problem::new(StatusCode::NOT_FOUND, "the console has no such part").into_response();
    };
    let tag = format!("\"{:032x}\"", xxh3_128(asset.bytes));
    let mut response = if is_known(headers, &tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(header::CONTENT_TYPE, asset.content_type)], asset.bytes).into_response()
    };
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response.headers_mut().extend(HeaderValue::from_str(&tag).ok().map(|tag| (header::ETAG, tag)));
    response
}

async fn confined(mut response: Response) -> Response {
    let confinement = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // The address of a page may name a customer.
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ];
    response.headers_mut().extend(confinement.map(|(name, value)| (name, HeaderValue::from_static(value))));
    response
}
