//! What rules say of mail one knows: how much of each folder reaches a score, and
//! how often each rule holds in it.
//!
//! ```text
//! cargo run --release -p mailcore-filter --features rules --example content_rules -- \
//!     RULES FOLDER [FOLDER ...]
//! ```
//!
//! `RULES` is a file of rules, or `shipped`. Each file of a folder is one message;
//! it is taken to have arrived when its first Received field says.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

use mailcore::address::ReversePath;
use mailcore::envelope::Envelope;
use mailcore::message::date::DateTime;
use mailcore::message::{Header, Message};
use mailcore::seams::{FilterSession, IncomingMail};
use mailcore::time::Timestamp;
use mailcore_filter::content::{View, ViewLimits};
use mailcore_filter::pipeline::Look;
use mailcore_filter::rules::RuleSet;

/// What pipelines keep apart by default.
const SPAM: f32 = 5.0;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let rules = arguments.next().ok_or("say which rules")?;
    let rules = match rules.as_str() {
        "shipped" => RuleSet::shipped()?,
        path => RuleSet::parse(path, &std::fs::read_to_string(path)?)?,
    };
    for folder in arguments {
        judge(&rules, Path::new(&folder)).await?;
    }
    Ok(())
}

async fn judge(rules: &RuleSet, folder: &Path) -> Result<(), Box<dyn Error>> {
    let mut held: BTreeMap<String, usize> = BTreeMap::new();
    let mut scores: Vec<(f32, String)> = Vec::new();
    let (mut octets, mut viewing, mut judging) = (0, Duration::ZERO, Duration::ZERO);
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let text = std::fs::read(&path)?;
        let arrived = arrival(&text);
        octets += text.len();
        let message = Message::from_bytes(text);
        let summary = message.summarize().await?;
        let begun = Instant::now();
        let view = View::read(&message, &summary, &ViewLimits::default()).await?;
        viewing += begun.elapsed();
        let begun = Instant::now();
        let session = FilterSession::new(None);
        let envelope = Envelope::from_sender(ReversePath::Null);
        let mail = IncomingMail::new(&envelope, &message, &summary);
        let look = Look::at(&session).mail(&mail);
        let hits = rules.judge(&look, &view, arrived).await?;
        judging += begun.elapsed();
        for hit in &hits {
            *held.entry(hit.name.to_owned()).or_default() += 1;
        }
        let names: Vec<_> = hits.iter().map(|hit| hit.name).collect();
        let score = hits.iter().map(|hit| hit.score).sum();
        scores.push((score, format!("{} {}", path.display(), names.join(" "))));
    }
    let count = scores.len().max(1);
    let reached = scores.iter().filter(|(score, _)| *score >= SPAM).count();
    println!(
        "{}: {count} messages of {} octets, {reached} ({:.1} %) reach {SPAM}; \
         {} µs each to view, {} µs to judge",
        folder.display(),
        octets / count,
        100.0 * reached as f64 / count as f64,
        viewing.as_micros() / count as u128,
        judging.as_micros() / count as u128,
    );
    for (name, times) in held {
        println!("  {:5.1} % {name}", 100.0 * times as f64 / count as f64);
    }
    scores.sort_by(|a, b| b.0.total_cmp(&a.0));
    for (score, message) in scores.iter().take(15) {
        println!("  {score:4.1} {message}");
    }
    Ok(())
}

fn arrival(text: &[u8]) -> Timestamp {
    let received = Header::new(text).first("received");
    let value = received
        .map(|field| field.value().into_owned())
        .unwrap_or_default();
    let date = value.rsplit(|octet| *octet == b';').next();
    date.and_then(DateTime::parse)
        .map_or(Timestamp::EPOCH, DateTime::timestamp)
}
