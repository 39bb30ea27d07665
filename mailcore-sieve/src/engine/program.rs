//! A compiled script.

use std::sync::Arc;

/// A compiled script: compact, immutable, shared between runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    name: Arc<str>,
}

impl Program {
    /// What it is called, in errors.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }
}
