//! `mailserver serve`: runs the server until it is told to stop.

use std::io;
use std::sync::Arc;

use mailcore::event::EventName;
use mailcore::net::{Shutdown, ShutdownSwitch};
use mailcore::schedule::Scheduler;
use mailcore::seams::{Directory, OsEntropy, Resolver};
use mailcore::server::{RunningServer, StartError, Stores};
use mailcore_filter::sender_auth::signing::KeyRing;
use mailcore_smtp::client::TlsReport;
use mailcore_store::directory::SqliteDirectory;
use mailcore_store::embedded::EmbeddedStore;
use mailcore_store::journal::SqliteJournal;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::CliError;
use super::init::{self, Setup};
use crate::config::{Config, CrashReports, Protocol, TlsMode};
use crate::control::admin::Admin;
use crate::control::filter::Filters;
use crate::control::server;
use crate::data::{DataDir, DataLock};
use crate::dmarc::{self, DmarcReports, Letter, PostBox};
use crate::reload::{ReloadHandle, Reloader, Wish};
use crate::tls::Keys;
use crate::wiring::{self, Wiring};
use crate::{crash, lists, logging, out, own_name, quarantine, signing, telling};

#[derive(Debug, Default, clap::Args)]
pub(super) struct Args {
    /// Take free ports instead of the configured ones, and print them
    #[arg(long)]
    free_ports: bool,
}

/// Runs a server of this configuration.
pub(super) fn run(mut config: Config, args: &Args) -> Result<(), CliError> {
    if args.free_ports {
        config.take_free_ports();
    }
    logging::start(&config.log);
    raise_file_limit();
    let data = DataDir::new(&config.data);
    let lock = data.lock().map_err(CliError::failed)?;
    if config.notices.crash_reports == CrashReports::Written && !lock.is_read_only() {
        crash::report_to(data.path());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(CliError::failed)?;
    let result = runtime.block_on(serve(&config, &data, &lock));
    // Tasks that still run hold the store: they end before the lock does.
    drop(runtime);
    drop(lock);
    result
}

/// Takes as many file descriptors as the system lets us have: each connection is
/// one, and the usual 1,024 are soon used up.
fn raise_file_limit() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, most)| setrlimit(Resource::RLIMIT_NOFILE, most, most));
    if let Err(error) = raised {
        tracing::warn!(%error, "can't raise the limit of open files");
    }
}

async fn serve(config: &Config, data: &DataDir, lock: &DataLock) -> Result<(), CliError> {
    // Before anything starts, so that no signal is missed.
    let mut signals = Signals::new().map_err(CliError::failed)?;
    let resolver = wiring::resolver(config).map_err(CliError::failed)?;
    let (fixed, setup, letters) = Fixed::open(config, data, lock, &resolver).await?;
    let begin = *fixed.stores.outbox.watch().borrow();
    if !lock.is_read_only() {
        fixed.tell_of_the_past(data).await;
    }
    let (keys, tls_report) = (Arc::clone(&fixed.keys), Arc::clone(&fixed.tls_report));
    let reports = Arc::clone(&fixed.dmarc);
    let name = own_name::watch(
        config.clone(),
        fixed.directory.clone(),
        Arc::clone(&resolver),
    );
    let builder = fixed.wiring(config, resolver).builder();
    let running = builder.map_err(CliError::failed)?.start().await;
    let running = running.map_err(explained)?;
    let (reload, wishes) = ReloadHandle::new();
    // Data that can't be written has no place for a socket, and nothing to change.
    let control = match lock.is_read_only() {
        true => None,
        false => Some(listen_for_commands(
            data,
            fixed.admin(config, &running, reload),
        )?),
    };
    out::lines(&banner(config, data, &running, setup.as_ref()));
    tokio::spawn(name);
    let (tending, shutdown) = ShutdownSwitch::new();
    let scheduler = Arc::clone(running.scheduler());
    tokio::spawn(tend(Arc::clone(&keys), scheduler, shutdown));
    let reloader = Reloader::new(config.clone(), keys, move |config| {
        let resolver = wiring::resolver(config).map_err(|error| error.to_string())?;
        fixed.filters.reload(config);
        Ok(fixed.wiring(config, resolver))
    });
    let events = async {
        logging::follow(&running, begin).await;
        std::future::pending().await
    };
    tokio::select! {
        () = events => {}
        () = dmarc::carry(&running, letters) => {}
        () = commands(&running, reloader, wishes, &mut signals) => {}
    }
    tending.begin();
    out::lines(&["stopping: open sessions may finish"]);
    if let Some(control) = control {
        control.abort();
    }
    stop(running, &mut signals).await;
    if !lock.is_read_only() {
        keep(&tls_report).await;
        reports.flush().await;
    }
    // Only a socket file: the next start removes it, too.
    let _ = std::fs::remove_file(data.control());
    out::lines(&["stopped"]);
    Ok(())
}

