//! [`Tally`]: what the peer of a session has done so far.

/// What a machine counts for whoever runs it: over all sessions of a peer
/// together it may be too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Tally {
    /// Commands, whatever became of them.
    pub commands: u64,
    /// Those among them that were none or were wrong. A message that is not
    /// there and a password that is wrong are no errors of this kind.
    pub errors: u64,
}

impl Tally {
    /// So many commands, and of these so many errors.
    pub fn new(commands: u64, errors: u64) -> Self {
        Self { commands, errors }
    }

    /// What came since `before`.
    #[must_use]
    pub fn since(self, before: Self) -> Self {
        Self {
            commands: self.commands.saturating_sub(before.commands),
            errors: self.errors.saturating_sub(before.errors),
        }
    }
}
