//! Sieve as the rules of a mailcore server: [`SieveRules`].
//!
//! ```text
//! account ─► Chains: rules ► before ► own script, or own rules and answers ► after
//!                 (sources: SiteScripts, StoredScripts, what others bring)
//! message ─► Delivery: Program by Program ─► Question ─► Answers (mailboxes, state, lists)
//!                                         └► Outcome ─► Ruling (actions, letters, state)
//! ```
//!
//! Texts are compiled once and held by a [`Library`]; which programs an account
//! has is found once and again after each change, so that an account without any
//! costs one look-up. What a script gets wrong keeps the mail.

mod answers;
mod chain;
mod delivery;
mod facts;
mod form;
mod imap;
mod kept_rules;
mod library;
mod memory;
mod ruling;
mod site;
mod source;
#[cfg(test)]
mod tests;
mod tied;

use std::sync::Arc;

use async_trait::async_trait;
use mailcore::address::Domain;
use mailcore::schedule::{Utc, Zone};
use mailcore::seams::{
    Clock, Directory, Entropy, Resolver, Rules, RulesInput, Ruling, State, Storage,
};
use mailcore::time::Timestamp;

use self::chain::Chains;
use self::delivery::Delivery;
pub use self::kept_rules::KeptRules;
pub use self::library::{Compiled, Library};
pub use self::site::SiteScripts;
pub use self::source::{AFTER, BEFORE, Found, Place, ProgramSource, StoredScripts, Whose};
use self::tied::Tied;
use crate::engine::{Compiler, Event, Limits};
use crate::letter::Letterhead;

/// Octets of programs that are held unless settings say otherwise.
const CACHE: usize = 64 << 20;

/// How scripts are run.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SieveSettings {
    /// Limits of compiling and of running.
    pub limits: Limits,
    /// Extensions that scripts may not require.
    pub without: Vec<String>,
    /// Octets of compiled scripts that are held together.
    pub cache: usize,
    /// The clocks by which scripts tell the time (RFC 5260).
    pub zone: Arc<dyn Zone>,
    /// The operator's scripts.
    pub site: SiteScripts,
    /// Where users keep the scripts of their mailboxes (RFC 6785 section 2.1), for
    /// IMAP to tell: `sieve://host`.
    pub script_server: Option<Arc<str>>,
}

impl Default for SieveSettings {
    /// The default limits, every extension that a delivery can carry out, 64 MiB
    /// of programs, UTC, no scripts of the operator.
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            without: Vec::new(),
            cache: CACHE,
            zone: Arc::new(Utc),
            site: SiteScripts::default(),
            script_server: None,
        }
    }
}

impl SieveSettings {
    /// What compiles scripts by these settings: for who checks them before they
    /// are kept.
    pub fn compiler(&self) -> Compiler {
        let compiler = Compiler::new().limits(self.limits.clone());
        let without = self.without.iter().map(String::as_str);
        let without = without.chain(CANNOT_BE_DONE);
        without.fold(compiler, Compiler::without)
    }
}

/// Extensions that need what no delivery has: something that brings mail back.
const CANNOT_BE_DONE: [&str; 1] = ["snooze"];

/// What scripts ask and change.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SieveSeams {
    /// Accounts, scripts, lists.
    pub directory: Arc<dyn Directory>,
    /// Mailboxes.
    pub storage: Arc<dyn Storage>,
    /// What is remembered of answers and duplicates.
    pub state: Arc<dyn State>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// For Message-IDs.
    pub entropy: Arc<dyn Entropy>,
    /// Names; without one scripts are told of none.
    pub resolver: Option<Arc<dyn Resolver>>,
}

impl SieveSeams {
    /// Without a resolver.
    pub fn new(
        directory: Arc<dyn Directory>,
        storage: Arc<dyn Storage>,
        state: Arc<dyn State>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        Self {
            directory,
            storage,
            state,
            clock,
            entropy,
            resolver: None,
        }
    }
}

/// Runs the scripts of accounts, of domains and of the site.
#[derive(Debug)]
pub struct SieveRules {
    hostname: Domain,
    seams: SieveSeams,
    settings: SieveSettings,
    chains: Chains,
    tied: Tied,
}

impl SieveRules {
    /// Rules of the operator's scripts and of scripts, message rules and autoreplies
    /// that the directory keeps.
    pub fn new(hostname: Domain, seams: SieveSeams, settings: SieveSettings) -> Self {
        Self::with_sources(hostname, seams, settings, Vec::new())
    }

    /// With other sources, too. They come after the scripts: at each place, and
    /// where an account has no script of its own.
    pub fn with_sources(
        hostname: Domain,
        seams: SieveSeams,
        settings: SieveSettings,
        others: Vec<Arc<dyn ProgramSource>>,
    ) -> Self {
        let library = Arc::new(Library::new(settings.compiler(), settings.cache));
        let directory = Arc::clone(&seams.directory);
        let mut sources: Vec<Arc<dyn ProgramSource>> = vec![
            Arc::new(settings.site.clone()),
            Arc::new(StoredScripts::new(Arc::clone(&directory))),
            Arc::new(KeptRules::new(Arc::clone(&directory))),
        ];
        sources.extend(others);
        Self {
            hostname,
            chains: Chains::new(directory, sources, library),
            seams,
            settings,
            tied: Tied::default(),
        }
    }

    /// The program of a script's text as it runs at an event.
    fn compiled(&self, event: Event, name: &str, text: &str) -> Compiled {
        if event == Event::Delivery {
            return self.library().script(name, text);
        }
        let library = self.library();
        library.program(event.as_str(), name, text, |compiler| {
            let compiler = compiler.clone().event(event);
            compiler.compile(name, text.as_bytes())
        })
    }

    /// The compiled scripts.
    pub fn library(&self) -> &Library {
        &self.chains.library
    }

    fn now(&self) -> Timestamp {
        self.seams.clock.now()
    }

    fn letterhead(&self) -> Letterhead<'_> {
        let at = self.now();
        Letterhead {
            hostname: &self.hostname,
            at,
            id: self.seams.entropy.id(at),
        }
    }
}

#[async_trait]
impl Rules for SieveRules {
    async fn evaluate(&self, input: &RulesInput<'_>) -> Ruling {
        match self.chains.of(input.account).await {
            Ok(chain) if chain.is_empty() => Ruling::keep(),
            Ok(chain) => Delivery::run(self, input, chain).await,
            Err(error) => {
                tracing::error!(account = %input.account, %error, "scripts can't be read: mail is kept");
                Ruling::keep()
            }
        }
    }
}
