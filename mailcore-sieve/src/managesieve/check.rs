//! [`ScriptCheck`]: what ManageSieve has to know of the language.

use std::fmt::Debug;

use crate::engine::{CompileError, Compiler};

/// Tells good scripts from bad ones. A script that passes must be one that runs:
/// the check is the compiler that delivery uses (RFC 5804 section 2.6).
pub trait ScriptCheck: Debug + Send + Sync {
    /// The extensions that a script may require, as it names them.
    fn extensions(&self) -> Vec<String>;

    /// How often a run may redirect, where that is limited.
    fn max_redirects(&self) -> Option<usize> {
        None
    }

    /// Checks a script; what it gives back are warnings, a line each.
    ///
    /// # Errors
    /// What is wrong with it first, and where.
    fn check(&self, text: &[u8]) -> Result<Vec<String>, CompileError>;
}

/// The name that a script has while it is checked: nothing is run of it.
const UNNAMED: &str = "script";

impl ScriptCheck for Compiler {
    fn extensions(&self) -> Vec<String> {
        let names = Compiler::extensions(self);
        names.into_iter().map(str::to_owned).collect()
    }

    fn max_redirects(&self) -> Option<usize> {
        Some(Compiler::max_redirects(self))
    }

    fn check(&self, text: &[u8]) -> Result<Vec<String>, CompileError> {
        let program = self.compile(UNNAMED, text)?;
        Ok(program.warnings().iter().map(ToString::to_string).collect())
    }
}
