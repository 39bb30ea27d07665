//! The task that tells one web server of events.

use std::fmt;
use std::time::Duration;

use hyper::Request;
use hyper::header::CONTENT_TYPE;

use super::{Webhook, payload};
use crate::event::{
    EventCursor, EventName, Recorder, StartAt, StoredEvent, SubscribeError, Subscription,
    SubscriptionSeams,
};
use crate::net::{HttpError, Shutdown};
use crate::seams::StoreError;

/// Events looked at together when many are too old.
const SWEEP: usize = 256;

/// What a web hook's task works with.
#[derive(Debug, Clone)]
pub(crate) struct HookSeams {
    pub(crate) reader: SubscriptionSeams,
    pub(crate) recorder: Recorder,
    /// One that starts with the next event begins after this one.
    pub(crate) newest: EventCursor,
}

/// Why a request was not taken.
enum Failure {
    Http(HttpError),
    Status(u16),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(error) => error.fmt(f),
            Self::Status(status) => write!(f, "the web server answered with status {status}"),
        }
    }
}

impl Webhook {
    /// The name of its reader, which no host's has.
    pub(crate) fn reader(&self) -> String {
        format!("server:webhook:{}", self.name)
    }

    /// Tells of events until `stop` begins or the store is gone. A request on
    /// its way is not waited for: its events are told again at the next start.
    pub(crate) async fn run(self, seams: HookSeams, mut stop: Shutdown) {
        tokio::select! {
            biased;
            () = stop.begun() => {}
            () = self.work(&seams) => {}
        }
    }

    async fn work(&self, seams: &HookSeams) {
        let mut retry = self.config.retry;
        let mut reader = loop {
            match self.open(seams).await {
                Ok(reader) => break reader,
                Err(error) => {
                    tracing::warn!(webhook = self.name, %error, "can't begin; trying again");
                    self.pause(seams, &mut retry).await;
                }
            }
        };
        let mut teller = Teller {
            hook: self,
            seams,
            retry: self.config.retry,
            failing: false,
            told: false,
        };
        loop {
            match teller.step(&mut reader).await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    tracing::warn!(webhook = self.name, %error, "the store is waited for");
                    self.pause(seams, &mut teller.retry).await;
                    match self.open(seams).await {
                        Ok(anew) => reader = anew,
                        Err(error) => {
                            tracing::warn!(webhook = self.name, %error, "waiting on");
                        }
                    }
                }
            }
        }
    }

    async fn open(&self, seams: &HookSeams) -> Result<Subscription, SubscribeError> {
        let (name, reader) = (self.reader(), seams.reader.clone());
        let start = match self.start {
            StartAt::Now => StartAt::After(seams.newest),
            start => start,
        };
        Subscription::open_as(&name, reader, self.filter.clone(), start).await
    }

    async fn pause(&self, seams: &HookSeams, retry: &mut Duration) {
        let clock = &seams.reader.clock;
        clock.sleep_until(clock.monotonic().after(*retry)).await;
        *retry = retry.saturating_mul(2).min(self.config.retry_most);
    }
}

/// A web hook at work.
struct Teller<'a> {
    hook: &'a Webhook,
    seams: &'a HookSeams,
    retry: Duration,
    /// The last request was not taken.
    failing: bool,
    /// That events are given up was told since.
    told: bool,
}

impl Teller<'_> {
    /// Tells of the next events, until they are taken or given up; false when
    /// the store is gone.
    async fn step(&mut self, reader: &mut Subscription) -> Result<bool, StoreError> {
        let config = &self.hook.config;
        let Some(batch) = reader.next_batch(config.batch).await else {
            return Ok(false);
        };
        let mut batch = batch?;
        if batch.len() < config.batch && !self.failing {
            // What comes within this time goes along.
            let clock = &self.seams.reader.clock;
            clock
                .sleep_until(clock.monotonic().after(config.gather))
                .await;
            reader.add_waiting(&mut batch, config.batch).await?;
        }
        while !batch.is_empty() {
            let some = batch.get(..config.batch).unwrap_or(&batch);
            let (body, count) = payload::write(&self.hook.name, some, config.octets);
            let (Some(first), Some(last)) = (batch.first(), batch.get(count.saturating_sub(1)))
            else {
                break;
            };
            match self.post(first, last, body).await {
                Ok(()) => {
                    let cursor = last.cursor;
                    (self.failing, self.told) = (false, false);
                    self.retry = config.retry;
                    reader.done(cursor).await?;
                    batch.drain(..count);
                }
                Err(failure) => {
                    self.failed(&failure);
                    self.hook.pause(self.seams, &mut self.retry).await;
                    batch = self.give_up(reader, batch, &failure).await?;
                }
            }
        }
        Ok(true)
    }

    async fn post(
        &self,
        first: &StoredEvent,
        last: &StoredEvent,
        body: String,
    ) -> Result<(), Failure> {
        let url = &self.hook.url;
        // The same for the same events, whenever they are sent.
        let id = format!("{:032x}-{}", first.event.id.0, last.cursor.0);
        let seconds = self.seams.reader.clock.now().secs();
        let signature = self.hook.keys.sign(&id, seconds, body.as_bytes());
        let request = Request::post(&url.path)
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", seconds)
            .header("webhook-signature", signature)
            .body(body)
            .map_err(|error| Failure::Http(HttpError::Protocol(error.to_string())))?;
        let to = (&url.host, url.port, url.channel);
        let told = self.hook.client.tell(to, request).await;
        let status = told.map_err(Failure::Http)?;
        match status.is_success() {
            true => Ok(()),
            false => Err(Failure::Status(status.as_u16())),
        }
    }

    fn failed(&mut self, failure: &Failure) {
        let (webhook, host) = (&self.hook.name, &self.hook.url.host);
        if !std::mem::replace(&mut self.failing, true) {
            tracing::warn!(webhook, %host, %failure, "events can't be told; trying again");
        }
    }

    /// Does without what is too old; what is to be told then.
    async fn give_up(
        &mut self,
        reader: &mut Subscription,
        mut batch: Vec<StoredEvent>,
        failure: &Failure,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        let mut dropped: u64 = 0;
        loop {
            let now = self.seams.reader.clock.now();
            // A gap is told however old it is.
            let is_gap = |it: &StoredEvent| it.event.name == EventName::Gap;
            let age = self.hook.config.give_up_after;
            let old = |it: &&StoredEvent| is_gap(it) || now.since(it.event.at) > age;
            let old: Vec<&StoredEvent> = batch.iter().take_while(old).collect();
            let count = old.iter().filter(|it| !is_gap(it)).count() as u64;
            let last = old.iter().rev().find(|it| !is_gap(it)).copied().cloned();
            let Some(last) = last else { break };
            reader.give_up(&last, count).await?;
            dropped += count;
            let Some(next) = reader.next_batch(SWEEP).await else {
                break;
            };
            batch = next?;
            reader.add_waiting(&mut batch, SWEEP).await?;
        }
        if dropped > 0 {
            self.tell_given_up(dropped, failure);
        }
        Ok(batch)
    }

    fn tell_given_up(&mut self, dropped: u64, failure: &Failure) {
        let webhook = &self.hook.name;
        tracing::error!(webhook, dropped, %failure, "events were given up");
        if std::mem::replace(&mut self.told, true) {
            return;
        }
        if let Some(event) = self.seams.recorder.event(EventName::WebhookGaveUp) {
            let event = event.with("webhook", webhook).with("events", dropped);
            self.seams.recorder.record(event.with("error", failure));
        }
    }
}
