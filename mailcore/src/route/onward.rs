//! As whom a message is sent on.

use crate::address::{Address, ReversePath};
use crate::seams::{Route, RouteQuery, Router};

/// The reverse path of a message from `sender` that is sent on to `to`: another
/// one only where it leaves this server at once. An address that stands for
/// others is the queue's to follow. When the router does not answer now the
/// message goes as it is: late or unsigned mail is better than lost mail.
pub(crate) async fn onward(router: &dyn Router, sender: &ReversePath, to: &Address) -> ReversePath {
    let query = RouteQuery::new(to).from_sender(sender);
    let Ok(Route::Remote { .. }) = router.route(&query).await else {
        return sender.clone();
    };
    match router.forwarded_sender(sender).await {
        Ok(sender) => sender,
        Err(error) => {
            tracing::warn!(%error, %to, "forwarded under its own sender");
            sender.clone()
        }
    }
}
