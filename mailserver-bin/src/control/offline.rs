//! Carries commands out while no server runs: opens the data, locked, and
//! closes it again.

use std::sync::Arc;

use super::admin::Admin;
use super::{Request, Response};
use crate::config::Config;
use crate::data::DataDir;
use crate::wiring;

/// Carries one command out on the data of `config`.
pub(crate) fn run(config: &Config, request: Request) -> Response {
    attempt(config, request).unwrap_or_else(Response::Failed)
}

fn attempt(config: &Config, request: Request) -> Result<Response, String> {
    let words = |error: &dyn std::error::Error| error.to_string();
    let data = DataDir::new(&config.data);
    let _lock = data.lock().map_err(|error| words(&error))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| words(&error))?;
    runtime.block_on(async {
        let directory = wiring::open_directory(&data).map_err(|error| words(&error))?;
        let store = if request.needs_store() {
            let store = wiring::open_store(config.store, &data).await;
            Some(store.map_err(|error| words(&error))?)
        } else {
            None
        };
        let directory = Arc::new(directory);
        let embedded = store.as_ref().and_then(|store| store.embedded.clone());
        let stores = store.map(|store| store.stores);
        let admin = Admin {
            queue: stores
                .as_ref()
                .map(|stores| wiring::idle_queue(config, stores, directory.clone())),
            directory,
            stores,
            embedded,
            keys: None,
        };
        Ok(admin.run(request).await)
    })
}
