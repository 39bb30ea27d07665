//! What can be asked of the quarantine.

use clap::{Args, Subcommand};
use serde::{Deserialize, Serialize};

pub(crate) use crate::control::queue::Part;

/// Messages listed unless more are asked for.
const LISTED: usize = 1_000;

/// One command on the quarantine.
#[derive(Debug, Clone, Subcommand, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum QuarantineRequest {
    /// Lists what is kept apart, newest first
    List(Listing),
    /// Shows one message, why it is there, and what happened to it so far
    Show {
        /// From the list
        id: String,
        /// As a JSON object, without what happened
        #[arg(long)]
        json: bool,
    },
    /// Prints the message
    Content(Part),
    /// Delivers it past the filters, to all it is for or to one of them
    Release {
        /// From the list
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
        #[command(flatten)]
        whose: Whose,
        /// A copy to this address instead; the message stays. May be given more
        /// than once
        #[arg(long, value_name = "ADDRESS", conflicts_with_all = ["recipient", "account"])]
        to: Vec<String>,
    },
    /// Deletes it without telling anybody, for all it is for or for one of them
    Delete {
        /// From the list
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
        #[command(flatten)]
        whose: Whose,
    },
    /// Deletes what is old
    Purge {
        #[command(flatten)]
        part: Of,
        /// What came before: "2026-11-22" (UTC), or "30d" ago
        #[arg(long, value_name = "TIME")]
        before: String,
    },
}

/// What to list.
#[derive(Debug, Clone, Args, Serialize, Deserialize)]
pub(crate) struct Listing {
    #[command(flatten)]
    pub(super) part: Of,
    /// What came before: "2026-11-22" (UTC), or "30d" ago
    #[arg(long, value_name = "TIME")]
    pub(super) before: Option<String>,
    /// At most so many
    #[arg(long, default_value_t = LISTED, value_name = "COUNT")]
    pub(super) limit: usize,
    /// One JSON object a line
    #[arg(long)]
    pub(super) json: bool,
}

/// A part of the quarantine; all of it when nothing is said.
#[derive(Debug, Clone, Default, Args, Serialize, Deserialize)]
pub(crate) struct Of {
    /// What this account sees
    #[arg(long, value_name = "ADDRESS", conflicts_with_all = ["domain", "admin"])]
    pub(super) account: Option<String>,
    /// What is for this domain, or was sent by its accounts
    #[arg(long, conflicts_with = "admin")]
    pub(super) domain: Option<String>,
    /// What administrators alone see
    #[arg(long)]
    pub(super) admin: bool,
}

/// For which of a message's recipients; for all when nothing is said.
#[derive(Debug, Clone, Default, Args, Serialize, Deserialize)]
pub(crate) struct Whose {
    /// For this recipient alone
    #[arg(long, value_name = "ADDRESS")]
    pub(super) recipient: Option<String>,
    /// For the recipients whose mailbox this is
    #[arg(long, value_name = "ADDRESS", conflicts_with = "recipient")]
    pub(super) account: Option<String>,
}
