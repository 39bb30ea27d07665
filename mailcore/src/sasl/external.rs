//! EXTERNAL (RFC 4422 appendix A): the client's TLS certificate says who it is.

use std::sync::Arc;

use super::SaslError;
use super::exchange::{Move, Run};
use super::prepare::login_name;
use crate::seams::Proof;
use crate::wire::ClientCertificate;

/// Waits for the name to act as, which may be empty. Whether the certificate
/// is that one's is the authenticator's to say.
#[derive(Debug)]
pub(super) struct External(pub(super) Arc<ClientCertificate>);

impl Run for External {
    fn respond(&mut self, response: &[u8]) -> Result<Move, SaslError> {
        let login = match response {
            b"" => String::new(),
            name => login_name(name)?,
        };
        Ok(Move::Proof(login, Proof::Certificate(Arc::clone(&self.0))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_left_to_the_certificate_or_claimed() {
        for (response, name) in [(&b""[..], ""), (b"fred@example.com", "fred@example.com")] {
            let mut run = External(Arc::new(ClientCertificate::new(b"der")));
            match run.respond(response) {
                Ok(Move::Proof(login, Proof::Certificate(certificate))) => {
                    assert_eq!((login.as_str(), &*certificate.der), (name, &b"der"[..]));
                }
                other => panic!("{other:?}"),
            }
        }
        let mut run = External(Arc::new(ClientCertificate::new(b"der")));
        assert!(matches!(run.respond(b"a\0b"), Err(SaslError::Malformed)));
    }
}
