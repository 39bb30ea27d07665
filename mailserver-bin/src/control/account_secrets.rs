//! Commands on what accounts prove themselves with beside the password. What is
//! made up here is shown once, by the command that made it.

use clap::Subcommand;
use mailcore::account::Secret;
use mailcore::address::Address;
use mailcore::net::Network;
use mailcore::seams::{
    Administration, AppPasswordScope, Begins, CertificateName, Held, SecondFactor, SecondFactors,
    Secrets, SharedSecret,
};
use mailcore::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::admin::{Admin, parse_address, said, words};
use super::aligned;
use crate::when;

/// Protocols that an app password may be for.
const PROTOCOLS: [&str; 4] = ["smtp", "imap", "pop3", "managesieve"];

/// What can be asked of an account's secrets.
#[derive(Debug, Clone, Subcommand, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum SecretsRequest {
    /// Passwords of an account for single programs
    #[command(subcommand)]
    AppPassword(AppPasswordRequest),
    /// Certificates that stand for an account (EXTERNAL)
    #[command(subcommand)]
    Certificate(CertificateRequest),
    /// Codes by time beside the password of an account
    #[command(subcommand)]
    Totp(TotpRequest),
    /// Shows or sets the mechanisms that an account may use although they need
    /// something kept from which who has it can log in
    Mechanisms {
        /// `ann@example.com`
        address: String,
        /// These and no others: `cram-md5,apop,ntlm`, or `none`
        #[arg(long, value_name = "NAMES", value_delimiter = ',')]
        allow: Vec<String>,
    },
}

/// What can be asked of second factors.
#[derive(Debug, Clone, Subcommand, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum TotpRequest {
    /// Turns codes on and shows, this once, the secret for the device, the same
    /// as a URI, and codes for the loss of the device
    Enable {
        /// `ann@example.com`
        address: String,
    },
    /// Turns codes off: the password is enough again
    Disable {
        /// `ann@example.com`
        address: String,
    },
    /// Shows whether codes are on
    Status {
        /// `ann@example.com`
        address: String,
    },
}

/// What can be asked of app passwords.
#[derive(Debug, Clone, Subcommand, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum AppPasswordRequest {
    /// Makes one up and shows it this once
    Add {
        /// `ann@example.com`
        address: String,
        /// What it is called: `phone`
        name: String,
        /// Counts for these protocols alone: `smtp,imap`
        #[arg(long, value_name = "NAMES", value_delimiter = ',')]
        protocols: Vec<String>,
        /// Counts for clients there alone: `192.0.2.0/24,2001:db8::7`
        #[arg(long, value_name = "NETWORKS", value_delimiter = ',')]
        from: Vec<String>,
    },
    /// Lists their names, where they count and when they were last used
    List {
        /// `ann@example.com`
        address: String,
    },
    /// Ends one
    Remove {
        /// `ann@example.com`
        address: String,
        /// As it was added
        name: String,
    },
}

/// What can be asked of clients' certificates.
#[derive(Debug, Clone, Subcommand, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum CertificateRequest {
    /// Has a certificate stand for an account
    Add {
        /// `ann@example.com`
        address: String,
        /// `sha256:FINGERPRINT`, `address:ann@example.com` or `subject:CN=Ann`
        name: String,
    },
    /// Lists those that do
    List {
        /// `ann@example.com`
        address: String,
    },
    /// Ends that
    Remove {
        /// `ann@example.com`
        address: String,
        /// As it was added
        name: String,
    },
}

impl Admin {
    /// Carries one command out.
    pub(super) async fn account_secrets(
        &self,
        request: SecretsRequest,
    ) -> Result<Vec<String>, String> {
        match request {
            SecretsRequest::AppPassword(request) => self.app_password(request).await,
            SecretsRequest::Certificate(request) => self.certificate(request).await,
            SecretsRequest::Totp(request) => self.totp(request).await,
            SecretsRequest::Mechanisms { address, allow } => {
                self.mechanisms(&parse_address(&address)?, &allow).await
            }
        }
    }

    async fn mechanisms(&self, address: &Address, allow: &[String]) -> Result<Vec<String>, String> {
        if !allow.is_empty() {
            let wanted = shared_secrets(allow)?;
            let set = self.directory.allow_shared_secrets(address, &wanted).await;
            set.map_err(words)?;
        }
        let held = self
            .directory
            .shared_secrets(address)
            .await
            .map_err(words)?;
        let rows: Vec<Vec<String>> = held
            .iter()
            .map(|(kind, held)| {
                let state = match held {
                    Held::Yes => "works",
                    _ => "works once the password is set, or used for a login that shows it",
                };
                vec![kind.as_str().to_owned(), state.to_owned()]
            })
            .collect();
        Ok(aligned(&rows))
    }

