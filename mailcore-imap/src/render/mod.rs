//! Messages as FETCH shows them: flags and numbers ([`message`]), ENVELOPE
//! ([`envelope`]), BODYSTRUCTURE ([`structure`]) and sections ([`body`]).

pub(crate) mod body;
pub(crate) mod envelope;
pub(crate) mod message;
pub(crate) mod structure;
