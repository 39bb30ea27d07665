//! How much a server within a test costs: time to start, time to stop, memory
//! while it idles. Figures for `cargo run --release --example many_servers`;
//! the number of servers may follow `--`.

use std::error::Error;
use std::time::{Duration, Instant};

use mailcore::testing::MemoryServer;
use mailcore::testing::matchers::anything;
use mailcore_imap::server::Imap;
use mailcore_pop3::Pop3;
use mailcore_smtp::server::Smtp;
use mailcore_store::MemoryStore;

const SERVERS: usize = 1_000;

async fn start() -> Result<MemoryServer, Box<dyn Error>> {
    let server = MemoryServer::builder("app.test")
        .stores(MemoryStore::with)
        .serve(Smtp::mx())
        .serve(Smtp::submission())
        .serve(Imap::new())
        .serve(Pop3::new())
        .start();
    Ok(server.await?)
}

/// Octets of memory in use, where the system tells (Linux).
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kilobytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes * 1024)
}

/// Middle and greatest.
fn told(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |index: usize| times.get(index).copied().unwrap_or_default();
    let (middle, greatest) = (at(times.len() / 2), at(times.len().saturating_sub(1)));
    println!("{what}: {middle:?} in the middle, {greatest:?} at most");
}

async fn measure(count: usize) -> Result<(), Box<dyn Error>> {
    // What the first one loads is not counted.
    start().await?.shutdown().await;
    let before = resident();
    let (mut servers, mut starts) = (Vec::with_capacity(count), Vec::new());
    for _ in 0..count {
        let began = Instant::now();
        servers.push(start().await?);
        starts.push(began.elapsed());
    }
    told("start", starts);
    if let (Some(before), Some(after)) = (before, resident()) {
        let each = after.saturating_sub(before) / count.max(1) as u64;
        println!("memory of an idle server: {} kB", each / 1024);
    }
    let mut uses = Vec::new();
    for server in &servers {
        let began = Instant::now();
        server
            .send("", "ann@app.test", "Subject: x\n\nhello")
            .await?;
        server.expect_mail(anything()).await;
        uses.push(began.elapsed());
    }
    told("a message in and waited for", uses);
    let mut stops = Vec::new();
    for server in servers {
        let began = Instant::now();
        server.shutdown().await;
        stops.push(began.elapsed());
    }
    told("stop", stops);
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let count = std::env::args().nth(1).and_then(|it| it.parse().ok());
    // No IO of the system's: what would open a socket panics.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()?;
    runtime.block_on(measure(count.unwrap_or(SERVERS)))
}

#[cfg(test)]
mod tests {
    #[test]
    fn ten_servers_start_work_and_stop() {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_time().build().unwrap();
        runtime.block_on(super::measure(10)).unwrap();
    }
}
