//! The server's own scheduled work: one row of [`CHORES`] for each job, and how
//! it is done. When is the configuration's `[schedule]`.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use mailcore::deliver::list::{ListSeams, upkeep};
use mailcore::mailbox::{MailboxName, SpecialUse};
use mailcore::quarantine::QuarantineStore;
use mailcore::queue::remove_outlived;
use mailcore::schedule::{Crontab, Job, JobError, JobRun, OldMail, SchedulerConfig, Zone};
use mailcore::seams::{DirectoryWrite, Journal, JournalRetention};
use mailcore::server::Stores;
use mailcore_filter::sender_auth::reports::reporter::Sending;
use mailcore_filter::sender_auth::reports::tally::Until;
use mailcore_store::embedded::EmbeddedStore;

use crate::config::{QuarantineConfig, Retention};
use crate::control::check;
use crate::dmarc::{DmarcReports, SPREAD};
use crate::signing::Tending;
use crate::tls::{Keys, Wish};
use crate::{quarantine, telling};

/// What stands for no time at all.
pub(crate) const NEVER: &str = "never";
/// The job that begins at a time of its own.
const DMARC: &str = "dmarc-reports";

type Running = Pin<Box<dyn Future<Output = Result<String, JobError>> + Send>>;

/// A job of the server's own.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Chore {
    /// Its name, and its key in `[schedule]`.
    pub(crate) name: &'static str,
    /// When it is done unless the configuration says otherwise.
    pub(crate) default: &'static str,
    /// Whether it has anything to do here.
    applies: fn(&Tools) -> bool,
    run: fn(Arc<Tools>, JobRun) -> Running,
}

/// Every job. Each has its own time, so that the disk serves one at a time.
#[rustfmt::skip]
pub(crate) const CHORES: &[Chore] = &[
    Chore { name: "purge", default: "10 3 * * *", applies: |tools| tools.retention.is_some(), run: |tools, run| Box::pin(purge(tools, run)) },
    Chore { name: "queue", default: "30 3 * * *", applies: |_| true, run: |tools, run| Box::pin(queue(tools, run)) },
    Chore { name: "quarantine", default: "37 * * * *", applies: |_| true, run: |tools, run| Box::pin(kept_apart(tools, run)) },
    Chore { name: "journal", default: "40 3 * * *", applies: |tools| tools.journal.is_some(), run: |tools, run| Box::pin(journal(tools, run)) },
    Chore { name: "tidy", default: "50 3 * * *", applies: |tools| tools.embedded.is_some(), run: |tools, run| Box::pin(tidy(tools, run)) },
    Chore { name: "compact", default: "10 4 * * *", applies: |tools| tools.embedded.is_some(), run: |tools, run| Box::pin(compact(tools, run)) },
    Chore { name: "certificates", default: "17 * * * *", applies: |tools| tools.keys.is_some(), run: |tools, run| Box::pin(certificates(tools, run)) },
    Chore { name: "dkim", default: "47 * * * *", applies: |tools| tools.signing.is_some(), run: |tools, run| Box::pin(dkim(tools, run)) },
    Chore { name: "watch", default: "23 * * * *", applies: |tools| tools.keys.is_some(), run: |tools, run| Box::pin(watch(tools, run)) },
    Chore { name: DMARC, default: "20 0 * * *", applies: |tools| tools.dmarc.is_some(), run: |tools, run| Box::pin(dmarc(tools, run)) },
    Chore { name: "lists", default: "27 * * * *", applies: |_| true, run: |tools, run| Box::pin(lists(tools, run)) },
    Chore { name: "check", default: NEVER, applies: |_| true, run: |tools, run| Box::pin(check(tools, run)) },
];

