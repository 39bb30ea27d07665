//! What recipients demand of their mail: what the envelope tells is checked at
//! RCPT, the rest once the message is here.

use super::recipients::{Target, no_route};
use super::{Intake, Mail, Refusal, Transaction};
use crate::address::Address;
use crate::plan::{Disposition, Plan, RecipientPlan};
use crate::seams::Demands;

impl Intake {
    /// What is demanded of mail for `address`. Where it leads to one other
    /// address, that one's demands hold as well; among several, one that wants
    /// no large mail must not keep it from the others.
    pub(super) async fn demands(
        &self,
        address: &Address,
        targets: &[Target],
    ) -> Result<Demands, Refusal> {
        let router = &self.parts.router;
        let demands = router.demands(address).await.map_err(no_route)?;
        match targets {
            [only] if only.address() != address => {
                let further = router.demands(only.address()).await;
                Ok(demands.and(further.map_err(no_route)?))
            }
            _ => Ok(demands),
        }
    }

    /// What can be said before the message is here (RFC 1870 section 6.1).
    pub(super) fn check_demands(demands: &Demands, stated: Option<u64>) -> Result<(), Refusal> {
        match stated.and_then(|size| demands.refuse_size(size)) {
            Some(status) => Err(status.into()),
            None => Ok(()),
        }
    }
}

impl Transaction {
    /// Refuses the copies of those who do not take such a message. The filters'
    /// plan comes first: what they drop or refuse stays so.
    pub(super) fn enforce_demands(&self, mail: &Mail, plan: &mut Plan) {
        let size = mail.message.len().saturating_sub(self.trace_len);
        plan.recipients
            .resize_with(self.demands.len(), RecipientPlan::default);
        for (copy, demands) in plan.recipients.iter_mut().zip(&self.demands) {
            let refused =
                (demands.refuse_size(size)).or_else(|| demands.refuse_content(&mail.summary));
            let taken = matches!(
                copy.disposition,
                Disposition::Accept | Disposition::Quarantine(_)
            );
            if let (true, Some(status)) = (taken, refused) {
                copy.disposition = Disposition::Reject(status);
            }
        }
    }
}
