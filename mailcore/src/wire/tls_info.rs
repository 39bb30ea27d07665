//! What a session knows of the TLS around it: [`TlsInfo`].

use std::sync::Arc;

use crate::account::Secret;

/// What a TLS handshake settled, as sessions, trace fields and logs show it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct TlsInfo {
    /// `TLSv1.3`.
    pub version: String,
    /// `TLS13_AES_256_GCM_SHA384`.
    pub cipher: String,
    /// The name the client asked for (SNI).
    pub server_name: Option<String>,
    /// What ties a proof to this connection.
    pub bindings: ChannelBindings,
    /// The certificate that the client showed, verified.
    pub client_certificate: Option<Arc<ClientCertificate>>,
}

/// Data that only the two ends of one TLS connection share, or that only its
/// server can show: with it a proof holds for no other connection (RFC 5056).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ChannelBindings {
    /// `tls-exporter` (RFC 9266); within TLS 1.3 only.
    pub exporter: Option<Secret>,
    /// `tls-server-end-point` (RFC 5929 section 4); none for a certificate
    /// whose signature names no hash.
    pub server_end_point: Option<Secret>,
}

/// A client's certificate, which a trusted authority vouches for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientCertificate {
    /// The certificate itself, DER.
    pub der: Vec<u8>,
    /// The addresses that it names (`rfc822Name`, RFC 5280 section 4.2.1.6).
    pub addresses: Vec<String>,
    /// Its subject, as RFC 4514 writes it; empty when it has none.
    pub subject: String,
}

impl ClientCertificate {
    /// A certificate of which no name is known yet.
    pub fn new(der: impl Into<Vec<u8>>) -> Self {
        Self {
            der: der.into(),
            addresses: Vec::new(),
            subject: String::new(),
        }
    }
}
