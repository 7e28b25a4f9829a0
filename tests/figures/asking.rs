//! Lookups over HTTP, as many as are answered or at a given rate, and how long they took.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// How long lookups took, seconds.
pub struct Asked {
    took: Vec<f64>,
    over: Duration,
}

impl Asked {
    /// Those of several windows as one.
    pub fn all(windows: Vec<Asked>) -> Asked {
        let over = windows.iter().map(|asked| asked.over).sum();
        Asked { took: windows.into_iter().flat_map(|asked| asked.took).collect(), over }
    }

    pub fn print(mut self, what: &str) {
        self.took.sort_by(f64::total_cmp);
        let at = |q: f64| self.took[((self.took.len() - 1) as f64 * q) as usize] * 1000.0;
        let rate = self.took.len() as f64 / self.over.as_secs_f64();
        println!("lookups             {rate:>9.0} /s, p50 {:.2} ms, p99 {:.2} ms, {what}", at(0.50), at(0.99));
    }
}

/// Asks, for the customer that `id` makes of a number, over eight connections for so long: each as soon as it has its answer, or all together at `rate`, each lookup from
/// the instant at which it should have been asked.
pub fn ask(http: SocketAddr, id: &(dyn Fn(u32) -> String + Sync), rate: Option<u32>, over: Duration) -> Asked {
    const CONNECTIONS: u32 = 8;
    let begun = Instant::now();
    let asker = |number: u32| {
        let mut stream = TcpStream::connect(http).unwrap();
        stream.set_nodelay(true).unwrap();
        let (mut took, mut count) = (Vec::new(), 0);
        while begun.elapsed() < over {
            let due = rate.map_or_else(Instant::now, |rate| begun + Duration::from_secs(1) * (count * CONNECTIONS + number) / rate);
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            lookup(&mut stream, &id(count * CONNECTIONS + number));
            took.push(due.elapsed().as_secs_f64());
            count += 1;
        }
        took
    };
    let took = std::thread::scope(|scope| {
        let asking: Vec<_> = (0..CONNECTIONS).map(|number| scope.spawn(move || asker(number))).collect();
        asking.into_iter().flat_map(|asker| asker.join().unwrap()).collect()
    });
    Asked { took, over: begun.elapsed() }
}

fn lookup(stream: &mut TcpStream, customer: &str) {
    let request = format!("GET /api/v1/customers/{customer}/segments?segment=loyal HTTP/1.1\r\nHost: x\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = [0; 4096];
    let mut length = 0;
    // The answer's last member ends it.
    while !answer[..length].ends_with(b"}") {
        length += stream.read(&mut answer[length..]).unwrap();
    }
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer[..length]));
}