/// When what is done, and in whose time.
#[derive(Debug, Clone)]
pub(crate) struct Schedule {
    pub(crate) zone: Arc<dyn Zone>,
    /// For each of [`CHORES`]; `None` for never.
    pub(crate) times: Vec<(&'static Chore, Option<Crontab>)>,
}

/// What jobs work on.
#[derive(Debug)]
pub(crate) struct Tools {
    pub(crate) stores: Stores,
    /// What lists work with.
    pub(crate) lists: ListSeams,
    /// `None` where the store is not on disk.
    pub(crate) embedded: Option<Arc<EmbeddedStore>>,
    pub(crate) directory: Arc<dyn DirectoryWrite>,
    pub(crate) retention: Retention,
    /// What happened, and for how long that is kept.
    pub(crate) journal: Option<(Arc<dyn Journal>, JournalRetention)>,
    /// `None` where no server runs to show them.
    pub(crate) keys: Option<Arc<Keys>>,
    /// Mail kept apart, and for how long.
    pub(crate) quarantine: (QuarantineStore, QuarantineConfig),
    /// `None` where nothing is signed.
    pub(crate) signing: Option<Tending>,
    /// `None` where no server runs that could send them.
    pub(crate) dmarc: Option<Arc<DmarcReports>>,
}

impl Schedule {
    /// The jobs that have something to do here.
    pub(crate) fn jobs(&self, tools: Tools) -> Vec<Job> {
        let tools = Arc::new(tools);
        let applying = self
            .times
            .iter()
            .filter(|(chore, _)| (chore.applies)(&tools));
        let job = |(chore, crontab): &(&'static Chore, Option<Crontab>)| {
            let (tools, chore) = (Arc::clone(&tools), *chore);
            let work = move |run| (chore.run)(Arc::clone(&tools), run);
            match crontab {
                Some(crontab) if chore.name == DMARC => {
                    Job::new(chore.name, crontab.clone(), work).jitter(SPREAD)
                }
                Some(crontab) => Job::new(chore.name, crontab.clone(), work),
                None => Job::on_demand(chore.name, work),
            }
        };
        applying.map(job).collect()
    }

