//! [`News`]: what a server tells without being asked, kept for the caller.

use std::collections::VecDeque;

use super::config::Limits;
use super::response::{Code, Condition, Data, Status};

/// Ranges of a VANISHED that is kept as news.
const MAX_RANGES: usize = 10_000;

/// What the server told without being asked.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum News {
    /// Data: EXISTS, EXPUNGE, FETCH of changed flags.
    Data(Data),
    /// A status; an ALERT is for the user's eyes (RFC 9051 section 7.1).
    Status(Status),
    /// There was more than [`Limits::news`](super::Limits::news) or
    /// [`Limits::held`](super::Limits::held): what is known of the mailbox no
    /// longer holds. Open it again.
    Lost,
}

/// The news that nobody has asked for yet, each with the octets it came as.
#[derive(Debug, Default)]
pub(super) struct Kept {
    news: VecDeque<(News, usize)>,
    octets: usize,
    lost: bool,
}

impl Kept {
    pub(super) fn is_empty(&self) -> bool {
        !self.lost && self.news.is_empty()
    }

    /// All of them, oldest first.
    pub(super) fn take(&mut self) -> Vec<News> {
        let Self { news, lost, .. } = std::mem::take(self);
        let lost = lost.then_some(News::Lost);
        let kept = news.into_iter().map(|(news, _)| news);
        lost.into_iter().chain(kept).collect()
    }

    /// Keeps what is news of mail; when it is too much, the oldest goes.
    pub(super) fn keep(&mut self, news: News, weight: usize, limits: &Limits) {
        // Said of the connection, not of mail: nothing new for the caller.
        let plain = |status: &Status| {
            status.condition == Condition::Ok
                && !matches!(status.code, Some(Code::Alert | Code::HighestModSeq(_)))
        };
        let news = match news {
            News::Status(status) if plain(&status) => return,
            // A change of flags; what a server adds to it is not held for long.
            News::Data(Data::Fetch(mut fetched)) => {
                (fetched.envelope, fetched.structure) = (None, None);
                News::Data(Data::Fetch(fetched))
            }
            News::Data(Data::Vanished { uids, .. }) if uids.ranges().count() > MAX_RANGES => {
                self.lost = true;
                return;
            }
            News::Data(
                Data::Exists(_)
                | Data::Recent(_)
                | Data::Expunge(_)
                | Data::Vanished { .. }
                | Data::Flags(_),
            )
            | News::Status(_) => news,
            _ => return,
        };
        self.news.push_back((news, weight));
        self.octets = self.octets.saturating_add(weight);
        while self.news.len() > limits.news.max(1) || self.octets > limits.held {
            let Some((_, weight)) = self.news.pop_front() else {
                break;
            };
            self.octets = self.octets.saturating_sub(weight);
            self.lost = true;
        }
    }
}
