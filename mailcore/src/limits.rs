//! Limits of the whole server, each with a default. Protocols have their own
//! beside these.

use std::time::Duration;

use crate::net::Bandwidth;

/// Limits that do not belong to one protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Connections at a time, on all listeners together.
    pub connections: usize,
    /// Connections at a time from one address (IPv6: one /64). Loopback is
    /// exempt.
    pub connections_per_address: usize,
    /// Octets a second; as many as there are by default.
    pub bandwidth: Bandwidth,
    /// How long a peer may take to accept what is sent to it.
    pub write_timeout: Duration,
    /// How long a peer may take for a TLS handshake.
    pub handshake_timeout: Duration,
    /// How long open sessions may take to finish at shutdown.
    pub drain: Duration,
    /// Octets in one message.
    pub message_size: u64,
    /// `Received` fields in one message; more is a loop (RFC 5321 section 6.3).
    pub hops: usize,
    /// How long the filters may take for one stage.
    pub filter_deadline: Duration,
    /// How long the host's closures may take for one message while its sender
    /// waits for the reply (RFC 5321 section 4.5.3.2.6); then the rest is left
    /// to the queue, or without a store the sender asked to try again.
    pub hand_over: Duration,
    /// Deliveries at a time.
    pub deliveries: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 20_000,
            connections_per_address: 100,
            bandwidth: Bandwidth::default(),
            write_timeout: Duration::from_secs(300),
            handshake_timeout: Duration::from_secs(30),
            drain: Duration::from_secs(10),
            message_size: 50 * 1024 * 1024,
            hops: 100,
            filter_deadline: Duration::from_secs(60),
            hand_over: Duration::from_secs(120),
            deliveries: 64,
        }
    }
}
