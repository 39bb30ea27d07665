//! What the file means: every key, its default, and what values it takes.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use mailcore::abuse::AbuseConfig;
use mailcore::account::Secret;
use mailcore::address::Domain;
use mailcore::intake::CalloutConfig;
use mailcore::limits::Limits;
use mailcore::queue::{RetrySchedule, RunnerConfig};
use mailcore_imap::server::Imap;
use mailcore_pop3::Pop3;
use mailcore_sieve::managesieve::ManageSieve;
use mailcore_smtp::client::TlsPolicy;
use mailcore_store::embedded::Migration;

use super::file::{At, File, Section};
use super::problems::Problems;
use super::{
    AuthConfig, ClientCertificateUse, Config, DnsConfig, EventsConfig, FilterConfig,
    ForwardingConfig, JournalConfig, Listener, NameCheck, NoticesConfig, OutgoingConfig,
    OutgoingTls, Peers, PlaintextLogin, Ports, Protocol, Retention, SieveConfig, SmartHost,
    SmtpSettings, StoreKind, TlsMode, TlsSettings, WebConfig,
};
use super::{
    abuse, acme, auth, callout, dns, events, filter, forwarding, imap, journal, managesieve,
    notices, outgoing, outgoing_tls, pop3, queue, schedule, shield, sieve, smtp, tls, web,
};

use crate::filters;

const DEFAULT_DATA: &str = "mailserver-data";
const DEFAULT_HOSTNAME: &str = "mail.example.test";
const DEFAULT_LOG: &str = "info";

const PROTOCOLS: [(&str, Protocol); 7] = [
    ("smtp", Protocol::Smtp),
    ("submission", Protocol::Submission),
    ("lmtp", Protocol::Lmtp),
    ("imap", Protocol::Imap),
    ("pop3", Protocol::Pop3),
    ("managesieve", Protocol::ManageSieve),
    ("http", Protocol::Http),
];
const TLS_MODES: [(&str, TlsMode); 3] = [
    ("none", TlsMode::None),
    ("starttls", TlsMode::Starttls),
    ("implicit", TlsMode::Implicit),
];
const LOGINS: [(&str, PlaintextLogin); 2] = [
    ("within-tls", PlaintextLogin::WithinTls),
    ("anywhere", PlaintextLogin::Anywhere),
];
const STORES: [(&str, StoreKind); 2] = [
    ("embedded", StoreKind::Embedded),
    ("memory", StoreKind::Memory),
];

const MIGRATIONS: [(&str, Migration); 2] = [
    ("automatic", Migration::Automatic),
    ("refuse", Migration::Refuse),
];

/// The unprivileged ports of a server without a file.
const DEFAULT_LISTENERS: [(Protocol, u16, TlsMode); 8] = [
    (Protocol::Smtp, 2525, TlsMode::Starttls),
    (Protocol::Submission, 2587, TlsMode::Starttls),
    (Protocol::Submission, 2465, TlsMode::Implicit),
    (Protocol::Imap, 2143, TlsMode::Starttls),
    (Protocol::Imap, 2993, TlsMode::Implicit),
    (Protocol::Pop3, 2110, TlsMode::Starttls),
    (Protocol::Pop3, 2995, TlsMode::Implicit),
    (Protocol::ManageSieve, 4190, TlsMode::Starttls),
];

/// The configuration without a file.
#[expect(clippy::expect_used, reason = "a constant that a test reads")]
pub(super) fn defaults() -> Config {
    Config {
        file: None,
        hostname: Domain::parse(DEFAULT_HOSTNAME).expect("the default host name is a domain"),
        name_check: NameCheck::default(),
        data: PathBuf::from(DEFAULT_DATA),
        listeners: default_listeners(),
        ports: Ports::default(),
        tls: TlsSettings::default(),
        acme: None,
        store: StoreKind::Embedded,
        low_space: None,
        undelete_for: None,
        migration: Migration::Automatic,
        schedule: RetrySchedule::default(),
        keep_delivered: Some(queue::KEEP_DELIVERED),
        runner: RunnerConfig::default(),
        smart_host: None,
        outgoing: OutgoingConfig::default(),
        forwarding: ForwardingConfig::default(),
        dns: DnsConfig::default(),
        outgoing_tls: OutgoingTls::default(),
        limits: Limits::default(),
        abuse: AbuseConfig::default(),
        auth: AuthConfig::default(),
        smtp: SmtpSettings::default(),
        shields: Vec::new(),
        imap: Imap::default(),
        pop3: Pop3::default(),
        managesieve: ManageSieve::default(),
        web: WebConfig::default(),
        callout: CalloutConfig::default(),
        filter: FilterConfig::default(),
        housekeeping: schedule::defaults(),
        retention: Retention::default(),
        journal: JournalConfig::default(),
        events: EventsConfig::default(),
        notices: NoticesConfig::default(),
        sieve: SieveConfig::default(),
        log: DEFAULT_LOG.to_owned(),
    }
}

