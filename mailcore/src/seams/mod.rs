//! The seams: small traits through which a server meets storage, directory,
//! DNS, time and the host application. One a file.
//!
//! All are `Debug + Send + Sync` and held as `Arc<dyn …>`. Dropping a future
//! that a seam returned never applies half of a change; a commit once started
//! completes. A host that wants one thing implements one trait.

mod authenticator;
#[cfg(feature = "tls")]
mod certificates;
mod clock;
mod commit;
mod credentials;
mod delivery_agent;
mod demands;
mod dialer;
mod directory;
mod entropy;
mod excerpt;
mod filter;
mod journal;
mod mailbox_rules;
mod outbox;
mod queue_start;
mod recipient_check;
mod resolver;
mod router;
mod rules;
mod session_memory;
mod signer;
mod spool;
mod state;
mod storage;
mod store_error;

pub use authenticator::{AuthError, AuthRequest, Authenticator, Proof, ProofKind, Verified};
#[cfg(feature = "tls")]
pub use certificates::Certificates;
pub(crate) use clock::COMPARED;
pub use clock::{Clock, SystemClock};
pub use commit::{Commit, CommitError, Stage};
pub use credentials::{
    CramMd5Key, CredentialKind, CredentialRequest, Credentials, Labelled, ScramKeys, ScramPair,
};
pub use delivery_agent::{DeliveryAgent, DeliveryJob};
pub use demands::{Attachments, Demands, HostCheck};
pub use dialer::{BoxStream, DialError, Dialer, Stream, TcpDialer};
pub use directory::{
    AccountChange, AccountOptions, AccountRecord, AccountSummary, AccountTemplate, AddressLine,
    AddressLineError, AddressQuery, AddressState, Addresses, Administration, AppPassword,
    AppPasswordScope, Begins, CertificateName, CertificateNameError, CodeCheck, Directory,
    DirectoryError, DirectoryWrite, DomainKind, DomainRecord, Enrolment, GroupKind, GroupName,
    GroupRecord, Groups, Held, KeepCopy, ListMode, ListRecord, Lists, MAX_SETTING_KEY, Membership,
    Post, Posting, QuotaKind, Redirect, ReplyTo, Resolution, Role, Scope, ScriptEntry, ScriptKind,
    Scripts, SecondFactor, SecondFactors, Secrets, Sending, ServedAddress, Setting, Settings,
    SharedSecret, Stands, check_script_name,
};
pub use entropy::{Entropy, OsEntropy};
pub use excerpt::Excerpt;
pub use filter::{Filter, FilterSession, IncomingMail, Trust, Verdict};
pub use journal::{
    Journal, JournalError, JournalKey, JournalPage, JournalQuery, JournalRetention, Purged,
};
pub use mailbox_rules::{MailboxCause, MailboxChange, MailboxRules};
pub use outbox::Outbox;
pub use queue_start::QueueStart;
pub use recipient_check::{RecipientCheck, RecipientQuery, Standing};
pub use resolver::{Alias, DnsError, DnssecStatus, Lookup, Mx, Resolver, Srv, Tlsa};
pub use router::{NextHop, Route, RouteError, RouteQuery, Router, Writer};
pub use rules::{Letter, LetterCopy, Once, Rules, RulesInput, Ruling};
pub use session_memory::SessionMemory;
pub use signer::{LeavingMail, SentOctets, SignError, Signer};
pub use spool::{Lease, LeaseLimit, Spool, SpoolCounts, SpoolOrder, SpoolQuery, SpoolSummary};
pub use state::{State, StateKey, StateValue};
pub use storage::{
    Abilities, AccountWatch, Acl, AclMailbox, Appended, CopyReceipt, Mailbox, Metadata, NewMessage,
    Quota, QuotaLimit, QuotaUsage, RemovedId, RemovedMessage, RemovedQuery, Search,
    StateAnnotations, Storage, StoreReceipt, Undelete, Watch,
};
pub use store_error::StoreError;
