//! [`View::of`]: one view of a message for all who look at it.

use std::sync::Arc;

use mailcore::seams::StoreError;
use tokio::sync::OnceCell;

use super::{View, ViewLimits};
use crate::pipeline::Look;

/// Kept with the message. Tests of one stage are asked side by side: whoever is
/// first reads, the others wait for it.
#[derive(Debug, Default)]
struct Once(OnceCell<Arc<View>>);

impl View {
    /// The view of the message that is looked at, read when nobody did before;
    /// `None` before there is a message.
    ///
    /// # Errors
    /// What the store of the message says.
    pub async fn of(look: &Look<'_>) -> Result<Option<Arc<Self>>, StoreError> {
        let Some(mail) = look.mail else {
            return Ok(None);
        };
        let memory = &look.session.memory;
        if memory.get::<Once>().is_none() {
            memory.keep_for_message(Once::default());
        }
        let once = memory.get::<Once>().unwrap_or_default();
        let read = || async {
            let limits = ViewLimits::default();
            let view = Self::read(mail.message, mail.summary, &limits).await?;
            Ok(Arc::new(view))
        };
        let view: &Arc<Self> = once.0.get_or_try_init(read).await?;
        Ok(Some(Arc::clone(view)))
    }
}

#[cfg(test)]
mod tests {
    use mailcore::address::ReversePath;
    use mailcore::envelope::Envelope;
    use mailcore::message::{Message, Summary};
    use mailcore::seams::{FilterSession, IncomingMail};

    use super::*;

    #[tokio::test]
    async fn a_message_is_read_once() {
        let octets = b"Subject: x\r\n\r\nhttp://a.test/\r\n";
        let (message, summary) = (Message::from_bytes(&octets[..]), Summary::scan(octets));
        let envelope = Envelope::from_sender(ReversePath::Null);
        let mail = IncomingMail::new(&envelope, &message, &summary);
        let session = FilterSession::new(None);
        let look = Look::at(&session);
        assert!(View::of(&look).await.unwrap().is_none());
        let look = look.mail(&mail);
        let (one, other) = tokio::join!(View::of(&look), View::of(&look));
        let (one, other) = (one.unwrap().unwrap(), other.unwrap().unwrap());
        assert!(Arc::ptr_eq(&one, &other));
    }
}
