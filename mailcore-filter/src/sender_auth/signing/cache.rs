//! [`SignatureCache`]: what was signed lately, so that a message for a thousand
//! hosts is signed once.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::digest;
use bytes::Bytes;
use mailcore::message::{Content, Goal};
use mailcore::seams::LeavingMail;
use mailcore::time::Monotonic;

/// Messages remembered; each takes a kilobyte or two.
const MOST: usize = 4_096;
/// Octets of a signature that is remembered.
const LARGEST: usize = 16 * 1024;
/// For how long. The times within a signature grow old with it.
const KEPT: Duration = Duration::from_secs(3_600);

/// Names a message in the form in which it is sent.
pub(super) type Print = [u8; 32];

/// Signatures by message.
#[derive(Debug, Default)]
pub(super) struct SignatureCache(Mutex<HashMap<Print, (Bytes, Monotonic)>>);

impl SignatureCache {
    pub(super) fn get(&self, print: &Print, now: Monotonic) -> Option<Bytes> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (lead, until) = kept.get(print)?;
        (*until > now).then(|| lead.clone())
    }

    pub(super) fn put(&self, print: Print, lead: &Bytes, now: Monotonic) {
        if lead.len() > LARGEST {
            return;
        }
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MOST {
            kept.retain(|_, (_, until)| *until > now);
        }
        if kept.len() >= MOST {
            kept.clear();
        }
        kept.insert(print, (lead.clone(), now.after(KEPT)));
    }
}

/// A message's print, which changes with everything that signatures depend on;
/// `mark` is the state of the keys.
pub(super) fn print(mail: &LeavingMail<'_>, mark: u64) -> Option<Print> {
    let mut print = digest::Context::new(&digest::SHA256);
    let mut part = |octets: &[u8]| {
        print.update(&(octets.len() as u64).to_be_bytes());
        print.update(octets);
    };
    part(&mark.to_be_bytes());
    part(&mail.trace.0.to_be_bytes());
    part(format!("{:?}", mail.origin).as_bytes());
    part(mail.reverse_path.to_string().as_bytes());
    part(match mail.conversion {
        None => b"kept",
        Some(Goal::SevenBit) => b"7bit",
        Some(Goal::EightBit) => b"8bit",
    });
    part(mail.message.prefix());
    match mail.message.content() {
        // Not more than fits beside the session, by its own limit.
        Content::Inline(octets) => part(octets),
        Content::Stored(blob) => {
            part(&blob.key().store.to_be_bytes());
            part(&blob.key().content.to_be_bytes());
            part(&blob.len().to_be_bytes());
        }
    }
    print.finish().as_ref().try_into().ok()
}
