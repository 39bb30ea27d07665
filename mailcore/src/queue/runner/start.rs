//! The queue started for one domain: [`QueueStart`].

use async_trait::async_trait;

use super::operate::{By, Order};
use super::{Operation, QueueRunner, Whose};
use crate::address::Domain;
use crate::queue::EntryStateKind;
use crate::seams::{QueueStart, SpoolQuery, StoreError};

/// Entries looked at in one question, and entries that one request starts at
/// most: whoever asks waits for the answer.
const PAGE: usize = 100;
const MOST: u64 = 1_000;

#[async_trait]
impl QueueStart for QueueRunner {
    fn is_at_work(&self) -> bool {
        self.pulse.is_felt(self.seams.clock.monotonic())
    }

    async fn start(&self, domain: &Domain) -> Result<u64, StoreError> {
        let mut query = SpoolQuery {
            domain: Some(domain.clone()),
            state: Some(EntryStateKind::Waiting),
            limit: PAGE,
            ..SpoolQuery::default()
        };
        // Who asks is there.
        self.forget_destination(domain);
        let mut started = 0;
        loop {
            let page = self.seams.spool.list(&query).await?;
            let count = page.len();
            for line in page {
                query.after = Some(line.entry.id);
                // RFC 4865 section 4: whoever asks is not who wants it held.
                let hold_until = line.entry.params.hold_until;
                if hold_until.is_some_and(|at| at > self.seams.clock.now()) {
                    continue;
                }
                // One that is tried just now needs no start.
                if !line.leased {
                    let order = Order {
                        operation: &Operation::Retry,
                        whose: &Whose::Everybody,
                        by: By::Peer,
                    };
                    let tried = self.carry_out(&[line.entry.id], order).await;
                    if tried.is_err() || tried.is_ok_and(|it| it.changed == 0) {
                        continue;
                    }
                }
                started += 1;
            }
            if count < PAGE || started >= MOST {
                return Ok(started);
            }
        }
    }
}
