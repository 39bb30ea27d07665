//! Versions of the message: what the plan's edits make of its header, each
//! written once however many recipients it is for.

use super::Settlement;
use crate::intake::transaction::refusal;
use crate::intake::{Mail, Refusal};
use crate::plan::{Disposition, Edit, Plan};

/// Versions that one message has at most: each costs a message's octets. Who
/// would get one more gets the message as it came.
const VERSIONS: usize = 16;

impl Settlement<'_> {
    /// Writes the versions that the plan asks for.
    pub(super) async fn rewrite(&mut self, plan: &Plan) -> Result<(), Refusal> {
        let mut known: Vec<(Vec<&Edit>, usize)> = vec![(Vec::new(), 0)];
        for copy in &plan.recipients {
            let taken = matches!(
                copy.disposition,
                Disposition::Accept | Disposition::Quarantine(_)
            );
            let edits = copy.edits.iter().filter(|it| taken && it.is_of_content());
            let edits: Vec<&Edit> = edits.collect();
            let version = match known.iter().find(|(same, _)| *same == edits) {
                Some((_, version)) => *version,
                None if known.len() > VERSIONS => {
                    tracing::warn!(trace = %self.mail.trace, "too many versions of one message");
                    0
                }
                None => {
                    let wanted: Vec<Edit> = edits.iter().copied().cloned().collect();
                    let commit = self.intake.parts.commit.clone();
                    let rewritten = self.mail.rewritten(&wanted, commit).await;
                    let version = match rewritten.map_err(|error| refusal(&error))? {
                        Some(mail) => {
                            self.versions.push(mail);
                            self.versions.len()
                        }
                        None => 0,
                    };
                    known.push((edits, version));
                    version
                }
            };
            self.version_of.push(version);
        }
        Ok(())
    }

    /// Which version a recipient gets; 0 is the message as it came.
    pub(super) fn version_of(&self, index: usize) -> usize {
        self.version_of.get(index).copied().unwrap_or_default()
    }

    /// The message in a version.
    pub(super) fn version(&self, version: usize) -> &Mail {
        let changed = version.checked_sub(1);
        changed
            .and_then(|changed| self.versions.get(changed))
            .unwrap_or(self.mail)
    }
}
