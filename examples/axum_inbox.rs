//! A web application with an inbox: what is mailed to it is a page a moment
//! later. One process, one runtime, no mail server beside it.

use std::error::Error;
use std::future::ready;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};

use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::routing::get;
use mailcore::intake::{HookError, ReceivedMail};
use mailcore::server::{RunningServer, Server, StartError};
use mailcore_smtp::server::Smtp;
use tokio::net::TcpListener;

/// Senders and subjects, newest last: a table of yours.
type Inbox = Arc<RwLock<Vec<(String, String)>>>;

async fn list(State(inbox): State<Inbox>) -> Json<Vec<(String, String)>> {
    Json(inbox.read().unwrap_or_else(PoisonError::into_inner).clone())
}

fn pages(inbox: &Inbox) -> Router {
    Router::new()
        .route("/inbox", get(list))
        .with_state(Arc::clone(inbox))
}

async fn mail(inbox: &Inbox, address: &str) -> Result<RunningServer, StartError> {
    let inbox = Arc::clone(inbox);
    let take = move |mail: ReceivedMail| {
        let row = (mail.reverse_path.to_string(), mail.subject());
        inbox
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .push(row);
        ready(Ok::<_, HookError>(()))
    };
    let builder = Server::builder("app.example.com").deliver_to("hello@app.example.com", take);
    builder.listen(address, Smtp::mx()).start().await
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let inbox = Inbox::default();
    let server = mail(&inbox, "127.0.0.1:2525").await?;
    let web = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 8080))).await?;
    let end = async {
        // Without signals, it runs until it is ended otherwise.
        let _ = tokio::signal::ctrl_c().await;
    };
    axum::serve(web, pages(&inbox))
        .with_graceful_shutdown(end)
        .await?;
    server.shutdown().await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    #[tokio::test]
    async fn what_is_mailed_is_on_the_page() {
        let inbox = Inbox::default();
        let server = mail(&inbox, "127.0.0.1:0").await.unwrap();
        let text = "From: ann@shop.test\r\nTo: hello@app.example.com\r\nSubject: hi\r\n\r\n";
        server.send(text).await.unwrap();
        let web = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = web.local_addr().unwrap();
        let pages = tokio::spawn(axum::serve(web, pages(&inbox)).into_future());
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = "GET /inbox HTTP/1.1\r\nHost: app\r\nConnection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut page = String::new();
        stream.read_to_string(&mut page).await.unwrap();
        assert!(page.ends_with(r#"[["ann@shop.test","hi"]]"#), "{page}");
        pages.abort();
        server.shutdown().await;
    }
}
