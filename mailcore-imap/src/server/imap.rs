//! [`Imap`]: the service as a server's builder takes it.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use mailcore::net::Service;
use mailcore::seams::MailboxRules;
use mailcore::server::{IntoService, Parts, StartError};

use super::ImapServer;
use crate::session::{Compression, Config, Literals, PlaintextLogin};

/// IMAP, to be given to a server's builder.
///
/// STARTTLS is offered where the listener has TLS.
#[derive(Debug, Clone)]
pub struct Imap {
    /// Its name is the server's, filled in at the start.
    config: Config,
    rules: Option<Arc<dyn MailboxRules>>,
}

impl Imap {
    /// IMAP that takes passwords within TLS only.
    pub fn new() -> Self {
        Self {
            config: Config::new(""),
            rules: None,
        }
    }

    /// What runs when a client adds messages or changes flags (RFC 6785): by
    /// default nothing.
    #[must_use]
    pub fn mailbox_rules(mut self, rules: Arc<dyn MailboxRules>) -> Self {
        self.rules = Some(rules);
        self
    }

    /// Where passwords may be sent in clear.
    #[must_use]
    pub fn plaintext_login(mut self, policy: PlaintextLogin) -> Self {
        self.config.plaintext_login = policy;
        self
    }

    /// Which literals may come without leave: of any size by default.
    #[must_use]
    pub fn literals(mut self, literals: Literals) -> Self {
        self.config.literals = literals;
        self
    }

    /// Messages that one APPEND may bring.
    #[must_use]
    pub fn max_append_messages(mut self, messages: usize) -> Self {
        self.config.max_append_messages = messages;
        self
    }

    /// Mailboxes that a client may have watched with NOTIFY.
    #[must_use]
    pub fn max_notify_mailboxes(mut self, mailboxes: usize) -> Self {
        self.config.max_notify_mailboxes = mailboxes;
        self
    }

    /// Messages that one command works on (RFC 9738); there is no limit by
    /// default.
    #[must_use]
    pub fn message_limit(mut self, messages: Option<NonZeroU32>) -> Self {
        self.config.message_limit = messages;
        self
    }

    /// Ranges of UIDs that a search's result may have to be kept for `$`.
    #[must_use]
    pub fn max_saved_ranges(mut self, ranges: usize) -> Self {
        self.config.max_saved_ranges = ranges;
        self
    }

    /// Octets of an annotation, 1024 at least (RFC 5464 section 4.1).
    #[must_use]
    pub fn annotation_size(mut self, octets: usize) -> Self {
        self.config.annotation_size = octets.max(1024);
        self
    }

    /// Annotations of a mailbox, 10 at least (RFC 5464 section 4.1).
    #[must_use]
    pub fn max_annotations(mut self, annotations: usize) -> Self {
        self.config.max_annotations = annotations.max(10);
        self
    }

    /// How the administrator is reached, as a URI: `mailto:postmaster@a.test`.
    #[must_use]
    pub fn admin(mut self, uri: &str) -> Self {
        self.config.admin = Some(uri.into());
        self
    }

    /// What is told of the server to those who ask for its comment.
    #[must_use]
    pub fn comment(mut self, comment: &str) -> Self {
        self.config.comment = Some(comment.into());
        self
    }

    /// Whether a client may have its connection compressed; it may by default.
    #[must_use]
    pub fn compression(mut self, compression: Compression) -> Self {
        self.config.compression = compression;
        self
    }

    /// Octets that one compressed octet of a client may become, over a
    /// connection.
    #[must_use]
    pub fn max_inflate_ratio(mut self, ratio: u64) -> Self {
        self.config.max_inflate_ratio = ratio;
        self
    }

    /// Time without a command until a connection is closed; not under the 30
    /// minutes that RFC 9051 section 5.4 asks for.
    #[must_use]
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.config.idle_timeout = timeout.max(self.config.idle_timeout);
        self
    }
}

impl Default for Imap {
    fn default() -> Self {
        Self::new()
    }
}

impl IntoService for Imap {
    fn into_service(self: Box<Self>, parts: &Parts) -> Result<Arc<dyn Service>, StartError> {
        let mut config = self.config;
        config.hostname = parts.hostname().to_string().into();
        config.script_server = self.rules.as_ref().and_then(|it| it.script_server());
        config.append_limit = parts.limits().message_size;
        let mut server = ImapServer::new(
            config,
            parts.storage()?,
            parts.commit()?,
            parts.authenticator()?,
        )
        .offer(parts.offer()?);
        // A server without a directory has no quotas.
        if let Ok(directory) = parts.directory() {
            server = server.directory(directory);
        }
        if let Some(rules) = self.rules {
            server = server.ruled(rules, Some(parts.intake()));
        }
        Ok(Arc::new(server.recorder(parts.recorder())))
    }
}
