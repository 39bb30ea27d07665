//! `mailserver reload` and SIGHUP: the configuration is read anew and put in
//! force as a whole, or nothing of it.

use std::path::Path;
use std::sync::Arc;

use mailcore::server::{Reloaded, RunningServer, ServiceHandle, StartError};
use tokio::sync::{mpsc, oneshot};
use toml::{Table, Value};

use crate::config::Config;
use crate::tls::Keys;
use crate::wiring::Wiring;

/// Tables that only a start reads, but for the keys of [`EXCEPTED`].
const AT_START: [&str; 7] = [
    "events",
    "server",
    "store",
    "queue",
    "schedule",
    "retention",
    "journal",
];

/// Keys that are read at another time than their tables.
const EXCEPTED: [(&str, &str); 2] = [("queue", "smart_host"), ("notices", "crash_reports")];

/// A wish to reload, and where the answer goes.
pub(crate) type Wish = oneshot::Sender<Result<Vec<String>, String>>;

/// Has the running server reload, from wherever commands are taken.
#[derive(Debug, Clone)]
pub(crate) struct ReloadHandle(mpsc::Sender<Wish>);

impl ReloadHandle {
    /// A handle, and where its wishes come out.
    pub(crate) fn new() -> (Self, mpsc::Receiver<Wish>) {
        let (sender, receiver) = mpsc::channel(4);
        (Self(sender), receiver)
    }

    /// Waits until it is done; what changed, or what is wrong.
    pub(crate) async fn reload(&self) -> Result<Vec<String>, String> {
        let (wish, answer) = oneshot::channel();
        let gone = |_| "the server is going down".to_owned();
        self.0.send(wish).await.map_err(|_| gone(()))?;
        answer.await.map_err(|_| gone(()))?
    }
}

/// What is in force, and what a server is put together from.
pub(crate) struct Reloader<W> {
    config: Config,
    /// The file as it was read last.
    file: Table,
    keys: Arc<Keys>,
    /// Everything of a [`Wiring`] that stays.
    wiring: W,
}

impl<W> Reloader<W>
where
    W: for<'a> Fn(&'a Config) -> Result<Wiring<'a>, String>,
{
    pub(crate) fn new(config: Config, keys: Arc<Keys>, wiring: W) -> Self {
        let file = config.file.as_deref().map(table);
        Self {
            file: file.and_then(Result::ok).unwrap_or_default(),
            config,
            keys,
            wiring,
        }
    }

    /// True when an authority is asked for certificates.
    pub(crate) fn has_acme(&self) -> bool {
        self.keys.has_acme()
    }

    /// Reads everything anew. When anything is wrong, nothing changes.
    pub(crate) async fn reload(&mut self, running: &RunningServer) -> Result<Vec<String>, String> {
        let Some(path) = self.config.file.clone() else {
            // Without a file only the certificate can have changed.
            let news = self.keys.reread().await.map_err(words)?;
            return Ok(or_nothing(news));
        };
        let read = Config::load(Some(&path)).map_err(words)?;
        let file = table(&path)?;
        let config = read.keeping(&self.config);
        let prepared = self.keys.prepare(&config).await.map_err(words)?;
        let builder = (self.wiring)(&config)?.builder().map_err(words)?;
        let done = running.reload(builder).await.map_err(explained)?;
        let mut lines = listeners(&done);
        lines.extend(self.keys.apply(prepared));
        let (changed, at_start) = differences(&self.file, &file);
        lines.extend(changed.iter().map(|name| format!("changed: {name}")));
        let mut lines = or_nothing(lines);
        lines.extend(
            at_start
                .iter()
                .map(|name| format!("needs a restart: {name}")),
        );
        (self.config, self.file) = (config, file);
        Ok(lines)
    }
}

fn or_nothing(lines: Vec<String>) -> Vec<String> {
    match lines.is_empty() {
        true => vec!["read anew; nothing has changed".to_owned()],
        false => lines,
    }
}

fn words(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn explained(error: StartError) -> String {
    match &error {
        StartError::Bind { source, .. } if source.kind() == std::io::ErrorKind::AddrInUse => {
            format!(
                "{error}; when it is this server itself, on another address with the same port, \
                 it must be started anew"
            )
        }
        _ => error.to_string(),
    }
}

fn table(path: &Path) -> Result<Table, String> {
    let text = std::fs::read_to_string(path).map_err(words)?;
    text.parse().map_err(words)
}

fn listeners(done: &Reloaded) -> Vec<String> {
    let line = |verb: &str, service: &Arc<ServiceHandle>| {
        let address = service.address();
        let address = address.map_or_else(String::new, |at| format!(" {at}"));
        format!("listener {verb}: {}{address}", service.protocol())
    };
    let added = done.added.iter().map(|service| line("added", service));
    let removed = done.removed.iter();
    let removed = removed.map(|service| line("removed", service) + "; its sessions go on");
    added.chain(removed).collect()
}

/// What differs: tables and keys that are in force now, and those that only a
/// start reads.
fn differences(before: &Table, after: &Table) -> (Vec<String>, Vec<String>) {
    let mut names: Vec<&String> = before.keys().chain(after.keys()).collect();
    names.sort();
    names.dedup();
    let (mut changed, mut at_start) = (Vec::new(), Vec::new());
    for name in names {
        let (old, new) = (before.get(name), after.get(name));
        let excepted = EXCEPTED.iter().find(|(table, _)| table == name);
        let (by_table, by_key) = match AT_START.contains(&name.as_str()) {
            true => (&mut at_start, &mut changed),
            false => (&mut changed, &mut at_start),
        };
        let Some((_, key)) = excepted else {
            if old != new {
                by_table.push(format!("[{name}]"));
            }
            continue;
        };
        let value = |table: Option<&Value>| table.and_then(|it| it.get(key)).cloned();
        if value(old) != value(new) {
            by_key.push(format!("{name}.{key}"));
        }
        if without(old, key) != without(new, key) {
            by_table.push(format!("[{name}]"));
        }
    }
    (changed, at_start)
}

/// A table without one of its keys; an empty one for none.
fn without(table: Option<&Value>, key: &str) -> Table {
    let mut table = table.and_then(Value::as_table).cloned().unwrap_or_default();
    table.remove(key);
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changed_is_told_apart_from_what_needs_a_restart() {
        let before = "[server]\nhostname = \"a\"\n[queue]\nexpire = \"1d\"\n[limits]\nhops = 1\n";
        let after = "[server]\nhostname = \"b\"\n[queue]\nexpire = \"1d\"\n\
                     [queue.smart_host]\nhost = \"c\"\n[imap]\nidle_timeout = \"1h\"\n\
                     [limits]\nhops = 1\n[notices]\ncrash_reports = true\n";
        let (before, after) = (before.parse().unwrap(), after.parse().unwrap());
        let (changed, at_start) = differences(&before, &after);
        assert_eq!(changed, ["[imap]", "queue.smart_host"]);
        assert_eq!(at_start, ["notices.crash_reports", "[server]"]);
        let (changed, at_start) = differences(&after, &after);
        assert!(changed.is_empty() && at_start.is_empty());
    }
}