/// Reloads when a command or a signal asks for it, until one says to stop.
async fn commands<W>(
    running: &RunningServer,
    mut reloader: Reloader<W>,
    mut wishes: mpsc::Receiver<Wish>,
    signals: &mut Signals,
) where
    W: for<'a> Fn(&'a Config) -> Result<Wiring<'a>, String>,
{
    loop {
        tokio::select! {
            Some(wish) = wishes.recv() => {
                let done = reloader.reload(running).await;
                told("reload", &done);
                // A command that went away can still be read of in the log.
                let _ = wish.send(done);
            }
            signal = signals.next() => match signal {
                Told::Reload => told("SIGHUP", &reloader.reload(running).await),
                Told::Stop => return,
            }
        }
        if reloader.has_acme() {
            tokio::spawn(tend_now(Arc::clone(running.scheduler())));
        }
    }
}

/// What a server is put together from, before a reload and after.
struct Fixed {
    stores: Stores,
    embedded: Option<Arc<EmbeddedStore>>,
    journal: Option<Arc<SqliteJournal>>,
    directory: Arc<SqliteDirectory>,
    keys: Arc<Keys>,
    tls_report: Arc<TlsReport>,
    dmarc: Arc<DmarcReports>,
    ring: Option<Arc<KeyRing>>,
    filters: Filters,
}

impl Fixed {
    /// Opens everything; on a first start without a configuration the first
    /// domain and account are made.
    async fn open(
        config: &Config,
        data: &DataDir,
        lock: &DataLock,
        resolver: &Arc<dyn Resolver>,
    ) -> Result<(Self, Option<Setup>, mpsc::Receiver<Letter>), CliError> {
        let (post, letters) = PostBox::new();
        let keys = Keys::load(config, data, Arc::clone(resolver)).await;
        let keys = keys.map_err(CliError::failed)?;
        let directory = Arc::new(wiring::open_directory(data, lock).map_err(CliError::failed)?);
        let setup = first_start(config, &directory).await?;
        let store = wiring::open_store(config, data).await;
        let store = store.map_err(CliError::failed)?;
        for finding in &store.findings {
            tracing::warn!("{finding}");
        }
        let fixed = Self {
            filters: Filters::new(config, Arc::clone(&directory) as _),
            tls_report: wiring::tls_report(&store.stores.state),
            dmarc: DmarcReports::new(&store.stores.state, post),
            ring: signing::ring(data, lock, &store.stores.state).map_err(CliError::Failed)?,
            stores: store.stores,
            embedded: store.embedded,
            journal: wiring::open_journal(config, data),
            directory,
            keys,
        };
        Ok((fixed, setup, letters))
    }