    async fn app_password(&self, request: AppPasswordRequest) -> Result<Vec<String>, String> {
        match request {
            AppPasswordRequest::Add {
                address,
                name,
                protocols,
                from,
            } => {
                let id = self.account_id(&parse_address(&address)?).await?;
                let scope = scope(protocols, from)?;
                let made = self.directory.add_app_password(&id, &name, &scope).await;
                let password = made.map_err(words)?;
                let password = String::from_utf8_lossy(password.expose()).into_owned();
                Ok(vec![password])
            }
            AppPasswordRequest::List { address } => {
                let id = self.account_id(&parse_address(&address)?).await?;
                let all = self.directory.app_passwords(&id).await.map_err(words)?;
                let time = |it: Timestamp| when::shown(it);
                let rows: Vec<Vec<String>> = all
                    .iter()
                    .map(|it| {
                        let used = it.last_used.map_or_else(|| "never".to_owned(), time);
                        vec![
                            it.name.to_string(),
                            format!("made {}", time(it.created)),
                            format!("used {used}"),
                            shown_scope(&it.scope),
                        ]
                    })
                    .collect();
                Ok(aligned(&rows))
            }
            AppPasswordRequest::Remove { address, name } => {
                let id = self.account_id(&parse_address(&address)?).await?;
                let removed = self.directory.remove_app_password(&id, &name).await;
                said(removed, format!("app password {name} of {address} removed"))
            }
        }
    }

    async fn certificate(&self, request: CertificateRequest) -> Result<Vec<String>, String> {
        match request {
            CertificateRequest::Add { address, name } => {
                let id = self.account_id(&parse_address(&address)?).await?;
                let name: CertificateName = name.parse().map_err(words)?;
                let added = self.directory.add_certificate(&id, &name).await;
                said(added, format!("certificate {name} stands for {address}"))
            }
            CertificateRequest::List { address } => {
                let id = self.account_id(&parse_address(&address)?).await?;
                let names = self.directory.certificates(&id).await.map_err(words)?;
                Ok(names.iter().map(ToString::to_string).collect())
            }
            CertificateRequest::Remove { address, name } => {
                let id = self.account_id(&parse_address(&address)?).await?;
                let name: CertificateName = name.parse().map_err(words)?;
                let removed = self.directory.remove_certificate(&id, &name).await;
                said(removed, format!("certificate {name} stands for nobody"))
            }
        }
    }
}

impl Admin {
    async fn totp(&self, request: TotpRequest) -> Result<Vec<String>, String> {
        match request {
            TotpRequest::Enable { address } => {
                let id = self.account_id(&parse_address(&address)?).await?;
                let made = self.directory.enrol(&id, Begins::AtOnce).await;
                let made = made.map_err(words)?;
                let text = |it: &Secret| String::from_utf8_lossy(it.expose()).into_owned();
                let mut lines = vec![
                    format!("secret  {}", text(&made.secret)),
                    format!("uri     {}", text(&made.uri)),
                ];
                let codes = made.recovery_codes.iter();
                lines.extend(codes.map(|it| format!("backup  {}", text(it))));
                Ok(lines)
            }
            TotpRequest::Disable { address } => {
                let id = self.account_id(&parse_address(&address)?).await?;
                let ended = self.directory.end_second_factor(&id).await;
                said(ended, format!("codes of {address} are off"))
            }
            TotpRequest::Status { address } => {
                let id = self.account_id(&parse_address(&address)?).await?;
                let found = self.directory.second_factor(&id).await.map_err(words)?;
                Ok(vec![match found {
                    SecondFactor::On { recovery_codes } => {
                        format!("on; {recovery_codes} backup codes left")
                    }
                    SecondFactor::Pending => "waits for its first code".to_owned(),
                    _ => "off".to_owned(),
                }])
            }
        }
    }
}

fn shared_secrets(names: &[String]) -> Result<Vec<SharedSecret>, String> {
    if let [name] = names
        && name == "none"
    {
        return Ok(Vec::new());
    }
    let find = |name: &String| {
        let mut kinds = SharedSecret::ALL.into_iter();
        kinds.find(|it| name.trim().eq_ignore_ascii_case(it.as_str()))
    };
    names
        .iter()
        .map(|name| find(name).ok_or_else(|| format!("\"{name}\" is none of cram-md5, apop, ntlm")))
        .collect()
}

fn scope(protocols: Vec<String>, from: Vec<String>) -> Result<AppPasswordScope, String> {
    let mut scope = AppPasswordScope::default();
    for name in protocols {
        let name = name.trim().to_ascii_lowercase();
        if !PROTOCOLS.contains(&name.as_str()) {
            return Err(format!("\"{name}\" is none of {}", PROTOCOLS.join(", ")));
        }
        scope.protocols.push(name.into());
    }
    for network in from {
        let network: Result<Network, _> = network.trim().parse();
        scope.networks.push(network.map_err(words)?);
    }
    Ok(scope)
}

fn shown_scope(scope: &AppPasswordScope) -> String {
    let networks: Vec<String> = scope.networks.iter().map(ToString::to_string).collect();
    let mut shown = match scope.protocols.is_empty() {
        true => "everything".to_owned(),
        false => scope.protocols.join(","),
    };
    if !networks.is_empty() {
        shown.push_str(&format!(" from {}", networks.join(",")));
    }
    shown
}
