//! The parameters of a query: `?segment=a,b&limit=10`.
//!
//! **Invariant:** a parameter that is not known is refused. Ignored, `?segmnt=gold` would be answered with every segment, and
//! taken for a yes.

use percent_encoding::percent_decode_str;

use super::problem::Problem;
use super::room::refused;
use crate::time::EventTime;

/// What was given, each value between commas for itself.
pub struct Parameters(Vec<(&'static str, String)>);

impl Parameters {
    /// Reads a query in which only these names may stand.
    pub fn read(query: &str, known: &[&'static str]) -> Result<Parameters, Problem> {
        let mut given = Vec::new();
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let Some(name) = known.iter().find(|known| **known == name) else { return Err(unknown(known)) };
            for part in value.split(',') {
                given.push((*name, decoded(name, part)?));
            }
        }
        Ok(Parameters(given))
    }

    /// Every value of a parameter, in order; `None`: it is not there.
    pub fn all(&self, name: &str) -> Option<Vec<String>> {
        let values: Vec<String> = self.0.iter().filter(|(given, _)| *given == name).map(|(_, value)| value.clone()).collect();
        (!values.is_empty()).then_some(values)
    }

    /// The value of a parameter that stands there once at most.
    pub fn one(&self, name: &str) -> Result<Option<String>, Problem> {
        match self.all(name).unwrap_or_default().as_slice() {
            [] => Ok(None),
            [value] => Ok(Some(value.clone())),
            _ => Err(refused(format!("`{name}` takes one value"))),
        }
    }

    /// An instant, as RFC 3339 has it.
    pub fn instant(&self, name: &str) -> Result<Option<EventTime>, Problem> {
        let Some(text) = self.one(name)? else { return Ok(None) };
        let instant = EventTime::parse(&text).ok_or_else(|| refused(format!("`{name}` is no instant, as 2026-02-01T00:00:00Z")))?;
        Ok(Some(instant))
    }

    /// A number from 1 on, `most` at most.
    pub fn count(&self, name: &str, default: usize, most: usize) -> Result<usize, Problem> {
        let Some(text) = self.one(name)? else { return Ok(default) };
        let count = text.parse().ok().filter(|count| (1..=most).contains(count));
        count.ok_or_else(|| refused(format!("`{name}` is a number from 1 to {most}")))
    }
}

fn unknown(known: &[&str]) -> Problem {
    match known {
        [] => refused("there are no query parameters here"),
        [one] => refused(format!("the only query parameter is `{one}`, as in ?{one}=…")),
        many => refused(format!("the query parameters are {}", many.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "))),
    }
}

fn decoded(name: &str, text: &str) -> Result<String, Problem> {
    // A plus is a plus: ids and instants have them, and this is no form.
    let decoded = percent_decode_str(text).decode_utf8().map_err(|_| refused(format!("`{name}` is not percent-encoded UTF-8")))?;
    Ok(decoded.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(query: &str, expected: Option<&[&str]>) {
        let expected = expected.map(|keys| keys.iter().map(|key| key.to_string()).collect());
        assert_eq!(Parameters::read(query, &["segment"]).ok().unwrap().all("segment"), expected, "{query}");
    }

    #[test]
    fn values_are_given_by_commas_or_again_and_again() {
        check("", None);
        check("segment=a,b", Some(&["a", "b"]));
        check("segment=a&segment=b", Some(&["a", "b"]));
        check("segment=a%2Cb", Some(&["a,b"]));
        check("segment=", Some(&[""]));
    }

    #[test]
    fn anything_else_is_refused() {
        for query in ["segmnt=a", "segment=a&x", "segment=%FF"] {
            assert!(Parameters::read(query, &["segment"]).is_err(), "{query}");
        }
    }

    #[test]
    fn a_value_has_to_be_what_its_name_says() {
        let given = Parameters::read("at=2026-01-01T00:00:00%2B01:00&limit=7&n=1,2&m=0", &["at", "limit", "n", "m"]).ok().unwrap();
        assert_eq!(given.instant("at").ok().unwrap(), EventTime::parse("2025-12-31T23:00:00Z"));
        assert_eq!((given.count("limit", 5, 10).ok(), given.count("absent", 5, 10).ok()), (Some(7), Some(5)));
        assert!(given.count("limit", 5, 6).is_err() && given.count("m", 5, 6).is_err() && given.one("n").is_err());
        assert!(given.instant("limit").is_err());
    }
}
