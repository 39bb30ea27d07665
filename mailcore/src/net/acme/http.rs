//! The authority's requests over our own client, so that its addresses come
//! from the `Resolver` and its connections from the `Dialer`.

use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use hyper::{Request, Response};
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};

use crate::address::Domain;
use crate::net::{HttpError, HttpsClient};

const PORT: u16 = 443;

/// [`HttpsClient`] as instant-acme asks for one.
pub(super) struct AuthorityClient(pub(super) HttpsClient);

type Answer = Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>>;

impl HttpClient for AuthorityClient {
    fn request(&self, request: Request<BodyWrapper<Bytes>>) -> Answer {
        let client = self.0.clone();
        Box::pin(async move {
            let answer = send(&client, request).await;
            let (parts, body) = answer
                .map_err(|error| Error::Other(Box::new(error)))?
                .into_parts();
            Ok(BytesResponse {
                parts,
                body: Box::new(Bytes::from(body)),
            })
        })
    }
}

async fn send(
    client: &HttpsClient,
    mut request: Request<BodyWrapper<Bytes>>,
) -> Result<Response<Vec<u8>>, HttpError> {
    let uri = request.uri();
    let wrong = |reason: &str| HttpError::Protocol(format!("{uri}: {reason}"));
    if uri.scheme_str() != Some("https") {
        return Err(wrong("only https is spoken with an authority"));
    }
    let host = uri.host().ok_or_else(|| wrong("there is no host"))?;
    let host = Domain::parse(host).map_err(|error| wrong(&error.to_string()))?;
    let port = uri.port_u16().unwrap_or(PORT);
    // To a server itself only the path is said (RFC 9112 section 3.2.1).
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let path = path.parse().map_err(|_| wrong("there is no path"))?;
    *request.uri_mut() = path;
    client.send(&host, port, request).await
}