    /// Tells of what the start came upon.
    async fn tell_of_the_past(&self, data: &DataDir) {
        let damage = self.embedded.iter().flat_map(|it| &it.opened().damage);
        let damage: Vec<String> = damage.map(ToString::to_string).collect();
        if !damage.is_empty() {
            telling::damaged(&self.stores, &damage.join("\n")).await;
        }
        for path in crash::untold(data.path()) {
            let path = path.display().to_string();
            tracing::warn!("the server ended in a crash before; a report of it is in {path}");
            let fields = [("path", path)];
            telling::raise(&self.stores.commit, EventName::CrashReported, &fields).await;
        }
    }

    fn wiring<'a>(&self, config: &'a Config, resolver: Arc<dyn Resolver>) -> Wiring<'a> {
        Wiring {
            config,
            stores: self.stores.clone(),
            embedded: self.embedded.clone(),
            journal: self.journal.clone(),
            directory: Arc::clone(&self.directory),
            keys: Arc::clone(&self.keys),
            resolver,
            tls_report: Arc::clone(&self.tls_report),
            dmarc: Arc::clone(&self.dmarc),
            ring: self.ring.clone(),
        }
    }

    fn admin(&self, config: &Config, running: &RunningServer, reload: ReloadHandle) -> Admin {
        Admin {
            filters: self.filters.clone(),
            directory: Arc::clone(&self.directory),
            lists: Some(lists::seams(
                config,
                &self.stores,
                Arc::clone(&self.directory) as _,
            )),
            stores: Some(self.stores.clone()),
            embedded: self.embedded.clone(),
            reload: Some(reload),
            limiter: Some(running.limiter()),
            quarantine: Some(quarantine::store(config, &self.stores)),
            queue: running.queue().cloned(),
            scheduler: Some(Arc::clone(running.scheduler())),
            tls_report: Some((config.hostname.clone(), Arc::clone(&self.tls_report))),
            dmarc: Some(Arc::clone(&self.dmarc)),
            ring: self.ring.clone(),
        }
    }
}

fn told(by: &str, done: &Result<Vec<String>, String>) {
    match done {
        Ok(lines) => lines.iter().for_each(|line| tracing::info!("{by}: {line}")),
        Err(error) => tracing::error!("{by}: nothing was changed: {error}"),
    }
}

/// Looks after the certificates: at once what an authority is to give, then the
/// files.
async fn tend(keys: Arc<Keys>, scheduler: Arc<Scheduler>, shutdown: Shutdown) {
    if keys.has_acme() {
        tend_now(scheduler).await;
    }
    keys.watch(shutdown).await;
}

async fn tend_now(scheduler: Arc<Scheduler>) {
    // What comes of it is in the log, as of any job.
    let _ = scheduler.run_now("certificates").await;
}

/// Lets open sessions finish, unless another signal comes.
async fn stop(running: RunningServer, signals: &mut Signals) {
    tokio::select! {
        () = running.shutdown() => {}
        () = signals.stop() => tracing::warn!("stopped without waiting for sessions"),
    }
}

/// Writes the counts that wait in memory, as they do for up to a minute.
async fn keep(counts: &TlsReport) {
    if let Err(error) = counts.flush().await {
        tracing::warn!(%error, "the last counts for TLS reports can't be kept");
    }
}

/// Without a configuration and without data there is nobody to serve: then the
/// first domain and account are made.
async fn first_start(
    config: &Config,
    directory: &SqliteDirectory,
) -> Result<Option<Setup>, CliError> {
    let domains = directory.domains().await.map_err(CliError::failed)?;
    if !domains.is_empty() {
        return Ok(None);
    }
    if config.file.is_some() {
        tracing::warn!("no domain is served yet: add one with `mailserver domain add`");
        return Ok(None);
    }
    let setup = Setup::of_host(&config.hostname, &OsEntropy)?;
    init::set_up(directory, &setup).await?;
    Ok(Some(setup))
}

fn listen_for_commands(data: &DataDir, admin: Admin) -> Result<JoinHandle<()>, CliError> {
    let path = data.control();
    let listener = server::bind(&path)
        .map_err(|error| CliError::Failed(format!("control socket {}: {error}", path.display())))?;
    Ok(tokio::spawn(server::serve(listener, admin)))
}

