//! ANONYMOUS (RFC 4505): the client says of itself what it likes.

use super::SaslError;
use super::exchange::{Move, Run};
use super::prepare::login_name;
use crate::seams::Proof;

/// Characters allowed in the trace information.
const MAX_TRACE: usize = 255;

/// Waits for the trace information, which may be empty.
#[derive(Debug)]
pub(super) struct Anonymous;

impl Run for Anonymous {
    fn respond(&mut self, response: &[u8]) -> Result<Move, SaslError> {
        let trace = match response {
            b"" => String::new(),
            trace => login_name(trace)?,
        };
        if trace.chars().count() > MAX_TRACE {
            return Err(SaslError::TooLong);
        }
        Ok(Move::Proof(trace, Proof::Anonymous))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc4505_example() {
        match Anonymous.respond(b"sirhc") {
            Ok(Move::Proof(trace, Proof::Anonymous)) => assert_eq!(trace, "sirhc"),
            other => panic!("{other:?}"),
        }
        assert!(Anonymous.respond(b"").is_ok());
        assert!(Anonymous.respond(&[b'a'; 256]).is_err());
    }
}
