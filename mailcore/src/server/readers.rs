//! What reads events as long as a server runs: mail rules and web hooks.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;

use super::{Parts, StartError, Stores};
use crate::event::send_mail::{self, MailRule, MailRules, RuleSeams};
#[cfg(feature = "http")]
use crate::event::webhook::{HookSeams, Webhook, WebhookError};
use crate::event::{EventCursor, SubscriptionSeams};
use crate::net::{Shutdown, ShutdownSwitch};
use crate::seams::Clock;

/// How long a mail on its way may take when its task is to end.
const FINISH: Duration = Duration::from_secs(10);

/// What is to read, as the builder was told.
#[derive(Debug, Default)]
pub(super) struct Readers {
    pub(super) rules: Vec<MailRule>,
    #[cfg(feature = "http")]
    pub(super) webhooks: Vec<Webhook>,
}

/// The same, checked.
#[derive(Debug)]
pub(super) struct CheckedReaders {
    rules: Option<MailRules>,
    #[cfg(feature = "http")]
    webhooks: Vec<Webhook>,
    /// The newest event: who is new here begins after it.
    newest: EventCursor,
}

/// The tasks that read.
#[derive(Debug)]
pub(super) struct Reading {
    switch: ShutdownSwitch,
    tasks: Vec<JoinHandle<()>>,
}

impl Readers {
    /// What is wrong is said before anything runs.
    pub(super) fn check(self, stores: Option<&Stores>) -> Result<CheckedReaders, StartError> {
        let rules = (!self.rules.is_empty()).then(|| MailRules::new(&self.rules));
        let checked = CheckedReaders {
            rules: rules.transpose()?,
            #[cfg(feature = "http")]
            webhooks: distinct(self.webhooks)?,
            newest: stores.map_or_else(EventCursor::default, |stores| {
                *stores.outbox.watch().borrow()
            }),
        };
        if stores.is_none() && !checked.is_empty() {
            return Err(StartError::Missing {
                seam: "a store, whose events are told,",
                method: "stores",
            });
        }
        Ok(checked)
    }
}

#[cfg(feature = "http")]
fn distinct(webhooks: Vec<Webhook>) -> Result<Vec<Webhook>, WebhookError> {
    for (at, hook) in webhooks.iter().enumerate() {
        if webhooks.iter().take(at).any(|it| it.name() == hook.name()) {
            return Err(WebhookError::Twice(hook.name().to_owned()));
        }
    }
    Ok(webhooks)
}

impl CheckedReaders {
    fn is_empty(&self) -> bool {
        #[cfg(feature = "http")]
        if !self.webhooks.is_empty() {
            return false;
        }
        self.rules.is_none()
    }

    /// Lets them read.
    pub(super) fn spawn(self, parts: &Parts) -> Reading {
        let (switch, shutdown) = ShutdownSwitch::new();
        let mut tasks = Vec::new();
        if let Some(stores) = &parts.stores {
            let reader = SubscriptionSeams {
                outbox: Arc::clone(&stores.outbox),
                state: Arc::clone(&stores.state),
                clock: parts.clock(),
            };
            let rules = self.rules.map(|rules| (rules, self.newest));
            tasks.push(mail(rules, parts, &reader, &shutdown));
            #[cfg(feature = "http")]
            for webhook in self.webhooks {
                let seams = HookSeams {
                    reader: reader.clone(),
                    recorder: parts.recorder(),
                    newest: self.newest,
                };
                tasks.push(tokio::spawn(webhook.run(seams, shutdown.clone())));
            }
        }
        Reading { switch, tasks }
    }
}

fn mail(
    rules: Option<(MailRules, EventCursor)>,
    parts: &Parts,
    reader: &SubscriptionSeams,
    shutdown: &Shutdown,
) -> JoinHandle<()> {
    let Some((rules, newest)) = rules else {
        let state = Arc::clone(&reader.state);
        return tokio::spawn(async move {
            if let Err(error) = send_mail::forget(&*state).await {
                tracing::warn!(%error, "the place of mail rules that are gone is still kept");
            }
        });
    };
    let seams = RuleSeams {
        reader: reader.clone(),
        intake: parts.intake(),
        newest,
    };
    tokio::spawn(rules.run(seams, shutdown.clone()))
}

impl Reading {
    /// Ends them; what they were at goes on at the next start.
    pub(super) async fn finish(self, clock: &Arc<dyn Clock>) {
        self.switch.begin();
        let until = clock.monotonic().after(FINISH);
        for mut task in self.tasks {
            tokio::select! {
                biased;
                _ = &mut task => {}
                () = clock.sleep_until(until) => task.abort(),
            }
        }
    }

    /// Ends them at once.
    pub(super) fn abort(&self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}