/// What to do about it, where the error alone does not say.
fn explained(error: StartError) -> CliError {
    let StartError::Bind { source, .. } = &error else {
        return CliError::failed(error);
    };
    let hint = match source.kind() {
        io::ErrorKind::AddrInUse => {
            "; another program has it: `ss -ltnp` shows which, [[listener]] address or \
             --free-ports changes ours"
        }
        _ => "",
    };
    CliError::Failed(format!("{error}{hint}"))
}

/// The signals that the server minds.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

/// What a signal wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Stop,
    Reload,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// SIGTERM and SIGINT stop, SIGHUP reloads.
    async fn next(&mut self) -> Told {
        tokio::select! {
            _ = self.terminate.recv() => Told::Stop,
            _ = self.interrupt.recv() => Told::Stop,
            _ = self.hang_up.recv() => Told::Reload,
        }
    }

    /// Waits for SIGTERM or SIGINT.
    async fn stop(&mut self) {
        while self.next().await != Told::Stop {}
    }
}

/// What runs where, and what to do next.
fn banner(
    config: &Config,
    data: &DataDir,
    running: &RunningServer,
    setup: Option<&Setup>,
) -> Vec<String> {
    let version = env!("CARGO_PKG_VERSION");
    let path = std::path::absolute(data.path()).unwrap_or_else(|_| data.path().to_owned());
    let mut lines = vec![
        format!("mailserver {version} serves as {}", config.hostname),
        format!("  data        {}", path.display()),
    ];
    for (listener, handle) in config.listeners.iter().zip(running.services()) {
        let bound = handle.address().unwrap_or(listener.address);
        let (protocol, tls) = (listener.protocol.as_str(), listener.tls.as_str());
        lines.push(format!(
            "  {protocol:<10}  {:<21}  tls={tls}",
            bound.to_string()
        ));
    }
    if let Some(setup) = setup {
        lines.extend(setup.told());
        lines.extend(next_steps(config, running, setup));
    }
    lines.push("ready; Ctrl-C or SIGTERM stops the server".to_owned());
    lines
}

/// Commands to copy, with the ports that are really bound.
fn next_steps(config: &Config, running: &RunningServer, setup: &Setup) -> Vec<String> {
    let find = |protocol: Protocol, tls: TlsMode| {
        let mut both = config.listeners.iter().zip(running.services());
        both.find(|(listener, _)| listener.protocol == protocol && listener.tls == tls)
            .and_then(|(_, handle)| handle.address())
    };
    let user = &setup.admin;
    let login = format!("{user}:{}", setup.password);
    let mut lines = vec![
        String::new(),
        "try it (curl, or swaks for mail):".to_owned(),
    ];
    if let Some(at) = find(Protocol::Smtp, TlsMode::Starttls) {
        lines.push(format!(
            "  printf 'Subject: hello\\r\\n\\r\\nIt works.\\r\\n' | curl --url smtp://{at} \
             --mail-from you@example.org --mail-rcpt {user} --upload-file -"
        ));
    }
    if let Some(at) = find(Protocol::Imap, TlsMode::Implicit) {
        lines.push(format!(
            "  curl --insecure --url 'imaps://{at}/INBOX;MAILINDEX=1' --user '{login}'"
        ));
    }
    if let Some(at) = find(Protocol::Pop3, TlsMode::Implicit) {
        lines.push(format!(
            "  curl --insecure --url pop3s://{at}/1 --user '{login}'"
        ));
    }
    if let Some(at) = find(Protocol::Submission, TlsMode::Starttls) {
        lines.push(format!(
            "  swaks --server {at} --tls --auth-user {user} --auth-password '{}' --from {user} \
             --to {user}",
            setup.password
        ));
    }
    let program = std::env::args().next();
    let program = program.as_deref().unwrap_or("mailserver");
    lines.push(format!("  {program} account add ann@{}", setup.domain));
    lines.push(String::new());
    lines
}
