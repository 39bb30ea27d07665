#![no_main]
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use libfuzzer_sys::fuzz_target;
use mailcore::net::{HttpProxy, ProxyDialer};
use mailcore::seams::{BoxStream, DialError, Dialer};
use mailcore::testing::FixedResolver;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A proxy that says this and hangs up.
#[derive(Debug)]
struct Says(Mutex<Option<Vec<u8>>>);

#[async_trait]
impl Dialer for Says {
    async fn connect(&self, _: SocketAddr) -> Result<BoxStream, DialError> {
        let (ours, mut theirs) = tokio::io::duplex(64 * 1024);
        let words = self
            .0
            .lock()
            .expect("it is whole")
            .take()
            .unwrap_or_default();
        theirs.write_all(&words).await.expect("there is room");
        // Its end stays open for what is asked of it.
        tokio::spawn(async move {
            let mut asked = vec![0; 1024];
            let _ = theirs.read(&mut asked).await;
        });
        Ok(Box::new(ours))
    }
}

fuzz_target!(|octets: &[u8]| {
    if let Ok(text) = std::str::from_utf8(octets) {
        let _ = text.parse::<HttpProxy>();
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let proxy = "http://ann:secret@192.0.2.3:3128".parse().expect("a proxy");
        let says = Arc::new(Says(Mutex::new(Some(octets.to_vec()))));
        let dialer = ProxyDialer::new(proxy, Arc::new(FixedResolver::new()), says);
        let target = "203.0.113.7:443".parse().expect("an address");
        let Ok(mut stream) = dialer.connect(target).await else {
            return;
        };
        let end = octets.windows(4).position(|it| it == b"\r\n\r\n");
        let end = end.expect("it was not asked to wait") + 4;
        assert!(octets.starts_with(b"HTTP/1."));
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.expect("it ends");
        assert_eq!(
            rest,
            &octets[end..],
            "the stream is the target's from there on"
        );
    });
});
