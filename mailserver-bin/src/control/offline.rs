//! Carries commands out while no server runs: opens the data, locked, and
//! closes it again.

use std::sync::Arc;

use mailcore::net::ShutdownSwitch;
use mailcore::schedule::Scheduler;
use mailcore::server::Stores;
use mailcore_store::directory::SqliteDirectory;

use super::admin::Admin;
use super::filter::Filters;
use super::{Request, Response, schedule};
use crate::config::Config;
use crate::data::DataDir;
use crate::dmarc::{DmarcReports, PostBox};
use crate::housekeeping::Tools;
use crate::{lists, quarantine, signing, wiring};

/// Carries one command out on the data of `config`.
pub(crate) fn run(config: &Config, request: Request) -> Response {
    attempt(config, request).unwrap_or_else(Response::Failed)
}

fn attempt(config: &Config, request: Request) -> Result<Response, String> {
    let words = |error: &dyn std::error::Error| error.to_string();
    let data = DataDir::new(&config.data);
    let lock = data.lock().map_err(|error| words(&error))?;
    let runtime = runtime().map_err(|error| words(&error))?;
    runtime.block_on(async {
        let directory = wiring::open_directory(&data, &lock).map_err(|error| words(&error))?;
        let mut store = None;
        if request.needs_store() {
            store = Some(wiring::open_store(config, &data).await);
        }
        let store = store.transpose().map_err(|error| words(&error))?;
        let directory = Arc::new(directory);
        let embedded = store.as_ref().and_then(|store| store.embedded.clone());
        let stores = store.map(|store| store.stores);
        let ring = stores.as_ref();
        let ring = ring.and_then(|it| signing::ring(&data, &lock, &it.state).transpose());
        let ring = ring.transpose()?;
        // Nobody takes its letters.
        let post = || PostBox::new().0;
        let dmarc = stores
            .as_ref()
            .map(|it| DmarcReports::new(&it.state, post()));
        if let (Some(dmarc), Request::Dmarc { .. }) = (&dmarc, &request) {
            let resolver = wiring::resolver(config).map_err(|error| words(&error))?;
            dmarc.configure(config, &resolver);
        }
        let scheduler = stores.as_ref().map(|stores| {
            let mut tools = idle_tools(config, &data, stores, &directory);
            tools.embedded.clone_from(&embedded);
            tools.signing = signing::Tending::new(config, ring.clone(), None);
            idle_scheduler(config, tools)
        });
        let scheduler = scheduler.transpose()?;
        let reports = |it: &Stores| (config.hostname.clone(), wiring::tls_report(&it.state));
        let tls_report = stores.as_ref().map(reports);
        let (scheduler, _switch) = scheduler.unzip();
        let limiter = match &stores {
            Some(stores) => Some(wiring::idle_limiter(stores).await),
            None => None,
        };
        let open = stores.as_ref();
        let quarantine = open.map(|it| quarantine::store(config, it));
        let queue = open.map(|it| wiring::idle_queue(config, it, directory.clone()));
        let lists = open.map(|it| lists::seams(config, it, directory.clone()));
        let admin = Admin {
            lists,
            filters: Filters::new(config, Arc::clone(&directory) as _),
            scheduler,
            limiter,
            queue,
            directory,
            stores,
            embedded,
            reload: None,
            quarantine,
            tls_report,
            dmarc,
            ring,
        };
        Ok(admin.run(request).await)
    })
}

/// What jobs need beside the store itself and the keys.
fn idle_tools(
    config: &Config,
    data: &DataDir,
    stores: &Stores,
    directory: &Arc<SqliteDirectory>,
) -> Tools {
    Tools {
        stores: stores.clone(),
        lists: lists::seams(config, stores, Arc::clone(directory) as _),
        embedded: None,
        directory: Arc::clone(directory) as _,
        retention: config.retention,
        journal: wiring::kept(config, wiring::open_journal(config, data).as_ref()),
        keys: None,
        quarantine: (quarantine::store(config, stores), config.filter.quarantine),
        signing: signing::Tending::new(config, None, None),
        dmarc: None,
    }
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
}

fn idle_scheduler(
    config: &Config,
    tools: Tools,
) -> Result<(Arc<Scheduler>, ShutdownSwitch), String> {
    let stores = tools.stores.clone();
    let (settings, jobs) = (
        config.housekeeping.settings(),
        config.housekeeping.jobs(tools),
    );
    schedule::idle(&stores, settings, jobs).map_err(|error| error.to_string())
}
