//! Policies fetched by [`HttpsClient`].

use async_trait::async_trait;
use mailcore::address::Domain;
use mailcore::net::{HttpError, HttpsClient};

use super::{FetchError, PolicyFetcher};

#[async_trait]
impl PolicyFetcher for HttpsClient {
    async fn fetch(&self, domain: &Domain) -> Result<Vec<u8>, FetchError> {
        let host = Domain::parse(&format!("mta-sts.{domain}"))
            .map_err(|error| FetchError::Failed(error.to_string()))?;
        let fetched = self.get(&host, "/.well-known/mta-sts.txt", "text/plain");
        fetched.await.map_err(|error| match error {
            HttpError::Certificate(why) => FetchError::Certificate(why),
            other => FetchError::Failed(other.to_string()),
        })
    }
}