fn default_listeners() -> Vec<Listener> {
    DEFAULT_LISTENERS
        .iter()
        .map(|&(protocol, port, tls)| Listener {
            protocol,
            address: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port),
            tls,
            login: PlaintextLogin::WithinTls,
            peers: Peers::default(),
            clients: ClientCertificateUse::Off,
        })
        .collect()
}

/// The configuration of `text`, or everything that is wrong with it.
pub(super) fn resolve(path: &Path, text: &str) -> Result<Config, Problems> {
    let file = File::parse(text, Problems::new(path));
    let config = read(&file, path);
    let problems = file.into_problems();
    if problems.is_empty() {
        Ok(config)
    } else {
        Err(problems)
    }
}

fn read(file: &File<'_>, path: &Path) -> Config {
    let mut config = Config {
        file: Some(path.to_owned()),
        ..defaults()
    };
    let folder = path.parent().unwrap_or(Path::new(""));
    let root = file.root();
    server(&root, folder, &mut config);
    tls::tls(&root, folder, &mut config.tls);
    config.acme = acme::acme(&root, folder, &config.hostname);
    listeners(&root, folder, &mut config);
    queue(&root, folder, &mut config);
    outgoing::outgoing(&root, folder, &mut config.outgoing);
    forwarding::forwarding(&root, &mut config.forwarding);
    dns::dns(&root, folder, &mut config.dns);
    outgoing_tls::outgoing_tls(&root, folder, &mut config.outgoing_tls);
    limits(&root, &mut config.limits);
    abuse::abuse(&root, &mut config.abuse);
    filter::filter(&root, folder, &mut config.filter);
    schedule::schedule(&root, &mut config.housekeeping);
    schedule::retention(&root, &mut config.retention);
    auth::auth(&root, folder, &mut config.auth);
    smtp::smtp(&root, &mut config.smtp);
    config.shields = shield::shields(&root);
    imap::imap(&root, &mut config.imap);
    pop3::pop3(&root, &mut config.pop3);
    managesieve::managesieve(&root, &mut config.managesieve);
    web::web(&root, &mut config.web);
    callout::callout(&root, &mut config.callout);
    journal::journal(&root, folder, &mut config.journal);
    events::events(&root, folder, &mut config.events);
    notices::notices(&root, &mut config.notices);
    sieve::sieve(&root, folder, &mut config.sieve);
    let store = root.section("store", "[store]");
    if let Some(text) = store.string("kind") {
        config.store = store.word("kind", text, &STORES).unwrap_or(config.store);
    }
    config.undelete_for = schedule::keep_or_never(&store, "undelete");
    config.low_space = store.size("low_space").or(config.low_space);
    if let Some(text) = store.string("migrate") {
        let migration = store.word("migrate", text, &MIGRATIONS);
        config.migration = migration.unwrap_or(config.migration);
    }
    store.finish();
    // Tests are known once everything that they are made from is.
    for (line, problem) in filters::problems(&config) {
        root.problem(line, problem);
    }
    root.finish();
    config
}

fn server(root: &Section<'_, '_>, folder: &Path, config: &mut Config) {
    let server = root.section("server", "[server]");
    if server.is_present() {
        if let Some(name) = server.required("hostname") {
            match Domain::parse(name.value) {
                Ok(domain) => config.hostname = domain,
                Err(error) => server.problem(name.line, format!("hostname: {error}")),
            }
        }
    } else {
        server.problem(
            0,
            "[server] is missing; it names this host: hostname = \"mail.example.com\"",
        );
    }
    if server.flag("check_name") == Some(false) {
        config.name_check = NameCheck::Off;
    }
    config.data = folder.join(server.string("data").map_or(DEFAULT_DATA, |at| at.value));
    if let Some(level) = server.string("log") {
        if tracing_subscriber::EnvFilter::try_new(level.value).is_err() {
            server.problem(
                level.line,
                "log must be error, warn, info, debug, trace or a filter",
            );
        }
        config.log = level.value.to_owned();
    }
    server.finish();
}

