//! `?segment=a,b`: the only parameter that a lookup has.
//!
//! **Invariant:** a parameter that is not known is refused. Ignored, `?segmnt=gold` would be answered with every
//! membership, and taken for a yes.

use percent_encoding::percent_decode_str;

use crate::http::problem::Problem;
use crate::http::room::refused;

/// The segments that are asked for, in order; `None`: all that are held.
pub fn segments(query: &str) -> Result<Option<Vec<String>>, Problem> {
    let mut segments: Option<Vec<String>> = None;
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        if name != "segment" {
            return Err(refused("the only query parameter is `segment`, as in ?segment=loyal,lapsed"));
        }
        let segments = segments.get_or_insert_default();
        for key in value.split(',') {
            segments.push(decoded(key)?);
        }
    }
    Ok(segments)
}

fn decoded(text: &str) -> Result<String, Problem> {
    let decoded = percent_decode_str(text).decode_utf8().map_err(|_| refused("a segment's key is not percent-encoded UTF-8"))?;
    Ok(decoded.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(query: &str, expected: Option<&[&str]>) {
        let expected = expected.map(|keys| keys.iter().map(|key| key.to_string()).collect());
        assert_eq!(segments(query).ok().unwrap(), expected, "{query}");
    }

    #[test]
    fn segments_are_named_by_commas_or_again_and_again() {
        check("", None);
        check("segment=a,b", Some(&["a", "b"]));
        check("segment=a&segment=b", Some(&["a", "b"]));
        check("segment=a%2Cb", Some(&["a,b"]));
        check("segment=", Some(&[""]));
    }

    #[test]
    fn anything_else_is_refused() {
        for query in ["segmnt=a", "segment=a&x", "segment=%FF"] {
            assert!(segments(query).is_err(), "{query}");
        }
    }
}
