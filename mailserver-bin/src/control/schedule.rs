//! Commands on the schedule: what is done when, and doing it now.

use std::sync::Arc;

use mailcore::net::ShutdownSwitch;
use mailcore::schedule::{
    AddJobError, Job, JobMemory, JobStatus, LastRun, RunNowError, Scheduler, SchedulerConfig,
    SchedulerSeams,
};
use mailcore::seams::{OsEntropy, SystemClock};
use mailcore::server::Stores;

use super::aligned;
use crate::when;

/// A line for each job.
pub(crate) async fn list(scheduler: &Scheduler) -> Result<Vec<String>, String> {
    scheduler
        .recall()
        .await
        .map_err(|error| error.to_string())?;
    let rows: Vec<Vec<String>> = scheduler.list().iter().map(row).collect();
    Ok(aligned(&rows))
}

fn row(job: &JobStatus) -> Vec<String> {
    let times = (job.crontab.as_ref()).map_or("on demand".to_owned(), ToString::to_string);
    let next = match (job.running_since, job.next) {
        (Some(since), _) => format!("running since {}", when::shown(since)),
        (None, Some(next)) => format!("next {}", when::shown(next)),
        (None, None) => String::new(),
    };
    let last = match &job.last {
        None => "never run".to_owned(),
        Some(last) => {
            let (LastRun { began, outcome, .. }, verb) = match last.outcome {
                Ok(_) => (last, "done"),
                Err(_) => (last, "failed"),
            };
            let (Ok(text) | Err(text)) = outcome;
            // A result may hold anything; a row is one line.
            format!("{verb} {}: {}", when::shown(*began), text.escape_debug())
        }
    };
    vec![job.name.to_string(), times, next, last]
}

/// Runs a job and waits for its end.
pub(crate) async fn run(scheduler: &Scheduler, name: &str) -> Result<Vec<String>, String> {
    match scheduler.run_now(name).await {
        Ok(last) => last.outcome.map(|text| vec![text]),
        Err(RunNowError::NoSuchJob) => {
            let names: Vec<String> = (scheduler.list().iter())
                .map(|job| job.name.to_string())
                .collect();
            Err(format!(
                "there is no job \"{name}\" here; there is: {}",
                names.join(", ")
            ))
        }
        Err(error) => Err(error.to_string()),
    }
}

/// A scheduler for commands while no server runs: knows the last runs, and runs
/// what it is asked for until the switch is dropped.
pub(crate) fn idle(
    stores: &Stores,
    mut settings: SchedulerConfig,
    jobs: Vec<Job>,
) -> Result<(Arc<Scheduler>, ShutdownSwitch), AddJobError> {
    settings.idle = true;
    let seams = SchedulerSeams {
        clock: Arc::new(SystemClock::new()),
        entropy: Arc::new(OsEntropy),
        memory: Some(JobMemory {
            state: Arc::clone(&stores.state),
            commit: Arc::clone(&stores.commit),
        }),
    };
    let scheduler = Scheduler::new(seams, settings);
    for job in jobs {
        scheduler.add(job)?;
    }
    let (switch, shutdown) = ShutdownSwitch::new();
    tokio::spawn(Arc::clone(&scheduler).run(shutdown));
    Ok((scheduler, switch))
}
