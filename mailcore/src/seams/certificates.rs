//! Which key for which name, now.

use std::fmt::Debug;
use std::sync::Arc;

use rustls::sign::CertifiedKey;

/// Gives the certificate for a handshake. Asked for each one, so a renewed
/// certificate serves the next connection. Must not block.
pub trait Certificates: Debug + Send + Sync {
    /// The certificate for the name the client asked for, or the default one.
    /// `None` refuses the handshake.
    fn certificate(&self, server_name: Option<&str>) -> Option<Arc<CertifiedKey>>;
}
