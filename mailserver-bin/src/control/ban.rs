//! Commands on bans: who is kept out, and who never is.

use std::time::Duration;

use clap::Subcommand;
use mailcore::abuse::{Ban, BanScope, Limiter};
use mailcore::net::Network;
use mailcore::seams::{Clock, SystemClock};
use mailcore::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::admin::words;
use super::aligned;
use crate::config::parse_duration;
use crate::when;

/// What can be asked of bans.
#[derive(Debug, Clone, Subcommand, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum BanRequest {
    /// Lists who is banned and for how long, and who never is
    List {
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Keeps an address or a network out
    Add {
        /// `192.0.2.7`, `192.0.2.0/24`, `2001:db8::/64`
        who: String,
        /// For so long: "2h", "30d"; until it is removed unless given
        #[arg(long = "for", value_name = "TIME")]
        lasting: Option<String>,
        /// From logging in alone; mail for this server is still taken
        #[arg(long)]
        logins: bool,
        /// Why; for this list
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
    /// Lets them in again, and forgets what they did
    Remove {
        /// As listed
        #[arg(required = true)]
        who: Vec<String>,
    },
    /// Never bans an address or a network, nor counts what it does
    Allow {
        /// `192.0.2.7`, `192.0.2.0/24`
        #[arg(required = true)]
        who: Vec<String>,
        /// Count it again
        #[arg(long)]
        remove: bool,
    },
}

/// Carries one command out.
pub(super) async fn run(limiter: &Limiter, request: BanRequest) -> Result<Vec<String>, String> {
    match request {
        BanRequest::List { json } => Ok(list(limiter, json)),
        BanRequest::Add {
            who,
            lasting,
            logins,
            reason,
        } => {
            let now = SystemClock::new().now();
            let who = parse(&who)?;
            let reason = reason.unwrap_or_else(|| "by an operator".to_owned());
            let mut ban = Ban::new(who, &reason, now);
            if logins {
                ban = ban.from(BanScope::Logins);
            }
            if let Some(text) = lasting {
                let time = parse_duration(&text).filter(|it| !it.is_zero());
                let time = time.ok_or_else(|| format!("\"{text}\" is not a time; write \"2h\""))?;
                ban = ban.until(now.after(time));
            }
            limiter.ban(ban).await.map_err(words)?;
            Ok(vec![format!("{who} is banned")])
        }
        BanRequest::Remove { who } => each(limiter, &who, Change::Unban).await,
        BanRequest::Allow { who, remove: true } => each(limiter, &who, Change::Disallow).await,
        BanRequest::Allow { who, remove: false } => each(limiter, &who, Change::Allow).await,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Unban,
    Allow,
    Disallow,
}

/// Changes each, and says for which there was nothing to change.
async fn each(limiter: &Limiter, who: &[String], change: Change) -> Result<Vec<String>, String> {
    let networks: Vec<Network> = who.iter().map(|it| parse(it)).collect::<Result<_, _>>()?;
    let (mut done, mut missing) = (Vec::new(), Vec::new());
    for who in &networks {
        let changed = match change {
            Change::Unban => limiter.unban(who).await,
            Change::Disallow => limiter.disallow(who).await,
            Change::Allow => limiter.allow(*who).await.map(|()| true),
        };
        match (changed.map_err(words)?, change) {
            (true, Change::Unban) => done.push(format!("{who} is let in again")),
            (true, Change::Disallow) => done.push(format!("{who} is counted again")),
            (_, Change::Allow) => done.push(format!("{who} is never banned")),
            (false, Change::Unban) => missing.push(format!("{who} is not banned")),
            (false, Change::Disallow) => missing.push(format!("{who} is not on the allow list")),
        }
    }
    match missing.is_empty() {
        true => Ok(done),
        false => Err(missing.join("\n")),
    }
}

fn parse(text: &str) -> Result<Network, String> {
    text.parse().map_err(|error| format!("\"{text}\": {error}"))
}

fn list(limiter: &Limiter, as_json: bool) -> Vec<String> {
    let now = SystemClock::new().now();
    let (banned, allowed) = (limiter.banned(), limiter.allowed());
    if as_json {
        let banned = banned.iter().map(|ban| {
            json!({
                "who": ban.who.to_string(),
                "from": scope(ban.scope),
                "reason": ban.reason,
                "since": ban.since.millis(),
                "until": ban.until.map(Timestamp::millis),
                "seconds_left": ban.until.map(|until| until.since(now).as_secs()),
            })
        });
        let allowed = allowed
            .iter()
            .map(|who| json!({ "who": who.to_string(), "allowed": true }));
        return banned.chain(allowed).map(|it| it.to_string()).collect();
    }
    let mut rows: Vec<Vec<String>> = banned.iter().map(|ban| row(ban, now)).collect();
    rows.extend(
        allowed
            .iter()
            .map(|who| vec![who.to_string(), "never".to_owned()]),
    );
    aligned(&rows)
}

fn row(ban: &Ban, now: Timestamp) -> Vec<String> {
    let left = match ban.until {
        Some(until) => format!("{} left", left(until.since(now))),
        None => "until removed".to_owned(),
    };
    vec![
        ban.who.to_string(),
        scope(ban.scope).to_owned(),
        left,
        format!("since {}", when::shown(ban.since)),
        ban.reason.clone(),
    ]
}

fn scope(scope: BanScope) -> &'static str {
    match scope {
        BanScope::Logins => "logins",
        _ => "everything",
    }
}

/// In the two largest units.
fn left(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m{}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h{}m", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{}d{}h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}
