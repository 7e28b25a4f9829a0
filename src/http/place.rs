//! Where a service answers, and the little of HTTP that it takes to ask there: one request, one answer, and the connection ends.
//!
//! **Invariant:** an address is a scheme, a host, a port and perhaps a path; never a name and a password.

/// Why a text is no address: write another.
#[derive(thiserror::Error, Debug, PartialEq, Eq)]
pub enum PlaceError {
    #[error("`{0}` is no address: write http://host:8080")]
    NoAddress(String),
    #[error("`{0}` is no port")]
    NoPort(String),
}

/// A service's address.
#[derive(Debug, PartialEq, Eq)]
pub struct Place<'a> {
    pub tls: bool,
    pub host: &'a str,
    pub port: u16,
    /// What stands before every path.
    base: &'a str,
}

impl<'a> Place<'a> {
    pub fn parse(url: &'a str) -> Result<Place<'a>, PlaceError> {
        let (tls, rest) = match (url.strip_prefix("http://"), url.strip_prefix("https://")) {
            (Some(rest), _) => (false, rest),
            (_, Some(rest)) => (true, rest),
            _ => return Err(PlaceError::NoAddress(url.into())),
        };
        let (authority, base) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let port = authority.rsplit_once(':').filter(|(_, port)| !port.ends_with(']'));
        let (host, port) = match port {
            Some((host, port)) => (host, port.parse().map_err(|_| PlaceError::NoPort(port.into()))?),
            None => (authority, if tls { 443 } else { 80 }),
        };
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        Ok(Place { tls, host, port, base: base.trim_end_matches('/') })
    }

    /// A request, with these header lines, to a POST if there is a body. HTTP/1.0, so that the answer ends with the connection.
    pub fn request(&self, path: &str, headers: &str, body: Option<&[u8]>) -> Vec<u8> {
        let length = |body: &[u8]| format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
        let (method, length) = body.map_or(("GET", String::new()), |body| ("POST", length(body)));
        let Place { host, port, base, .. } = self;
        let head = format!("{method} {base}{path} HTTP/1.0\r\nHost: {host}:{port}\r\n{headers}{length}\r\n");
        [head.as_bytes(), body.unwrap_or_default()].concat()
    }
}

/// The code and the body of an answer; `None`: it is no HTTP.
pub fn take_apart(mut answer: Vec<u8>) -> Option<(u16, Vec<u8>)> {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    let code = String::from_utf8_lossy(&answer[..end]).split(' ').nth(1)?.parse().ok()?;
    Some((code, answer.split_off(end + 4)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_with_its_defaults() {
        let place = |url| Place::parse(url).map(|Place { tls, host, port, base }| (tls, host, port, base)).ok();
        assert_eq!(place("http://a:8080"), Some((false, "a", 8080, "")));
        assert_eq!(place("https://a.example/segments/"), Some((true, "a.example", 443, "/segments")));
        assert_eq!(place("http://[::1]:8080"), Some((false, "::1", 8080, "")));
        assert_eq!(place("http://[::1]"), Some((false, "::1", 80, "")));
        assert!(place("a:8080").is_none() && place("http://a:x").is_none());
    }

    #[test]
    fn an_answer_is_a_code_and_a_body() {
        assert_eq!(take_apart(b"HTTP/1.0 200 OK\r\na: b\r\n\r\n{}".to_vec()), Some((200, b"{}".to_vec())));
        assert_eq!(take_apart(b"SSH-2.0-x\r\n\r\n".to_vec()), None);
        assert_eq!(take_apart(b"HTTP/1.0 200".to_vec()), None);
    }
}
