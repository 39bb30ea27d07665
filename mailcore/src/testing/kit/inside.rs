//! [`Inside`]: a service on a port of a test, for peers that count as within the
//! process.

use std::sync::Arc;

use async_trait::async_trait;

use crate::net::{Connection, Service};
use crate::server::{IntoService, Parts, StartError};

/// Makes the service of which every peer is one of the test's own.
#[derive(Debug)]
pub(super) struct Inside(pub(super) Box<dyn IntoService>);

impl IntoService for Inside {
    fn into_service(self: Box<Self>, parts: &Parts) -> Result<Arc<dyn Service>, StartError> {
        let inner = self.0.into_service(parts)?;
        Ok(Arc::new(FromInside(inner)))
    }
}

#[derive(Debug)]
struct FromInside(Arc<dyn Service>);

#[async_trait]
impl Service for FromInside {
    fn protocol(&self) -> &'static str {
        self.0.protocol()
    }

    fn alpn(&self) -> &'static str {
        self.0.alpn()
    }

    /// Within the process nobody else can listen, so that clients may log in
    /// without TLS.
    async fn serve(&self, connection: Connection) {
        let connection = Connection {
            peer: None,
            ..connection
        };
        self.0.serve(connection).await;
    }

    fn denied(&self) -> &'static [u8] {
        self.0.denied()
    }

    fn busy(&self) -> &'static [u8] {
        self.0.busy()
    }
}
