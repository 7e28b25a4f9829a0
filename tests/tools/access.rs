//! `segmentd serve` as others on the network meet it: TLS, tokens, their rotation, and what is written down of it.
//!
//! No broker is needed: who may ask is decided before anything is looked up.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::certificate::{certify, get};
use crate::command::{code, segmentd, stderr, stdout};
use segmentd::runtime::clock::Deadline;
use tempfile::TempDir;

const CUSTOMER: &str = "/api/v1/customers/hush-hush/segments?segment=gold";

const AUDIT_KEY: &str = "0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20\n";

/// A replica that other machines reach, with its files in a folder.
struct Served {
    folder: TempDir,
    process: Child,
    port: u16,
}

/// `segmentd token new`, appended to the file; the token.
fn token(folder: &Path, name: &str, scope: &str) -> String {
    let file = folder.join("tokens.yaml");
    let made = segmentd(&["token", "new", name, "--scope", scope, "--expires", "1d", "--to", file.to_str().unwrap()]);
    assert_eq!(code(&made), 0, "{}", stderr(&made));
    stdout(&made).trim().to_owned()
}

impl Served {
    fn start(folder: TempDir) -> Served {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let at = folder.path().display();
        let text = format!(
            "kafka: {{bootstrap: '127.0.0.1:1'}}\nstate: {{dir: {at}/state}}\nserve: {{listen: '0.0.0.0:{port}'}}\nwatch: 20ms\n\
             access: {{tokens: {at}/tokens.yaml, certificate: {at}/tls.crt, key: {at}/tls.key, audit_key: {at}/audit.key}}\n"
        );
        fs::write(folder.path().join("segmentd.yaml"), text).unwrap();
        fs::write(folder.path().join("audit.key"), AUDIT_KEY).unwrap();
        let log = fs::File::create(folder.path().join("log")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_segmentd"));
        command.arg("serve").arg("--config").arg(folder.path().join("segmentd.yaml"));
        let process = command.env("SEGMENTD_LOG", "warn").stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let served = Served { folder, process, port };
        served.until("it listens", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        served
    }

    fn until(&self, what: &str, done: impl Fn() -> bool) {
        let deadline = Deadline::after(Duration::from_secs(20));
        while !done() {
            assert!(!deadline.is_past(), "not within 20 s: {what}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    /// The code and the body, and the serial number of the certificate that was shown.
    fn get(&self, path: &str, token: &str) -> (u16, String, u32) {
        get(self.port, path, token)
    }

    fn code(&self, path: &str, token: &str) -> u16 {
        self.get(path, token).0
    }

    /// What was written down of who asked.
    fn audited(&self) -> Vec<serde_json::Value> {
        let lines: Vec<serde_json::Value> = self.log().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        lines.into_iter().filter(|line| line["target"] == "audit").collect()
    }

    /// What `segmentd audit` prints, line by line.
    fn hashes(&self, arguments: &[&str]) -> Vec<String> {
        let config = self.folder.path().join("segmentd.yaml");
        let found = segmentd(&[&["audit", "--config", config.to_str().unwrap()], arguments].concat());
        assert_eq!(code(&found), 0, "{}", stderr(&found));
        stdout(&found).lines().map(str::to_owned).collect()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn beyond_loopback_it_speaks_tls_to_those_with_a_token_and_writes_down_who_asked() {
    let folder = TempDir::new().unwrap();
    certify(folder.path(), 1);
    let (till, prometheus) = (token(folder.path(), "till", "read:customers"), token(folder.path(), "prometheus", "metrics"));
    let served = Served::start(folder);

    assert_eq!(served.code("/livez", ""), 200);
    let asked = segmentd(&["ready", "--serve", "--config", served.folder.path().join("segmentd.yaml").to_str().unwrap()]);
    assert!(code(&asked) == 1 && stderr(&asked).contains("not yet assigned"), "over TLS too: {}", stderr(&asked));
    assert_eq!(served.code("/metrics", &till), 403);
    assert_eq!(served.code(CUSTOMER, "segmentd_guess"), 401);
    assert_eq!(served.code(CUSTOMER, &till), 503, "let in; there is nothing to look in yet");
    let (_, metrics, _) = served.get("/metrics", &prometheus);
    for shown in ["segmentd_token_expiry_timestamp_seconds{token=\"till\"}", "segmentd_certificate_expiry_timestamp_seconds "] {
        assert!(metrics.contains(shown), "{metrics}");
    }

    let mut plain = TcpStream::connect(("127.0.0.1", served.port)).unwrap();
    plain.write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP/"), "nothing is answered without TLS");

    let log = served.log();
    let records = served.audited();
    let told = |record: &serde_json::Value| format!("{} {} {} {}", record["token"], record["method"], record["route"], record["code"]);
    let route = r#""GET" "/api/v1/customers/{id}/segments""#;
    assert_eq!(records.iter().map(told).collect::<Vec<_>>(), [format!("\"-\" {route} 401"), format!("\"till\" {route} 503")]);
    for secret in ["hush-hush", &till, &prometheus, "gold"] {
        assert!(!log.contains(secret), "{log}");
    }
}

#[test]
fn tokens_and_certificate_are_taken_over_while_it_runs_and_wrong_ones_are_not() {
    let folder = TempDir::new().unwrap();
    certify(folder.path(), 1);
    let old = token(folder.path(), "till", "metrics");
    let served = Served::start(folder);
    assert_eq!((served.code("/version", &old), served.get("/livez", "").2), (200, 1));

    let folder = served.folder.path();
    fs::write(folder.join("tokens.yaml"), "tokens: [{name: till, scopes: [metrics]}]\n").unwrap();
    served.until("the wrong file is refused", || served.log().contains("are refused"));
    assert_eq!(served.code("/version", &old), 200, "what was in force stays in force");

    fs::remove_file(folder.join("tokens.yaml")).unwrap();
    let new = token(folder, "till", "metrics");
    certify(folder, 2);
    served.until("the new token is in force", || served.code("/version", &new) == 200);
    served.until("the new certificate is shown", || served.get("/livez", "").2 == 2);
    assert_eq!(served.code("/version", &old), 401);
}

#[test]
fn the_records_of_a_customer_are_found_under_the_key_in_force_and_those_before_it() {
    let folder = TempDir::new().unwrap();
    certify(folder.path(), 1);
    let till = token(folder.path(), "till", "read:customers");
    let served = Served::start(folder);
    let old = served.folder.path().join("old.key");
    fs::write(&old, AUDIT_KEY).unwrap();

    served.code("/api/v1/customers/hush%2Dhush/segments", &till);
    served.code("/api/v1/customers/somebody/segments", "segmentd_guess");
    let before = served.hashes(&["hush-hush", "somebody"]);
    let recorded = |record: serde_json::Value| record["customers"].as_str().unwrap().to_owned();
    assert_eq!(served.audited().into_iter().map(recorded).collect::<Vec<_>>(), before, "those turned away are written down too");
    assert!(before.iter().all(|hash| hash.len() == 32) && before[0] != before[1], "{before:?}");

    fs::write(served.folder.path().join("audit.key"), AUDIT_KEY.replace("01", "ff")).unwrap();
    served.until("the new key is in force", || {
        served.code(CUSTOMER, &till);
        let last = served.audited().pop().map(recorded);
        last.as_ref() == served.hashes(&["hush-hush"]).first() && last.as_ref() != Some(&before[0])
    });
    let both = served.hashes(&["hush-hush", "--key", old.to_str().unwrap()]);
    assert!(both.len() == 2 && both[1] == before[0], "{both:?}");
    let none = segmentd(&["audit", "hush-hush"]);
    assert!(code(&none) == 1 && stderr(&none).contains("set access.audit_key, or give one with --key"), "{}", stderr(&none));
}

#[test]
fn a_token_is_printed_once_and_its_file_is_never_made_wrong() {
    let folder = TempDir::new().unwrap();
    let made = segmentd(&["token", "new", "till", "--scope", "erase", "--scope", "write:lists", "--expires", "2027-01-01T00:00:00Z"]);
    assert_eq!(code(&made), 0, "{}", stderr(&made));
    assert!(stdout(&made).starts_with("segmentd_") && stdout(&made).trim().len() == 73, "{}", stdout(&made));
    let line = stderr(&made).lines().last().unwrap().to_owned();
    assert!(line.starts_with("  - {name: till, sha256: "), "{line}");
    assert!(line.ends_with(", scopes: [erase, write:lists], expires: 2027-01-01T00:00:00.000Z, per_second: 1000}"), "{line}");

    token(folder.path(), "till", "metrics");
    let file = folder.path().join("tokens.yaml");
    let before = fs::read_to_string(&file).unwrap();
    let twice = segmentd(&["token", "new", "till", "--scope", "metrics", "--to", file.to_str().unwrap()]);
    assert!(code(&twice) == 1 && stdout(&twice).is_empty() && stderr(&twice).contains("is already another token"), "{}", stderr(&twice));
    assert_eq!(fs::read_to_string(&file).unwrap(), before);
    for wrong in [["token", "new", "a b", "--scope", "metrics"], ["token", "new", "ab", "--scope", "metric"]] {
        assert_eq!(code(&segmentd(&wrong)), 1);
    }
}
