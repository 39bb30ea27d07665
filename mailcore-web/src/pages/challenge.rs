//! [`Challenges`]: the pages that a certificate authority looks for (RFC 8555
//! section 8.3).

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use crate::{Page, Request, Response, Status};

type LookUp = dyn Fn(&str) -> Option<String> + Send + Sync;

/// What is below `/.well-known/acme-challenge/`: for each token the key
/// authorization that `look_up` knows.
#[derive(Clone)]
pub struct Challenges(Arc<LookUp>);

impl Challenges {
    /// Where the pages belong, on whatever host is asked for.
    pub const PATH: &'static str = "/.well-known/acme-challenge/";

    /// Pages of what `look_up` knows.
    pub fn new(look_up: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(look_up))
    }
}

impl fmt::Debug for Challenges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Challenges")
    }
}

#[async_trait]
impl Page for Challenges {
    async fn answer(&self, request: &Request) -> Response {
        let token = request.path.strip_prefix(Self::PATH);
        match token.and_then(|token| (self.0)(token)) {
            Some(answer) => Response::new(Status::OK, "application/octet-stream", answer),
            None => Response::of(Status::NOT_FOUND),
        }
    }
}
