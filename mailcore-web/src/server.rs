//! The service: [`Web`] is its pages and limits, [`PageHost`] answers a
//! [`Session`]'s questions.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use mailcore::message::DateTime;
use mailcore::net::{Connection, Ending, Host, Service, drive};
use mailcore::seams::Clock;
use mailcore::server::{IntoService, Parts, StartError};

use crate::pages::Health;
use crate::session::{Answer, Question, Session, SessionConfig, Transport};
use crate::{Hosts, Page, Response, Routes, Status};

/// How long a page may take.
const PAGE_TIMEOUT: Duration = Duration::from_secs(30);

/// An HTTP service to be given to a server's builder.
///
/// It serves `/healthz` and `/readyz`, and the pages that it is given.
#[derive(Debug, Clone, Default)]
pub struct Web {
    routes: Routes,
    config: SessionConfig,
    health: HealthPages,
}

/// Whether the health of the server is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum HealthPages {
    #[default]
    Shown,
    Hidden,
}

impl Web {
    /// With the server's own pages only.
    pub fn new() -> Self {
        Self::default()
    }

    /// Without any page so far, for ports that strangers look at. Needs no
    /// store.
    pub fn bare() -> Self {
        Self {
            health: HealthPages::Hidden,
            ..Self::default()
        }
    }

    /// Adds a page ([`Routes::page`]).
    #[must_use]
    pub fn page(mut self, hosts: Hosts, path: &str, page: impl Page + 'static) -> Self {
        self.routes = self.routes.page(hosts, path, page);
        self
    }

    /// Adds pages.
    #[must_use]
    pub fn pages(mut self, routes: Routes) -> Self {
        self.routes = self.routes.with(routes);
        self
    }

    /// Adds a name that the server goes by, beside its host name.
    #[must_use]
    pub fn name(mut self, name: &str) -> Self {
        self.routes = self.routes.name(name);
        self
    }

    /// What a session may cost.
    #[must_use]
    pub fn limits(mut self, config: SessionConfig) -> Self {
        self.config = config;
        self
    }
}

impl IntoService for Web {
    fn into_service(self: Box<Self>, parts: &Parts) -> Result<Arc<dyn Service>, StartError> {
        let mut own = Routes::new().name(parts.hostname().as_str());
        if self.health == HealthPages::Shown {
            let health = Health::new(parts)?;
            own =
                own.page(Hosts::Any, "/healthz", health.live())
                    .page(Hosts::Any, "/readyz", health);
        }
        Ok(Arc::new(WebService {
            routes: Arc::new(own.with(self.routes)),
            config: self.config,
        }))
    }
}

#[derive(Debug)]
struct WebService {
    routes: Arc<Routes>,
    config: SessionConfig,
}

#[async_trait]
impl Service for WebService {
    fn protocol(&self) -> &'static str {
        "http"
    }

    fn alpn(&self) -> &'static str {
        "http/1.1"
    }

    async fn serve(&self, connection: Connection) {
        let peer = connection.peer;
        let transport = match connection.tls {
            Some(_) => Transport::Tls,
            None => Transport::Plain,
        };
        let host = PageHost {
            routes: Arc::clone(&self.routes),
            clock: Arc::clone(&connection.clock),
        };
        let session = Session::new(self.config.clone(), transport);
        match drive(session, host, connection).await {
            Ending::Closed => {}
            ending => tracing::debug!(?peer, ?ending, "HTTP connection ended"),
        }
    }

    fn busy(&self) -> &'static [u8] {
        b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    }
}

/// The half of one session that may wait.
#[derive(Debug)]
struct PageHost {
    routes: Arc<Routes>,
    clock: Arc<dyn Clock>,
}

#[async_trait]
impl Host<Session> for PageHost {
    async fn answer(&mut self, Question(request): Question) -> Answer {
        let response = match request {
            Err(status) => Response::of(status),
            Ok(request) => {
                let until = self.clock.monotonic().after(PAGE_TIMEOUT);
                tokio::select! {
                    response = self.routes.answer(&request) => response,
                    () = self.clock.sleep_until(until) => Response::of(Status::UNAVAILABLE),
                }
            }
        };
        let now = DateTime::utc(self.clock.now()).to_string();
        Answer {
            response,
            date: now.replace("+0000", "GMT"),
        }
    }
}