    /// One job at a time, in the configured zone.
    pub(crate) fn settings(&self) -> SchedulerConfig {
        let mut settings = SchedulerConfig::default();
        settings.zone = Arc::clone(&self.zone);
        settings.at_once = 1;
        settings
    }
}

/// Reads all data, and compares the log with the index.
async fn check(tools: Arc<Tools>, mut run: JobRun) -> Result<String, JobError> {
    let Tools {
        directory,
        stores,
        embedded,
        ..
    } = &*tools;
    let checked = tokio::select! {
        checked = check::all(&**directory, stores, embedded.clone()) => checked,
        () = run.shutdown.begun() => Err("the server goes down".to_owned()),
    };
    if let Err(found) = &checked
        && !run.shutdown.has_begun()
    {
        telling::damaged(stores, found).await;
    }
    checked.map(|lines| lines.join("; ")).map_err(JobError::new)
}

/// Looks for what the operator should know.
async fn watch(tools: Arc<Tools>, run: JobRun) -> Result<String, JobError> {
    Ok(telling::watch(&tools.stores, tools.keys.as_ref(), run.began).await?)
}

/// Removes the copies of delivered mail that were kept long enough.
async fn queue(tools: Arc<Tools>, run: JobRun) -> Result<String, JobError> {
    let stores = &tools.stores;
    let mut removed = 0;
    loop {
        if run.shutdown.has_begun() {
            return Err(JobError::new("the server goes down"));
        }
        let some = remove_outlived(&*stores.spool, &*stores.commit, run.began).await?;
        removed += some;
        if some == 0 {
            return Ok(format!("{removed} copies of delivered mail removed"));
        }
    }
}

/// Removes what was kept apart long enough, and what is too much.
async fn kept_apart(tools: Arc<Tools>, run: JobRun) -> Result<String, JobError> {
    let (store, config) = &tools.quarantine;
    quarantine::tend(store, config, run).await
}

/// Gives up what waits for moderators too long.
async fn lists(tools: Arc<Tools>, mut run: JobRun) -> Result<String, JobError> {
    let given_up = tokio::select! {
        given_up = upkeep(tools.lists.clone()) => given_up.map_err(|it| JobError::new(it.to_string()))?,
        () = run.shutdown.begun() => return Err(JobError::new("the server goes down")),
    };
    Ok(format!(
        "{given_up} messages that no moderator let out were given up"
    ))
}

/// Gets and renews the certificates that are due.
async fn certificates(tools: Arc<Tools>, run: JobRun) -> Result<String, JobError> {
    let Some(keys) = &tools.keys else {
        return Ok("no server runs here".to_owned());
    };
    let wish = match run.due {
        Some(_) => Wish::Timetable,
        None => Wish::Operator,
    };
    keys.tend(wish).await.map_err(JobError::new)
}

/// Takes the keys that sign mail through their life.
async fn dkim(tools: Arc<Tools>, mut run: JobRun) -> Result<String, JobError> {
    let Some(signing) = &tools.signing else {
        return Ok("nothing is signed here".to_owned());
    };
    tokio::select! {
        done = signing.tend(&tools.stores) => Ok(done?),
        () = run.shutdown.begun() => Err(JobError::new("the server goes down")),
    }
}

/// Tells domains of the mail that claimed to be theirs.
async fn dmarc(tools: Arc<Tools>, mut run: JobRun) -> Result<String, JobError> {
    let Some(reports) = tools.dmarc.as_ref().filter(|it| it.is_on()) else {
        return Ok("[filter.dmarc_reports] is off".to_owned());
    };
    let sent = tokio::select! {
        sent = reports.send(Until::Yesterday, Sending::Real) => sent.map_err(JobError::new)?,
        () = run.shutdown.begun() => return Err(JobError::new("the server goes down")),
    };
    let to: usize = sent.iter().map(|report| report.to.len()).sum();
    let about = sent.len();
    Ok(format!("{to} reports about {about} domains and days"))
}

/// Removes what is old from the journal.
async fn journal(tools: Arc<Tools>, run: JobRun) -> Result<String, JobError> {
    let Some((journal, retention)) = &tools.journal else {
        return Ok("there is no journal".to_owned());
    };
    let purged = journal.purge(run.began, retention).await?;
    Ok(format!(
        "{} messages, {} sessions, {} events, {} counts removed; {} octets freed",
        purged.messages, purged.sessions, purged.events, purged.statistics, purged.octets
    ))
}

/// Lets the store forget what it need not keep any longer.
async fn tidy(tools: Arc<Tools>, _run: JobRun) -> Result<String, JobError> {
    let Some(store) = &tools.embedded else {
        return Ok("the store is not on disk".to_owned());
    };
    store.tidy().await?;
    Ok("what has had its time is removed".to_owned())
}

/// Rewrites the log without what is of no more use.
async fn compact(tools: Arc<Tools>, mut run: JobRun) -> Result<String, JobError> {
    let Some(store) = tools.embedded.clone() else {
        return Ok("the store is not on disk".to_owned());
    };
    let held = Arc::clone(&store);
    let mut pass = tokio::task::spawn_blocking(move || store.compact());
    let report = tokio::select! {
        report = &mut pass => report??,
        () = run.shutdown.begun() => {
            // The pass ends after the segments it is at, and with it its hold on
            // the store, which the process would wait for.
            let hold = tokio::task::spawn_blocking(move || held.hold_compaction()).await?;
            pass.await??;
            drop(hold);
            return Err(JobError::new("the server goes down"));
        }
    };
    let ended = if report.interrupted {
        "; ended early"
    } else {
        ""
    };
    Ok(format!(
        "{} segments rewritten, {} octets became {}, {} extents removed{ended}",
        report.segments, report.before, report.after, report.extents
    ))
}

/// Removes old mail from Junk and Trash.
async fn purge(tools: Arc<Tools>, run: JobRun) -> Result<String, JobError> {
    let Retention { junk, trash } = tools.retention;
    let kinds = [
        (SpecialUse::Junk, "Junk", junk),
        (SpecialUse::Trash, "Trash", trash),
    ];
    let accounts = tools.directory.accounts(None).await?;
    let mut told = Vec::new();
    for (special_use, name, keep_for) in kinds {
        let Some(keep_for) = keep_for else {
            continue;
        };
        let old = OldMail {
            storage: Arc::clone(&tools.stores.storage),
            special_use,
            name: MailboxName::parse(name)?,
            keep_for,
        };
        let mut removed = 0;
        for summary in &accounts {
            if run.shutdown.has_begun() {
                return Err(JobError::new("the server goes down"));
            }
            removed += old.purge(&summary.account.id, run.began).await?;
        }
        told.push(format!("{removed} messages removed from {name}"));
    }
    Ok(told.join(", "))
}
