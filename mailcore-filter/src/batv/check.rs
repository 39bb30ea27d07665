//! The test `batv`: whether a notice is about mail of ours.

use std::sync::Arc;

use async_trait::async_trait;
use mailcore::address::{Address, MAX_LOCAL_PART};
use mailcore::deliver::list::{ListAddress, ListRole};
use mailcore::plan::Stage;

use super::{Batv, tag};
use crate::pipeline::{Look, Reaction, Said, Test};

/// Asked at RCPT of mail without a sender.
#[derive(Debug)]
pub struct BatvCheck {
    batv: Arc<Batv>,
}

impl BatvCheck {
    /// Knows by `batv` who signs.
    pub fn new(batv: Arc<Batv>) -> Self {
        Self { batv }
    }
}

#[async_trait]
impl Test for BatvCheck {
    fn name(&self) -> &'static str {
        "batv"
    }

    fn stage(&self) -> Stage {
        Stage::Rcpt
    }

    fn results(&self) -> &'static [&'static str] {
        &["unsigned"]
    }

    fn reaction(&self, _: &str) -> Reaction {
        Reaction::reject()
    }

    async fn look(&self, at: &Look<'_>) -> Vec<Said> {
        let (Some(sender), Some(recipient)) = (at.reverse_path, at.recipient) else {
            return Vec::new();
        };
        // Whether a sign is good was the router's to say.
        let signed = tag::core(recipient.local_part()).is_some();
        // What is for postmaster need not be about mail of his (RFC 5321 section
        // 4.5.1).
        let postmaster = recipient.local_part().eq_ignore_ascii_case("postmaster");
        let spared = signed || postmaster || leaves_unsigned(recipient);
        if !sender.is_null() || !self.batv.signs(recipient) || spared {
            return Vec::new();
        }
        match self.batv.is_settled(recipient.domain()).await {
            Ok(true) => {
                let words = "this notice is about no mail that was sent from here";
                vec![Said::new("unsigned", recipient.to_string()).detail(words)]
            }
            Ok(false) => Vec::new(),
            Err(error) => {
                tracing::warn!(%error, "can't say whether a notice is about mail of ours");
                Vec::new()
            }
        }
    }
}

/// Whether mail of this sender left without a sign: its address has no room for
/// one, or it is one with a mark of its own, that SRS made of a stranger's or a
/// list's mail leaves with.
fn leaves_unsigned(address: &Address) -> bool {
    let of_list = |it: ListAddress| it.role == ListRole::Bounces && it.token.is_some();
    if ListAddress::read(address).is_some_and(of_list) {
        return true;
    }
    let local_part = address.local_part();
    let has_srs = local_part.get(..4).is_some_and(|scheme| {
        scheme.eq_ignore_ascii_case("SRS0") || scheme.eq_ignore_ascii_case("SRS1")
    });
    has_srs || local_part.len() + tag::ADDED > MAX_LOCAL_PART
}
