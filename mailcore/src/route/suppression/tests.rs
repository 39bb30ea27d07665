use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;

use super::*;
use crate::route::SuppressionRouter;
use crate::seams::{NextHop, Route, RouteError, RouteQuery, Router};

#[derive(Debug, Default)]
struct Memory(Mutex<BTreeMap<StateKey, StateValue>>);

#[async_trait]
impl State for Memory {
    async fn read(&self, key: &StateKey) -> Result<Option<StateValue>, StoreError> {
        Ok(self.0.lock().unwrap().get(key).cloned())
    }

    async fn change(
        &self,
        changes: Vec<StateChange>,
    ) -> Result<Vec<Option<StateValue>>, StoreError> {
        let mut held = self.0.lock().unwrap();
        for change in changes {
            match change {
                StateChange::Put {
                    key,
                    value,
                    expires,
                } => {
                    let value = StateValue {
                        value,
                        version: 1,
                        expires,
                    };
                    held.insert(key, value);
                }
                StateChange::Remove { key } => {
                    held.remove(&key);
                }
                StateChange::Add { .. } => unreachable!("nothing is counted"),
            }
        }
        Ok(Vec::new())
    }

    async fn scan(
        &self,
        namespace: &str,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(StateKey, StateValue)>, StoreError> {
        let held = self.0.lock().unwrap();
        let found = held.iter().filter(|(key, _)| {
            let follows = after.is_none_or(|after| &*key.key > after);
            &*key.namespace == namespace && key.key.starts_with(prefix) && follows
        });
        let found = found.map(|(key, value)| (key.clone(), value.clone()));
        Ok(found.take(limit).collect())
    }
}

/// Mail for `here.test` is filed, for `inner.test` handed on, for others relayed.
#[derive(Debug)]
struct Places;

#[async_trait]
impl Router for Places {
    async fn route(&self, query: &RouteQuery<'_>) -> Result<Route, RouteError> {
        let domain = query.address.domain().clone();
        let agent = "smtp".into();
        Ok(match domain.as_str() {
            "here.test" => Route::Unknown,
            "inner.test" => Route::Agent {
                agent,
                next_hop: NextHop::Mx(domain),
            },
            "watched.test" => Route::Copied {
                route: Box::new(Route::Remote {
                    agent,
                    next_hop: NextHop::Mx(domain),
                }),
                to: Vec::new(),
            },
            _ => Route::Remote {
                agent,
                next_hop: NextHop::Mx(domain),
            },
        })
    }
}

fn entry(who: &str) -> Suppression {
    Suppression::new(who.parse().unwrap(), Timestamp::from_secs(7))
}

async fn list(entries: &[Suppression]) -> (Arc<Memory>, SuppressionList) {
    let state = Arc::new(Memory::default());
    let list = SuppressionList::new(Arc::clone(&state) as _);
    list.add(entries).await.unwrap();
    (state, list)
}

async fn is_on(list: &SuppressionList, address: &str) -> bool {
    let address = address.parse().unwrap();
    list.find(&address).await.unwrap().is_some()
}

#[tokio::test]
async fn an_address_is_found_in_any_case_and_a_domain_without_those_below_it() {
    let (_, list) = list(&[
        entry("Bob@One.test"),
        entry("@two.test"),
        entry("@bücher.test"),
        entry("\"a b@c\"@one.test"),
    ])
    .await;
    for on in [
        "bob@one.test",
        "BOB@ONE.TEST",
        "x@two.test",
        "x@xn--bcher-kva.test",
        "x@Bücher.test",
        "\"A b@c\"@one.test",
    ] {
        assert!(is_on(&list, on).await, "{on}");
    }
    for off in ["bob+x@one.test", "ann@one.test", "x@below.two.test"] {
        assert!(!is_on(&list, off).await, "{off}");
    }
    assert!(list.remove(&"BOB@one.test".parse().unwrap()).await.unwrap());
    assert!(!list.remove(&"bob@one.test".parse().unwrap()).await.unwrap());
    assert!(!is_on(&list, "bob@one.test").await);
}

#[tokio::test]
async fn entries_are_read_back_a_page_at_a_time() {
    let many: Vec<Suppression> = (0..1_203)
        .map(|i| entry(&format!("user{i:04}@one.test")))
        .collect();
    let (_, list) = list(&many).await;
    let mut found = Vec::new();
    loop {
        let after = found.last().map(|entry: &Suppression| entry.who.clone());
        let page = list.list(after.as_ref(), 500).await.unwrap();
        if page.is_empty() {
            break;
        }
        found.extend(page);
    }
    assert_eq!(found, many);

    let full = entry("@two.test")
        .because(" they\r\nasked us to \u{7}stop ")
        .until(Timestamp::from_secs(9));
    list.add(std::slice::from_ref(&full)).await.unwrap();
    let found = list.find(&"x@two.test".parse().unwrap()).await.unwrap();
    let found = found.unwrap();
    assert_eq!(found, full);
    assert_eq!(
        found.status().text,
        "@two.test is on the suppression list of this server: they  asked us to  stop"
    );
}

#[tokio::test]
async fn only_mail_that_leaves_is_kept_back() {
    let all = ["@here.test", "@inner.test", "@watched.test", "@far.test"];
    let (_, list) = list(&all.map(entry)).await;
    let router = SuppressionRouter::new(Arc::new(Places), list);
    let route = async |address: &str| {
        let address = address.parse().unwrap();
        router.route(&RouteQuery::new(&address)).await.unwrap()
    };
    assert_eq!(route("x@here.test").await, Route::Unknown);
    assert!(matches!(route("x@inner.test").await, Route::Refused { .. }));
    assert!(matches!(
        route("x@watched.test").await,
        Route::Withheld { .. }
    ));
    assert!(matches!(route("x@far.test").await, Route::Withheld { .. }));
    assert!(matches!(route("x@other.test").await, Route::Remote { .. }));
}

#[tokio::test]
async fn mail_waits_while_the_list_can_not_be_read() {
    let (state, list) = list(&[entry("@far.test")]).await;
    for value in state.0.lock().unwrap().values_mut() {
        value.value.truncate(1);
    }
    let router = SuppressionRouter::new(Arc::new(Places), list.clone());
    let address = "x@far.test".parse().unwrap();
    let error = router.route(&RouteQuery::new(&address)).await.unwrap_err();
    assert!(error.0.contains("remove it"), "{error}");
    // The entry can be taken off without being read.
    assert!(list.remove(&"@far.test".parse().unwrap()).await.unwrap());
}
