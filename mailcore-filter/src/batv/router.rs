//! [`BatvRouter`]: leads mail for signed senders to those who they stand for.

use std::sync::Arc;

use async_trait::async_trait;
use mailcore::address::{Address, ReversePath};
use mailcore::seams::{Demands, Route, RouteError, RouteQuery, Router};
use mailcore::status::Status;

use super::{Batv, tag};

/// A router over another one.
#[derive(Debug)]
pub struct BatvRouter {
    inner: Arc<dyn Router>,
    batv: Arc<Batv>,
}

impl BatvRouter {
    /// Asks `inner` for all other addresses.
    pub fn new(inner: Arc<dyn Router>, batv: Arc<Batv>) -> Self {
        Self { inner, batv }
    }
}

#[async_trait]
impl Router for BatvRouter {
    async fn route(&self, query: &RouteQuery<'_>) -> Result<Route, RouteError> {
        let address = query.address;
        if !self.batv.signs(address) || tag::core(address.local_part()).is_none() {
            return self.inner.route(query).await;
        }
        let verified = self.batv.verify(address).await;
        match verified.map_err(|error| RouteError(error.to_string()))? {
            // Lists and people, too, write to the sender that they saw: mail with
            // a sender is let through like any other for the address.
            Ok(signed) => Ok(Route::Expand { to: vec![signed] }),
            Err(error) => {
                tracing::debug!(%error, %address, "a sign that is not good");
                Ok(Route::Refused {
                    status: Status::permanent(
                        7,
                        1,
                        "this signed address is not good, or no longer",
                    ),
                })
            }
        }
    }

    async fn demands(&self, address: &Address) -> Result<Demands, RouteError> {
        self.inner.demands(address).await
    }

    async fn forwarded_sender(&self, sender: &ReversePath) -> Result<ReversePath, RouteError> {
        self.inner.forwarded_sender(sender).await
    }
}
