//! [`ChallengePage`]: the one page of HTTP-01, for servers that have no other.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::ChallengeStore;
use crate::net::{Connection, Service};
use crate::seams::BoxStream;
use crate::server::{IntoService, Parts, StartError};

/// What an authority asks for before the token (RFC 8555 section 8.3).
const PLACE: &str = "/.well-known/acme-challenge/";
/// Octets of a request.
const MAX_REQUEST: usize = 4 * 1024;
/// How long a request may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A service that shows the answers to HTTP-01 challenges and nothing else. The
/// authority looks for it on port 80.
#[derive(Clone)]
pub struct ChallengePage(Arc<ChallengeStore>);

impl ChallengePage {
    /// The page over these answers.
    pub fn new(challenges: Arc<ChallengeStore>) -> Self {
        Self(challenges)
    }

    fn response(&self, request: &[u8]) -> String {
        let line = request.split(|octet| *octet == b'\r').next();
        let line = std::str::from_utf8(line.unwrap_or_default()).unwrap_or_default();
        let mut words = line.split(' ');
        let page = match (words.next(), words.next(), words.next()) {
            (Some("GET"), Some(path), Some("HTTP/1.1" | "HTTP/1.0")) => path
                .strip_prefix(PLACE)
                .and_then(|token| self.0.page(token)),
            _ => None,
        };
        let (status, content) = match page {
            Some(content) => ("200 OK", content),
            None => ("404 Not Found", String::new()),
        };
        format!(
            "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\
             Connection: close\r\n\r\n{content}",
            content.len()
        )
    }

    async fn answer(&self, stream: &mut BoxStream) -> std::io::Result<()> {
        let mut request = Vec::new();
        while !request.windows(4).any(|end| end == b"\r\n\r\n") {
            let mut octets = [0; 1024];
            let count = stream.read(&mut octets).await?;
            if count == 0 || request.len() >= MAX_REQUEST {
                return Ok(());
            }
            request.extend_from_slice(octets.get(..count).unwrap_or_default());
        }
        let response = self.response(&request);
        stream.write_all(response.as_bytes()).await?;
        stream.shutdown().await
    }
}

impl fmt::Debug for ChallengePage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChallengePage")
    }
}

#[async_trait]
impl Service for ChallengePage {
    fn protocol(&self) -> &'static str {
        "acme-http"
    }

    fn alpn(&self) -> &'static str {
        "http/1.1"
    }

    async fn serve(&self, mut connection: Connection) {
        let clock = Arc::clone(&connection.clock);
        tokio::select! {
            // A peer that went away needs no answer.
            _ = self.answer(&mut connection.stream) => {}
            () = clock.sleep_until(clock.monotonic().after(TIMEOUT)) => {}
        }
    }

    fn busy(&self) -> &'static [u8] {
        b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n\r\n"
    }
}

impl IntoService for ChallengePage {
    fn into_service(self: Box<Self>, _parts: &Parts) -> Result<Arc<dyn Service>, StartError> {
        Ok(Arc::new(*self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_page_of_an_open_challenge_is_there() {
        let store = Arc::<ChallengeStore>::default();
        let page = ChallengePage::new(Arc::clone(&store));
        let answer = store.answer_http("token", "token.thumb");
        let get = |path: &str| page.response(format!("GET {path} HTTP/1.1\r\n\r\n").as_bytes());
        let shown = get("/.well-known/acme-challenge/token");
        assert!(shown.starts_with("HTTP/1.1 200 ") && shown.ends_with("\r\n\r\ntoken.thumb"));
        for path in [
            "/",
            "/.well-known/acme-challenge/",
            "/.well-known/acme-challenge/x",
        ] {
            assert!(get(path).starts_with("HTTP/1.1 404 "), "{path}");
        }
        for other in [
            &b"\xff\xff\r\n"[..],
            b"",
            b"POST / HTTP/1.1\r\n",
            b"GET\r\n",
        ] {
            assert!(page.response(other).starts_with("HTTP/1.1 404 "));
        }
        drop(answer);
        assert!(get("/.well-known/acme-challenge/token").starts_with("HTTP/1.1 404 "));
    }
}
