//! What a careless host application is told when its server can't start: which
//! method of the builder to call. Nothing is left behind.

use std::sync::Arc;
use std::time::Duration;

use mailcore::abuse::{AbuseConfig, Consequence, Counted, Keyed, Rate, Rule};
use mailcore::schedule::Job;
use mailcore::seams::Authenticator;
use mailcore::server::{Builder, Server, StartError};
use mailcore_imap::server::Imap;
use mailcore_pop3::Pop3;
use mailcore_smtp::client::{Outgoing, RemoteAgent, RemoteSeams};
use mailcore_smtp::server::Smtp;
use mailcore_store::MemoryStore;
use mailcore_store::directory::MemoryDirectory;
use mailcore_tests::World;
use tokio::net::TcpListener;

fn server() -> Builder {
    Server::builder("mx.a.test")
}

async fn accounts() -> Arc<MemoryDirectory> {
    let accounts = [("ann@a.test", "secret")];
    MemoryDirectory::for_tests(&accounts).await.unwrap()
}

/// What such a builder is told.
async fn told(builder: Builder) -> String {
    match builder.start().await {
        Ok(server) => panic!("it started: {server:?}"),
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn a_service_without_what_it_works_on_names_the_method_that_gives_it() {
    let who = accounts().await;
    let store = MemoryStore::new;
    let authenticator = || -> Arc<dyn Authenticator> { Arc::clone(&who) as _ };
    for (builder, method) in [
        (
            server().accounts(Arc::clone(&who)).serve(Imap::new()),
            "stores",
        ),
        (
            server().accounts(Arc::clone(&who)).serve(Pop3::new()),
            "stores",
        ),
        (server().stores(store()).serve(Imap::new()), "authenticator"),
        (server().stores(store()).serve(Pop3::new()), "authenticator"),
        (
            server().stores(store()).serve(Smtp::submission()),
            "authenticator",
        ),
        (
            server()
                .authenticator(authenticator())
                .serve(Smtp::submission()),
            "deliver_to",
        ),
        (server().stores(store()).serve(Smtp::mx()), "directory"),
        (server().serve(Smtp::mx()), "deliver_to"),
        (server().serve(Smtp::lmtp()), "router"),
        (server().directory(who.clone()).serve(Smtp::mx()), "stores"),
    ] {
        let told = told(builder).await;
        assert!(
            told.contains(&format!("Builder::{method}")),
            "{method}: {told}"
        );
    }
}

#[tokio::test]
async fn a_setting_that_needs_a_store_or_a_directory_says_so() {
    let world = World::new();
    let seams = RemoteSeams::system(Arc::clone(&world.resolver) as _);
    let agent = RemoteAgent::builder("mx.a.test".parse().unwrap(), seams).build();
    let mut abuse = AbuseConfig::default();
    let rate = Rate::new(10, Duration::from_secs(60));
    let keyed = (Counted::Messages, Keyed::Account);
    abuse.rules = vec![Rule::new(keyed, rate, Consequence::CloseAccount).unwrap()];
    for (builder, method) in [
        (
            server().keep_delivered(Some(Duration::from_secs(1))),
            "stores",
        ),
        (server().recipient_check(agent), "stores"),
        (server().abuse(abuse), "account_closer"),
    ] {
        let told = told(builder).await;
        assert!(
            told.contains(&format!("Builder::{method}")),
            "{method}: {told}"
        );
    }
}

#[tokio::test]
async fn what_is_given_twice_or_in_the_wrong_order_is_named() {
    let world = World::new();
    let agent = || {
        let seams = RemoteSeams::system(Arc::clone(&world.resolver) as _);
        RemoteAgent::builder("mx.a.test".parse().unwrap(), seams).build()
    };
    let job = || {
        Job::new("report", "0 8 * * *".parse().unwrap(), |_| async {
            Ok("".to_owned())
        })
    };
    let take = |builder: Builder, address: &str| builder.deliver_to(address, |_| async { Ok(()) });
    let twice = "127.0.0.1:2525";
    for (builder, words) in [
        (
            server().agent("smtp", agent()).agent("smtp", agent()),
            "\"smtp\"",
        ),
        (
            server()
                .agent("smtp", agent())
                .outgoing(Outgoing::new())
                .resolver(world.resolver.clone()),
            "\"smtp\"",
        ),
        (
            take(take(server(), "a@a.test"), "A@a.test"),
            "Builder::deliver_to twice",
        ),
        (take(server(), "nobody"), "\"nobody\" is not an address"),
        (Server::builder("not a name"), "\"not a name\""),
        (
            take(server(), "a@a.test")
                .listen(twice, Smtp::mx())
                .listen(twice, Smtp::mx()),
            "Builder::listen",
        ),
        (server().job(job()).job(job()), "report"),
        (server().behind([]), "Builder::behind"),
        (server().admitting(Default::default()), "Builder::admitting"),
    ] {
        let told = told(builder).await;
        assert!(told.contains(words), "{words}: {told}");
    }
}

#[tokio::test]
async fn a_start_that_failed_leaves_no_port_bound() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = free.local_addr().unwrap().to_string();
    drop(free);
    let good = || server().accounts(who_needs_no_hash());
    let failed = good()
        .stores(MemoryStore::new())
        .listen(address.as_str(), Smtp::mx())
        .listen("256.0.0.1:25", Imap::new())
        .start()
        .await;
    assert!(matches!(failed, Err(StartError::Bind { .. })), "{failed:?}");
    let second = good().stores(MemoryStore::new());
    let second = second.listen(address.as_str(), Smtp::mx()).start().await;
    second.expect("the port is free").shutdown().await;
}

#[tokio::test]
async fn an_address_without_a_port_is_told_what_it_lacks() {
    let builder = server().deliver_to("ann@a.test", |_| async { Ok(()) });
    let error = told(builder.listen("127.0.0.1", Smtp::mx())).await;
    assert!(error.ends_with("; write it as address:port"), "{error}");
}

fn who_needs_no_hash() -> Arc<MemoryDirectory> {
    let hashing = mailcore_store::directory::PasswordHashing::fast_for_tests();
    Arc::new(MemoryDirectory::new(hashing).unwrap())
}

#[test]
fn without_a_runtime_there_is_an_error_and_no_panic() {
    let mut start = std::pin::pin!(server().start());
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let polled = start.as_mut().poll(&mut context);
    let std::task::Poll::Ready(Err(error)) = polled else {
        panic!("{polled:?}")
    };
    assert!(error.to_string().contains("tokio runtime"), "{error}");
}
