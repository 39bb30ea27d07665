//! Who is told of events: the operator by mail, web servers, and whoever the
//! file's rules write to. And the events that the program itself raises.

use std::sync::Arc;
use std::time::Duration;

use mailcore::batch::Batch;
use mailcore::event::send_mail::{Condition, MailRule, Sense, Test};
use mailcore::event::webhook::Webhook;
use mailcore::event::{Event, EventId, EventName};
use mailcore::net::HttpsClient;
use mailcore::seams::{Clock, Commit, Entropy, OsEntropy, Resolver, SystemClock};
use mailcore::server::{Builder, Stores};
use mailcore::time::Timestamp;
use mailcore_smtp::client::verified_config;

use crate::config::{Config, NOTICE, WebhookSettings};
use crate::tls::{Keys, TlsError, authorities, provider};
use crate::wiring::WiringError;
use crate::{outgoing_tls, when};

/// How long mail may be due before that is told.
const STUCK: Duration = Duration::from_secs(3_600);
/// Octets of what was found that are told.
const MAX_FOUND: usize = 4_000;

/// A mail to the operator.
#[derive(Debug)]
pub(crate) struct Notice {
    /// Its key in `[notices]`.
    pub(crate) key: &'static str,
    /// Whether it is written unless the file says otherwise.
    pub(crate) on: bool,
    events: &'static [EventName],
    subject: &'static str,
    text: &'static str,
    /// Told apart by this field.
    per: &'static str,
}

/// Every notice.
#[rustfmt::skip]
pub(crate) const NOTICES: [Notice; 10] = [
    Notice { key: "disk", on: true, events: &[EventName::DiskLow, EventName::DiskOk], per: "event",
        subject: "{event}: {available} octets left on {hostname}",
        text: "At {time} the disk of {hostname} had {available} octets left.\nWhile there are fewer than {limit} no new mail is taken: senders are told to try again.\n" },
    Notice { key: "damage", on: true, events: &[EventName::StoreDamaged], per: "event",
        subject: "The store of {hostname} is damaged",
        text: "At {time} this was found:\n\n{found}\n\nWhat is named here is not served, everything else is. See \"When something is wrong\" in the manual.\n" },
    Notice { key: "certificates", on: true, events: &[EventName::CertificateExpiring], per: "names",
        subject: "The certificate for {names} ends in {days} days",
        text: "The certificate for {names} on {hostname} ends on {until}. Clients and other servers refuse it then.\n" },
    Notice { key: "queue", on: true, events: &[EventName::QueueStuck], per: "event",
        subject: "Mail is stuck in the queue of {hostname}",
        text: "Mail that was due at {since} has not been tried for {seconds} seconds. \"mailserver queue list\" shows it.\n" },
    Notice { key: "sending", on: true, events: &[EventName::SendingLimited], per: "account",
        subject: "{account} sends more than it may on {hostname}",
        text: "At {time} {account} (from {peer}) reached the limit of {most} {counted} in {seconds} seconds. What follows from it: {consequence}.\nIf this is not meant to be, the password may be known to others.\n" },
    Notice { key: "jobs", on: true, events: &[EventName::JobFailed], per: "job",
        subject: "The job {job} failed on {hostname}",
        text: "At {time} the job {job} failed:\n\n{error}\n\nIt is tried again at its next time.\n" },
    Notice { key: "dkim", on: true, events: &[EventName::SigningKey], per: "name",
        subject: "The signing key {selector} of {domain}: {step}",
        text: "{advice}\n\n{name}. TXT {record}\n\n\"mailserver dkim list {domain}\" on {hostname} shows all keys of the domain.\n" },
    Notice { key: "webhooks", on: true, events: &[EventName::WebhookGaveUp], per: "webhook",
        subject: "The web hook {webhook} can't be reached from {hostname}",
        text: "At {time} {events} events were given up for the web hook {webhook}, which can't be told of them:\n\n{error}\n" },
    Notice { key: "crashes", on: true, events: &[EventName::CrashReported], per: "event",
        subject: "mailserver on {hostname} ended in a crash",
        text: "A report without mail in it is in {path}.\n" },
    Notice { key: "bans", on: false, events: &[EventName::PeerBanned], per: "event",
        subject: "{peer} was banned on {hostname}",
        text: "At {time} {peer} was banned: {reason}.\n" },
];

