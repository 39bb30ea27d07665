//! `mailserver schedule`.

use clap::Subcommand;

use crate::control::Request;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Lists the server's own jobs: when each runs, and how it went last
    List,
    /// Runs one now and waits for its end
    Run {
        /// From `schedule list`
        name: String,
    },
}

impl Command {
    pub(super) fn request(self) -> Request {
        match self {
            Self::List => Request::ScheduleList,
            Self::Run { name } => Request::ScheduleRun { name },
        }
    }
}
