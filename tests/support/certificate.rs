//! A certificate that signs itself, and a client that asks over TLS without looking at it.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::rsa::Rsa;
use openssl::ssl::{SslConnector, SslMethod, SslStream, SslVerifyMode};
use openssl::x509::{X509, X509NameBuilder};

/// Writes the certificate of `localhost`, and its key.
pub fn certify(folder: &Path, serial: u32) {
    let key = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
    let mut name = X509NameBuilder::new().unwrap();
    name.append_entry_by_text("CN", "localhost").unwrap();
    let name = name.build();
    let mut certificate = X509::builder().unwrap();
    certificate.set_version(2).unwrap();
    certificate.set_serial_number(&BigNum::from_u32(serial).unwrap().to_asn1_integer().unwrap()).unwrap();
    certificate.set_subject_name(&name).unwrap();
    certificate.set_issuer_name(&name).unwrap();
    certificate.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
    certificate.set_not_after(&Asn1Time::days_from_now(10).unwrap()).unwrap();
    certificate.set_pubkey(&key).unwrap();
    certificate.sign(&key, MessageDigest::sha256()).unwrap();
    fs::write(folder.join("tls.crt"), certificate.build().to_pem().unwrap()).unwrap();
    fs::write(folder.join("tls.key"), key.private_key_to_pem_pkcs8().unwrap()).unwrap();
}

/// The code and the body, and the serial number of the certificate that was shown.
pub fn get(port: u16, path: &str, token: &str) -> (u16, String, u32) {
    send(port, "GET", path, token)
}

/// The same of another method.
pub fn send(port: u16, method: &str, path: &str, token: &str) -> (u16, String, u32) {
    exchange(port, &format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\r\n"))
}

/// The same of a POST of this body.
#[allow(dead_code)]
pub fn post(port: u16, path: &str, token: &str, body: &str) -> (u16, String, u32) {
    let head = format!("host: x\r\nconnection: close\r\nauthorization: Bearer {token}\r\ncontent-length: {}", body.len());
    exchange(port, &format!("POST {path} HTTP/1.1\r\n{head}\r\n\r\n{body}"))
}

/// The lines of an answer that goes on; half a minute is waited for each.
#[allow(dead_code)]
pub fn listen(port: u16, path: &str, token: &str) -> impl Iterator<Item = String> {
    let mut stream = connect(port);
    stream.get_ref().set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\r\n").unwrap();
    BufReader::new(stream).lines().map(|line| line.unwrap())
}

fn connect(port: u16) -> SslStream<TcpStream> {
    let mut connector = SslConnector::builder(SslMethod::tls_client()).unwrap();
    connector.set_verify(SslVerifyMode::NONE);
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    connector.build().connect("localhost", stream).unwrap()
}

fn exchange(port: u16, request: &str) -> (u16, String, u32) {
    let mut stream = connect(port);
    let shown = stream.ssl().peer_certificate().unwrap().serial_number().to_bn().unwrap().to_dec_str().unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut response = Vec::new();
    let _ = stream.read_to_end(&mut response);
    let response = String::from_utf8(response).unwrap();
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned(), shown.parse().unwrap())
}