/// The rules of the file and of the server's own notices.
pub(crate) fn rules(builder: Builder, config: &Config) -> Builder {
    let notices = &config.notices;
    let on = NOTICES.iter().filter(|it| notices.on.contains(&it.key));
    let own = on.map(|notice| {
        let rule = MailRule::new(
            &format!("{NOTICE}{}", notice.key),
            notice.events.iter().cloned(),
        )
        .to(notices.to.clone())
        .subject(notice.subject)
        .text(notice.text)
        .at_most_every(notices.every)
        .per(notice.per);
        match notice.key {
            // Damage has a notice of its own.
            "jobs" => rule.when(Condition::new(
                "job",
                Test::Equals("check".to_owned()),
                Sense::DoesNot,
            )),
            // Told every hour until it is renewed.
            "certificates" => rule.at_most_every(notices.every.max(Duration::from_secs(86_400))),
            _ => rule,
        }
    });
    let all = config.events.rules.iter().cloned().chain(own);
    all.fold(builder, Builder::send_mail)
}

/// The web hooks of the file.
pub(crate) fn webhooks(
    mut builder: Builder,
    config: &Config,
    resolver: &Arc<dyn Resolver>,
) -> Result<Builder, WiringError> {
    for settings in &config.events.webhooks {
        builder = builder.webhook(webhook(config, settings, resolver)?);
    }
    Ok(builder)
}

fn webhook(
    config: &Config,
    settings: &WebhookSettings,
    resolver: &Arc<dyn Resolver>,
) -> Result<Webhook, WiringError> {
    let roots = match &settings.roots {
        Some(path) => authorities(path)?,
        None => outgoing_tls::roots(config)?,
    };
    let tls = verified_config(provider(), roots).map_err(TlsError::from)?;
    let client = HttpsClient::new(
        Arc::clone(resolver),
        outgoing_tls::web_dialer(config, resolver),
        Arc::new(SystemClock::new()),
        tls,
    );
    let client = client.own_network(settings.own_network);
    let mut secrets = settings.secrets.iter();
    let first = secrets.next().cloned().unwrap_or_default();
    let mut hook = Webhook::new(&settings.name, &settings.url, &first, client)?
        .filter(settings.filter.clone())
        .start(settings.start)
        .config(settings.config.clone())?;
    for second in secrets {
        hook = hook.also_signed(second)?;
    }
    Ok(hook)
}

/// Raises an event of the program's. One that can't be kept is in the log.
pub(crate) async fn raise(commit: &Arc<dyn Commit>, name: EventName, fields: &[(&str, String)]) {
    let now = SystemClock::new().now();
    let event = Event {
        id: EventId(OsEntropy.id(now)),
        at: now,
        name,
        trace: None,
        account: None,
        fields: Vec::new(),
    };
    let event = fields
        .iter()
        .fold(event, |event, (name, value)| event.with(name, value));
    let shown = event.name.clone();
    let batch = Batch {
        events: vec![event],
        ..Batch::default()
    };
    if let Err(error) = commit.commit(batch).await {
        tracing::warn!(event = %shown, %error, "an event can't be kept");
    }
}

/// Damage was found.
pub(crate) async fn damaged(stores: &Stores, found: &str) {
    let mut found = found.to_owned();
    found.truncate(found.floor_char_boundary(MAX_FOUND));
    raise(&stores.commit, EventName::StoreDamaged, &[("found", found)]).await;
}

/// Looks for what nobody else would tell of: certificates that end, mail that
/// nobody tries. How much was found.
pub(crate) async fn watch(
    stores: &Stores,
    keys: Option<&Arc<Keys>>,
    now: Timestamp,
) -> Result<String, mailcore::seams::StoreError> {
    let ending = keys.map(|keys| keys.ending(now)).unwrap_or_default();
    for (names, until) in &ending {
        let days = until.since(now).as_secs() / 86_400;
        let fields = [
            ("names", names.clone()),
            ("until", when::shown(*until)),
            ("days", days.to_string()),
        ];
        raise(&stores.commit, EventName::CertificateExpiring, &fields).await;
    }
    let due = stores.spool.next_due().await?;
    let stuck = due.filter(|due| now.since(*due) > STUCK);
    if let Some(due) = stuck {
        let fields = [
            ("since", when::shown(due)),
            ("seconds", now.since(due).as_secs().to_string()),
        ];
        raise(&stores.commit, EventName::QueueStuck, &fields).await;
    }
    Ok(match (ending.len(), stuck) {
        (0, None) => "nothing to tell of".to_owned(),
        (some, None) => format!("{some} certificates end soon"),
        (some, Some(_)) => format!("{some} certificates end soon; the queue is stuck"),
    })
}
