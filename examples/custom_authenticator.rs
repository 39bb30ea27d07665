//! The accounts of a web application as mail accounts: its table of users says
//! who may log in, by IMAP and to send, and whose mail is taken.

use std::collections::HashMap;
use std::error::Error;
use std::sync::Arc;

use async_trait::async_trait;
use mailcore::account::{AccountId, Identity};
use mailcore::address::{Address, Domain};
use mailcore::seams::{
    AccountRecord, AuthError, AuthRequest, Authenticator, Directory, DirectoryError, DomainKind,
    DomainRecord, Proof, Resolution,
};
use mailcore::server::{RunningServer, Server};
use mailcore_imap::server::Imap;
use mailcore_smtp::server::Smtp;
use mailcore_store::MemoryStore;

/// A row of the application's table of users.
#[derive(Debug, Clone)]
struct User {
    id: u64,
    address: Address,
    /// Yours has a hash: argon2id, and checked for unknown names as well, so
    /// that nobody learns from the time it takes which names there are.
    password: String,
}

/// The table.
#[derive(Debug)]
struct Users {
    domain: Domain,
    users: HashMap<Address, User>,
}

impl Users {
    fn by_id(&self, id: &AccountId) -> Option<&User> {
        self.users.values().find(|user| user.account() == *id)
    }
}

impl User {
    fn account(&self) -> AccountId {
        AccountId::new(&self.id.to_string())
    }
}

#[async_trait]
impl Authenticator for Users {
    async fn authenticate(&self, request: &AuthRequest) -> Result<Identity, AuthError> {
        let address = Address::parse(&request.login).map_err(|_| AuthError::Invalid)?;
        let user = self.users.get(&address.folded());
        match (user, &request.proof) {
            (Some(user), Proof::Password(given)) if given.expose() == user.password.as_bytes() => {
                Ok(Identity {
                    account: user.account(),
                    login: user.address.to_string().into(),
                })
            }
            _ => Err(AuthError::Invalid),
        }
    }
}

#[async_trait]
impl Directory for Users {
    async fn domain(&self, domain: &Domain) -> Result<Option<DomainRecord>, DirectoryError> {
        let all = self.domains().await?;
        Ok(all.into_iter().find(|record| record.domain == *domain))
    }

    async fn domains(&self) -> Result<Vec<DomainRecord>, DirectoryError> {
        let (domain, kind) = (self.domain.clone(), DomainKind::Local);
        Ok(vec![DomainRecord { domain, kind }])
    }

    async fn resolve(&self, address: &Address) -> Result<Resolution, DirectoryError> {
        // Every domain has these two (RFC 5321 section 4.5.1, RFC 2142 section 4).
        let user = match address.local_part() {
            "postmaster" | "abuse" => self.users.values().min_by_key(|user| user.id),
            _ => self.users.get(&address.folded()),
        };
        let account = user.map(|user| Resolution::Account(user.account()));
        Ok(account.unwrap_or(Resolution::Unknown))
    }

    async fn account(&self, id: &AccountId) -> Result<Option<AccountRecord>, DirectoryError> {
        let user = self.by_id(id);
        Ok(user.map(|user| AccountRecord::new(id.clone(), user.address.clone())))
    }

    async fn may_send_as(&self, id: &AccountId, from: &Address) -> Result<bool, DirectoryError> {
        Ok(self.by_id(id).is_some_and(|user| user.address == *from))
    }
}

async fn start(users: Users, ports: [u16; 2]) -> Result<RunningServer, Box<dyn Error>> {
    let [smtp, imap] = ports.map(|port| format!("127.0.0.1:{port}"));
    let builder = Server::builder("mail.app.test")
        .stores(MemoryStore::new())
        .accounts(Arc::new(users))
        .listen(smtp, Smtp::mx())
        .listen(imap, Imap::new());
    Ok(builder.start().await?)
}

fn table() -> Result<Users, Box<dyn Error>> {
    let domain = "app.test".parse()?;
    let (address, password): (Address, _) = ("Ann@app.test".parse()?, "secret".to_owned());
    let key = address.folded();
    let ann = User {
        id: 17,
        address,
        password,
    };
    let users = [(key, ann)].into();
    Ok(Users { domain, users })
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = start(table()?, [2525, 1143]).await?;
    tokio::signal::ctrl_c().await?;
    server.shutdown().await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use mailcore::seams::SystemClock;
    use mailcore_imap::client::{
        Access, Changes, ClientConfig, Connector, Credentials, PasswordUse, RemoteName, Security,
    };

    async fn inbox(server: &RunningServer, password: &str) -> Option<u32> {
        let config = ClientConfig::new()
            .security(Security::Plaintext)
            .password_use(PasswordUse::EvenInClear);
        let connector = Connector::new(config, Arc::new(SystemClock::new()));
        let stream = server.connect("imap").unwrap();
        let host = "mail.app.test".parse().unwrap();
        let mut client = connector.over(stream, &host).await.unwrap();
        let login = Credentials::password("ann@app.test", password);
        client.login(&login).await.ok()?;
        let inbox = RemoteName::inbox();
        let opened = client.select(&inbox, Access::ReadOnly, &Changes::None);
        Some(opened.await.unwrap().exists)
    }

    #[tokio::test]
    async fn a_user_of_the_application_gets_mail_and_reads_it() {
        let server = start(table().unwrap(), [0; 2]).await.unwrap();
        let mail = "From: a@b.test\r\nTo: ann@app.test, postmaster@app.test\r\n\r\nHi.\r\n";
        server.send(mail).await.unwrap().outcome().await.unwrap();
        let nobody = "From: a@b.test\r\nTo: bob@app.test\r\n\r\nHi.\r\n";
        assert!(server.send(nobody).await.is_err());
        assert_eq!(inbox(&server, "wrong").await, None);
        assert_eq!(inbox(&server, "secret").await, Some(2));
        server.shutdown().await;
    }
}
