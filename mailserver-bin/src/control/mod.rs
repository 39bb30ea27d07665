//! Commands to a mail server: what can be asked ([`Request`]) and answered
//! ([`Response`]), carried out either by the running server over its control
//! socket ([`server`], [`client`]) or on the data at rest ([`offline`]), by the
//! same code ([`admin`]).
//!
//! On the socket each is one line of JSON. The socket lies in the data
//! directory, which only its owner may enter.

pub(crate) mod account_secrets;
mod account_settings;
pub(crate) mod accounts;
pub(crate) mod addresses;
pub(crate) mod admin;
pub(crate) mod ban;
pub(crate) mod check;
pub(crate) mod client;
pub(crate) mod dkim;
pub(crate) mod dmarc;
pub(crate) mod filter;
pub(crate) mod groups;
pub(crate) mod handlers;
mod list_mail;
pub(crate) mod lists;
pub(crate) mod masked;
pub(crate) mod message_rules;
pub(crate) mod offline;
pub(crate) mod quarantine;
pub(crate) mod queue;
pub(crate) mod rules;
pub(crate) mod schedule;
pub(crate) mod server;
pub(crate) mod sieve;
pub(crate) mod suppress;
pub(crate) mod tls_report;

use std::fmt;

use serde::{Deserialize, Serialize};

/// Octets of a request line: an import of a hundred thousand addresses.
const MAX_REQUEST: usize = 8 * 1024 * 1024;

/// One command.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case")]
pub(crate) enum Request {
    DomainAdd {
        domain: String,
        /// `host` or `host:port`; `None` for a domain with mailboxes here.
        relay: Option<String>,
        /// The domain that it is another name of.
        #[serde(default)]
        alias_of: Option<String>,
    },
    DomainDefault {
        /// `None` to be told which it is.
        domain: Option<String>,
    },
    DomainTemplate {
        domain: String,
        options: Box<accounts::Options>,
    },
    DomainList,
    /// The domains with mailboxes here, a name a line.
    DomainNames,
    DomainRemove {
        domain: String,
    },
    DomainSet {
        domain: String,
        rules: Box<rules::Rules>,
    },
    DomainShow {
        domain: String,
    },
    Pattern {
        request: masked::PatternRequest,
    },
    Masked {
        request: masked::MaskedRequest,
    },
    Handler {
        request: handlers::HandlerRequest,
    },
    AccountAdd {
        address: String,
        password: Password,
    },
    AccountAddHash {
        address: String,
        /// What another server kept of the password.
        hash: Password,
    },
    AccountList {
        domain: Option<String>,
    },
    AccountRemove {
        address: String,
    },
    AccountPassword {
        address: String,
        password: Password,
    },
    AccountHash {
        address: String,
        /// What another server kept of the password.
        hash: Password,
    },
    AccountSecrets {
        request: account_secrets::SecretsRequest,
    },
    AccountChange {
        request: accounts::AccountRequest,
    },
    Address {
        request: addresses::AddressRequest,
    },
    List {
        request: lists::ListRequest,
    },
    Group {
        request: groups::GroupRequest,
    },
    AliasAdd {
        alias: String,
        targets: Vec<String>,
    },
    AliasList,
    AliasRemove {
        alias: String,
    },
    Queue {
        request: queue::QueueRequest,
    },
    Dkim {
        request: dkim::DkimRequest,
    },
    Quarantine {
        request: quarantine::QuarantineRequest,
    },
    Dmarc {
        request: dmarc::DmarcRequest,
    },
    Suppress {
        request: suppress::SuppressRequest,
    },
    Ban {
        request: ban::BanRequest,
    },
    Filter {
        request: Box<filter::FilterRequest>,
    },
    Sieve {
        request: Box<sieve::SieveRequest>,
    },
    MessageRules {
        request: Box<message_rules::RulesRequest>,
    },
    Autoreply {
        request: message_rules::AutoreplyRequest,
    },
    ScheduleList,
    ScheduleRun {
        name: String,
    },
    TlsReport {
        domain: String,
        /// `None` for today.
        day: Option<String>,
    },
    Check,
    Reload,
}

/// What came of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Response {
    /// Lines for standard output.
    Done(Vec<String>),
    /// Some of a message.
    Octets(Vec<u8>),
    /// What went wrong and what would be right.
    Failed(String),
}

/// A password on its way; never shown.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Password(pub(crate) String);

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Rows with their columns aligned; a row of its own for each line.
pub(crate) fn aligned(rows: &[Vec<String>]) -> Vec<String> {
    let mut widths: Vec<usize> = Vec::new();
    for row in rows {
        for (i, cell) in row.iter().enumerate() {
            let width = cell.chars().count();
            match widths.get_mut(i) {
                Some(widest) => *widest = (*widest).max(width),
                None => widths.push(width),
            }
        }
    }
    rows.iter()
        .map(|row| {
            let cells: Vec<String> = row
                .iter()
                .zip(&widths)
                .map(|(cell, width)| format!("{cell:<width$}"))
                .collect();
            cells.join("  ").trim_end().to_owned()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = [["a", "bb"], ["ccc", "d"]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(aligned(&rows), ["a    bb", "ccc  d"]);
    }

    #[test]
    fn a_request_travels_as_one_line_and_hides_its_password_from_logs() {
        let request = Request::AccountPassword {
            address: "a@b.test".into(),
            password: Password("s3cret\nx".into()),
        };
        let line = serde_json::to_string(&request).unwrap();
        assert!(!line.contains('\n'));
        let back: Request = serde_json::from_str(&line).unwrap();
        let shown = format!("{back:?}");
        assert!(
            shown.contains("a@b.test") && !shown.contains("s3cret"),
            "{shown}"
        );
    }
}
