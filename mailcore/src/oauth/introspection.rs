//! Asks the authorization server about a token (RFC 7662).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use hyper::{Request, StatusCode};
use serde_json::{Map, Value};
use tokio::sync::Semaphore;

use super::{HttpsUrl, TokenError};
use crate::account::Secret;
use crate::net::HttpsClient;

/// Questions at a time; more wait.
const AT_ONCE: usize = 16;

pub(super) struct Introspection {
    url: HttpsUrl,
    /// The `Authorization` field.
    login: Secret,
    client: HttpsClient,
    places: Semaphore,
}

impl Introspection {
    pub(super) fn new(
        url: HttpsUrl,
        (client_id, secret): (&str, &Secret),
        client: HttpsClient,
    ) -> Self {
        // Both are form-encoded first (RFC 6749 section 2.3.1).
        let mut plain = encoded(client_id.as_bytes());
        plain.push(':');
        plain.push_str(&encoded(secret.expose()));
        Self {
            url,
            login: Secret::new(format!("Basic {}", STANDARD.encode(plain))),
            client,
            places: Semaphore::new(AT_ONCE),
        }
    }

    /// What the server says of the token, when it is good.
    pub(super) async fn ask(&self, token: &str) -> Result<Map<String, Value>, TokenError> {
        let odd = TokenError::Odd;
        let _place = self.places.acquire().await.map_err(|_| odd("no place"))?;
        let form = format!(
            "token={}&token_type_hint=access_token",
            encoded(token.as_bytes())
        );
        let mut login = HeaderValue::from_bytes(self.login.expose())
            .map_err(|_| odd("the client's secret fits no header"))?;
        login.set_sensitive(true);
        let request = Request::post(&self.url.path)
            .header(AUTHORIZATION, login)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(ACCEPT, "application/json")
            .body(form)
            .map_err(|_| odd("its path is none"))?;
        let (host, port) = (&self.url.host, self.url.port);
        let response = self.client.send(host, port, request).await?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                return Err(odd("it refuses this server's client id and secret"));
            }
            _ => return Err(odd("its status is not 200")),
        }
        match serde_json::from_slice(response.body()) {
            Ok(Value::Object(said)) if said.get("active") == Some(&Value::Bool(true)) => Ok(said),
            Ok(Value::Object(said)) if said.get("active") == Some(&Value::Bool(false)) => {
                Err(TokenError::Invalid("it is not active"))
            }
            _ => Err(odd("it does not say whether the token is active")),
        }
    }
}

/// `application/x-www-form-urlencoded`, for any octets.
fn encoded(octets: &[u8]) -> String {
    let mut out = String::new();
    for octet in octets {
        match octet {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'*' => {
                out.push(char::from(*octet));
            }
            _ => out.push_str(&format!("%{octet:02X}")),
        }
    }
    out
}
