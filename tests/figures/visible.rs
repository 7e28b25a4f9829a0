//! How soon an answer has a transition: from the instant at which a reader of committed records has it.

use std::time::{Duration, Instant};

use super::super::support::client::{Tail, Writer, get};

/// Enters one customer after the other, and asks for each as soon as its entry was read.
pub fn measure(bootstrap: &str, input: &str, transitions: &str, http: &str) {
    const CUSTOMERS: usize = 100;
    let (writer, mut tail) = (Writer::connect(bootstrap), Tail::open(bootstrap, transitions));
    let mut took: Vec<f64> = (0..CUSTOMERS)
        .map(|number| {
            writer.send(input, None, &format!("v-{number}"), Some(order(number).as_bytes()));
            writer.flush();
            assert!(tail.read_until(number + 1, Duration::from_secs(20)), "an order of $200 enters a segment");
            let read = Instant::now();
            while !get(http, &format!("/api/v1/customers/v-{number}/segments?segment=big_basket_this_month")).contains("\"held\":true") {
                assert!(read.elapsed() < Duration::from_secs(20), "never in an answer");
            }
            read.elapsed().as_secs_f64() * 1000.0
        })
        .collect();
    took.sort_by(f64::total_cmp);
    let at = |q: f64| took[((took.len() - 1) as f64 * q) as usize];
    println!("\nvisible in answers  p50 {:.1} ms, p99 {:.1} ms, max {:.1} ms after its record", at(0.50), at(0.99), at(1.0));
}

fn order(number: usize) -> String {
    let at = format!("2026-01-01T00:{:02}:{:02}Z", number / 60, number % 60);
    format!(
        r#"{{"type":"track","event":"Order Completed","messageId":"m-{number}","userId":"v-{number}","timestamp":"{at}","properties":{{"order_id":"o-{number}","total":200}}}}"#
    )
}
