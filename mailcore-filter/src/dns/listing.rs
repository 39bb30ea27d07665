//! [`Listing`] and [`Listings`]: what lists say.

use std::net::Ipv4Addr;
use std::sync::Arc;

use super::effect::weight;
use super::{Effect, Subject, Zone};

/// A listing.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Listing {
    /// The list.
    pub zone: Arc<Zone>,
    /// Who is on it.
    pub subject: Subject,
    /// What that means.
    pub effect: Effect,
    /// Its answer.
    pub code: Ipv4Addr,
    /// What it says about it, fit for a reply.
    pub text: Option<Arc<str>>,
}

/// What lists say of some subjects.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Listings {
    /// Who is listed, in the order of the questions.
    pub found: Vec<Listing>,
    /// Lists that gave no answer and were believed to work.
    pub silent: Vec<Arc<Zone>>,
}

impl Listings {
    /// Keeps one listing of each list, the one that weighs most.
    pub(super) fn keep_worst_of_each_zone(&mut self) {
        let mut worst: Vec<Listing> = Vec::new();
        for listing in self.found.drain(..) {
            match worst.iter_mut().find(|it| it.zone == listing.zone) {
                Some(kept) if weight(listing.effect) > weight(kept.effect) => *kept = listing,
                Some(_) => {}
                None => worst.push(listing),
            }
        }
        self.found = worst;
    }

    pub(super) fn of(answers: Vec<Answer>) -> Self {
        let mut listings = Self::default();
        for answer in answers {
            match answer {
                Answer::Found(listing) => listings.found.push(listing),
                Answer::Silent(zone) => {
                    if !listings.silent.contains(&zone) {
                        listings.silent.push(zone);
                    }
                }
                Answer::NotListed | Answer::Off => {}
            }
        }
        listings
    }
}

/// An answer to one question.
#[derive(Debug, Clone)]
pub(super) enum Answer {
    Found(Listing),
    NotListed,
    Silent(Arc<Zone>),
    /// The list does not count now.
    Off,
}
