//! A running service, as far as a command asks it: answers that stand ready.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;

use serde_json::Value;

/// Answers one request after the other, each of which begins with this line; gives its address.
pub fn service(asked: &str, answers: Vec<(u16, Value)>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (url, asked) = (format!("http://{}", listener.local_addr().unwrap()), asked.to_owned());
    std::thread::spawn(move || {
        for (code, answer) in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let (first, answer) = (lines.next().unwrap().unwrap(), answer.to_string());
            assert!(lines.any(|line| line.unwrap().is_empty()), "the head ends");
            let body = if first == asked { answer } else { format!("{{\"detail\":\"{first}\"}}") };
            write!(stream, "HTTP/1.1 {} X\r\ncontent-type: application/json\r\n\r\n{body}", if first == asked { code } else { 404 })
                .unwrap();
        }
    });
    url
}