fn listeners(root: &Section<'_, '_>, folder: &Path, config: &mut Config) {
    let Some(sections) = root.sections("listener", "[[listener]]") else {
        return;
    };
    config.listeners.clear();
    let mut taken: Vec<(SocketAddr, usize)> = Vec::new();
    for section in sections {
        let protocol = section
            .required("protocol")
            .and_then(|text| section.word("protocol", text, &PROTOCOLS));
        let address = section
            .required("address")
            .and_then(|text| address(&section, text));
        let tls = match section.string("tls") {
            Some(text) => {
                let tls = section.word("tls", text, &TLS_MODES);
                if protocol == Some(Protocol::Http) && tls == Some(TlsMode::Starttls) {
                    section.problem(text.line, "tls must be none or implicit for http");
                }
                tls
            }
            None if protocol == Some(Protocol::Http) => Some(TlsMode::None),
            None => Some(TlsMode::Starttls),
        };
        let login = section
            .string("plaintext_login")
            .and_then(|text| section.word("plaintext_login", text, &LOGINS))
            .unwrap_or_default();
        let peers = smtp::peers(&section);
        let clients = tls::clients(&section, folder);
        if let Some(at) = address.filter(|at| at.value.port() != 0) {
            match taken.iter().find(|(other, _)| *other == at.value) {
                Some((_, line)) => section.problem(
                    at.line,
                    format!(
                        "address {} is taken by the listener of line {line}",
                        at.value
                    ),
                ),
                None => taken.push((at.value, at.line)),
            }
        }
        if let (Some(protocol), Some(address), Some(tls)) = (protocol, address, tls) {
            config.listeners.push(Listener {
                protocol,
                address: address.value,
                tls,
                login,
                peers,
                clients,
            });
        }
        section.finish();
    }
}

fn address(section: &Section<'_, '_>, text: At<&str>) -> Option<At<SocketAddr>> {
    match text.value.parse() {
        Ok(value) => Some(At {
            value,
            line: text.line,
        }),
        Err(_) => {
            section.problem(
                text.line,
                format!(
                    "address \"{}\" is not IP:port; write \"0.0.0.0:25\" or \"[::]:25\"",
                    text.value
                ),
            );
            None
        }
    }
}

fn queue(root: &Section<'_, '_>, folder: &Path, config: &mut Config) {
    let queue = root.section("queue", "[queue]");
    queue::queue(&queue, config);
    let host = queue.section("smart_host", "[queue.smart_host]");
    if host.is_present() {
        config.smart_host = smart_host(&host, folder);
    }
    host.finish();
    queue.finish();
}

fn smart_host(section: &Section<'_, '_>, folder: &Path) -> Option<SmartHost> {
    let host = section.required("host").and_then(|name| {
        let host = outgoing::host(name.value);
        host.map_err(|error| section.problem(name.line, format!("host: {error}")))
            .ok()
    });
    let tls = match section.string("tls") {
        Some(text) => section.word("tls", text, &outgoing::TLS_POLICIES),
        None => Some(TlsPolicy::Verified),
    };
    let port = match section.number("port") {
        None if tls == Some(TlsPolicy::Implicit) => Some(465),
        None => Some(587),
        Some(number) => match u16::try_from(number.value) {
            Ok(port) if port > 0 => Some(port),
            _ => {
                section.problem(number.line, "port must be 1 to 65535");
                None
            }
        },
    };
    let login = login(section, folder);
    Some(SmartHost {
        host: host?,
        port: port?,
        tls: tls?,
        login,
    })
}

/// A secret in the file or in one of its own.
pub(super) fn secret_of(
    section: &Section<'_, '_>,
    folder: &Path,
    (key, file_key): (&'static str, &'static str),
) -> Option<Secret> {
    match (section.string(key), section.string(file_key)) {
        (Some(text), None) => Some(Secret::new(text.value)),
        (None, Some(file)) => match std::fs::read(folder.join(file.value)) {
            Ok(octets) => Some(Secret::new(octets.trim_ascii_end())),
            Err(error) => {
                section.problem(file.line, format!("can't read {file_key}: {error}"));
                None
            }
        },
        (Some(_), Some(file)) => {
            section.problem(file.line, format!("give {key} or {file_key}, not both"));
            None
        }
        (None, None) => None,
    }
}

pub(super) fn login(section: &Section<'_, '_>, folder: &Path) -> Option<(String, Secret)> {
    let login = section.string("login");
    let secret = secret_of(section, folder, ("password", "password_file"));
    let password = section.has("password") || section.has("password_file");
    match (login, secret) {
        (Some(login), Some(secret)) => Some((login.value.to_owned(), secret)),
        (Some(login), None) if !password => {
            section.problem(login.line, "login needs password or password_file");
            None
        }
        (None, Some(_)) => {
            section.problem(section.line(), "password needs login");
            None
        }
        _ => None,
    }
}

fn limits(root: &Section<'_, '_>, limits: &mut Limits) {
    let section = root.section("limits", "[limits]");
    if let Some(size) = section.size("message_size") {
        limits.message_size = size;
    }
    if let Some(count) = section.count("connections") {
        limits.connections = count;
    }
    if let Some(count) = section.count("connections_per_address") {
        limits.connections_per_address = count;
    }
    abuse::bandwidth(&section, &mut limits.bandwidth);
    if let Some(count) = section.count("hops") {
        limits.hops = count;
    }
    if let Some(time) = section.duration("write_timeout") {
        limits.write_timeout = time.value;
    }
    if let Some(time) = section.duration("drain") {
        limits.drain = time.value;
    }
    section.finish();
}

#[cfg(test)]
mod tests;
