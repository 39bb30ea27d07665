//! Work at set times: when ([`Crontab`]), in which zone ([`Zone`]), what
//! ([`Job`]), and who sees to it ([`Scheduler`]).
//!
//! What a job does is its owner's affair. Time comes from the
//! [`Clock`](crate::seams::Clock), so that a year of jobs runs in a test at
//! once; what was run when is remembered in the store, so that a restart
//! neither loses a run nor repeats one.
//!
//! ```
//! use mailcore::schedule::{Job, MissedRun};
//! use mailcore::server::Server;
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let report = Job::new("report", "0 8 * * mon-fri".parse()?, |_run| async {
//!     let text = std::fs::read_to_string("Cargo.toml")?;
//!     Ok(format!("{} lines", text.lines().count()))
//! })
//! .missed(MissedRun::Skip);
//! let server = Server::builder("mail.example.com").job(report).start().await?;
//! let run = server.scheduler().run_now("report").await?;
//! assert!(run.outcome.is_ok());
//! server.shutdown().await;
//! # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
//! ```

mod crontab;
mod job;
mod keeper;
mod memory;
mod old_mail;
mod scheduler;
#[cfg(test)]
mod tests;
mod zone;

pub use crontab::{Crontab, CrontabError, Field};
pub use job::{Job, JobError, JobRun, LastRun, MissedRun};
pub use memory::JobMemory;
pub use old_mail::OldMail;
pub use scheduler::{
    AddJobError, JobStatus, RunNowError, Scheduler, SchedulerConfig, SchedulerSeams,
};
pub use zone::{Utc, Zone};
