//! [`BatvAgent`]: gives mail a signed sender where it leaves for other hosts. The
//! queue, notices of ours and the message log know the plain one.

use std::sync::Arc;

use async_trait::async_trait;
use mailcore::address::ReversePath;
use mailcore::queue::Origin;
use mailcore::seams::{DeliveryAgent, DeliveryJob};
use mailcore::status::Outcome;

use super::Batv;

/// An agent over the one for other hosts.
#[derive(Debug)]
pub struct BatvAgent {
    inner: Arc<dyn DeliveryAgent>,
    batv: Arc<Batv>,
}

impl BatvAgent {
    /// Hands mail on to `inner`.
    pub fn new(inner: Arc<dyn DeliveryAgent>, batv: Arc<Batv>) -> Self {
        Self { inner, batv }
    }
}

#[async_trait]
impl DeliveryAgent for BatvAgent {
    async fn deliver(&self, mut job: DeliveryJob) -> Vec<Outcome> {
        if let ReversePath::Address(address) = &job.reverse_path
            // A stranger's mail that goes on is no word of ours.
            && job.origin != Origin::Received
            && self.batv.signs(address)
        {
            match self.batv.sign(address).await {
                Ok(signed) => job.reverse_path = ReversePath::Address(signed),
                // A notice that is refused later is the lesser harm.
                Err(error) => tracing::warn!(%error, "mail leaves under an unsigned sender"),
            }
        }
        self.inner.deliver(job).await
    }
}
