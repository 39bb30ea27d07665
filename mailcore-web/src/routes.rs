//! [`Routes`]: which [`Page`] answers which path of which host.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;

use crate::{Method, Request, Response, Status};

/// A page, or a group of them.
#[async_trait]
pub trait Page: Debug + Send + Sync {
    /// What the page does. HEAD comes with GET.
    fn methods(&self) -> &[Method] {
        &[Method::Get]
    }

    /// Answers a request for it.
    async fn answer(&self, request: &Request) -> Response;
}

/// Whose page it is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Hosts {
    /// The server's own name, and the names it was given.
    Own,
    /// This name alone.
    One(String),
    /// Whatever the client asked for, a bare address too: for what monitors and
    /// certificate authorities look at.
    Any,
}

#[derive(Debug, Clone)]
struct Route {
    hosts: Hosts,
    path: Arc<str>,
    page: Arc<dyn Page>,
}

/// A table of pages. Of those that match the longest path wins, and of the same
/// path the later one.
#[derive(Debug, Clone, Default)]
pub struct Routes {
    names: Vec<String>,
    routes: Vec<Route>,
}

impl Routes {
    /// No page for nobody.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a name that [`Hosts::Own`] means.
    #[must_use]
    pub fn name(mut self, name: &str) -> Self {
        self.names.push(name.to_ascii_lowercase());
        self
    }

    /// Adds a page. A path that ends in `/` stands for all below it.
    #[must_use]
    pub fn page(mut self, hosts: Hosts, path: &str, page: impl Page + 'static) -> Self {
        self.routes.push(Route {
            hosts,
            path: path.into(),
            page: Arc::new(page),
        });
        self
    }

    /// Adds the names and pages of `other`.
    #[must_use]
    pub fn with(mut self, other: Self) -> Self {
        self.names.extend(other.names);
        self.routes.extend(other.routes);
        self
    }

    /// The response to a request.
    pub(crate) async fn answer(&self, request: &Request) -> Response {
        let Some(route) = self.find(&request.host, &request.path) else {
            return Response::of(match self.knows(&request.host) {
                true => Status::NOT_FOUND,
                false => Status::MISDIRECTED,
            });
        };
        let methods = route.page.methods();
        let wanted = match request.method {
            Method::Head => Method::Get,
            method => method,
        };
        if !methods.contains(&wanted) {
            let names: Vec<&str> = methods.iter().map(|it| it.as_str()).collect();
            let response = Response::of(Status::METHOD_NOT_ALLOWED);
            return response.with("Allow", names.join(", "));
        }
        route.page.answer(request).await
    }

    fn find(&self, host: &str, path: &str) -> Option<&Route> {
        let matching = self.routes.iter().filter(|route| {
            let below = route.path.ends_with('/') && path.starts_with(&*route.path);
            self.is_for(route, host) && (below || *route.path == *path)
        });
        matching.max_by_key(|route| route.path.len())
    }

    fn is_for(&self, route: &Route, host: &str) -> bool {
        match &route.hosts {
            Hosts::Any => true,
            Hosts::Own => self.names.iter().any(|name| name == host),
            Hosts::One(name) => name.eq_ignore_ascii_case(host),
        }
    }

    /// True when the host is one of those served.
    fn knows(&self, host: &str) -> bool {
        let one = |route: &Route| matches!(&route.hosts, Hosts::One(name) if name.eq_ignore_ascii_case(host));
        self.names.iter().any(|name| name == host) || self.routes.iter().any(one)
    }
}
