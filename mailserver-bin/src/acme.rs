//! Certificates by ACME, put together from the configuration, and the command
//! that puts records into DNS.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use mailcore::net::{
    Acme, AcmeConfig, AcmeFolder, AcmeSeams, Challenge, ChallengeStore, DnsPublisher, HttpsClient,
};
use mailcore::seams::{Clock, OsEntropy, Resolver, SystemClock};
use mailcore_smtp::client::verified_config;
use rustls::RootCertStore;
use tokio::process::Command;

use crate::config::{AcmeChallenge, AcmeSettings, Config};
use crate::data::DataDir;
use crate::outgoing_tls::web_dialer;
use crate::tls::{TlsError, authorities, provider};

/// How long the command may take for one record.
const HOOK_TIME: Duration = Duration::from_secs(120);
/// Characters of what it says that are told.
const MAX_SAID: usize = 300;

/// What gets and renews certificates; `None` without `[acme]`.
pub(crate) fn acme(
    config: &Config,
    data: &DataDir,
    resolver: &Arc<dyn Resolver>,
    challenges: &Arc<ChallengeStore>,
) -> Result<Option<Acme>, TlsError> {
    let Some(settings) = &config.acme else {
        return Ok(None);
    };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let dialer = web_dialer(config, resolver);
    let tls = verified_config(provider(), roots(settings)?)?;
    let http = HttpsClient::new(Arc::clone(resolver), dialer, Arc::clone(&clock), tls);
    let seams = AcmeSeams {
        http: http.own_network(settings.own_network),
        store: Arc::new(AcmeFolder::new(data.acme())),
        challenges: Arc::clone(challenges),
        provider: provider(),
        clock,
        entropy: Arc::new(OsEntropy),
    };
    let mut wanted = AcmeConfig::new(&settings.directory);
    wanted.contacts = settings.contacts.clone();
    wanted.certificates = settings.certificates.clone();
    wanted.external_account = settings.external_account.clone();
    wanted.dns_delay = settings.dns_delay;
    wanted.keys = settings.keys;
    wanted.challenge = match &settings.challenge {
        AcmeChallenge::TlsAlpn01 => Challenge::TlsAlpn01,
        AcmeChallenge::Http01 => Challenge::Http01,
        AcmeChallenge::Dns01(command) => Challenge::Dns01(Arc::new(Hook(command.clone()))),
    };
    Ok(Some(Acme::new(wanted, seams)))
}

/// The authorities that an ACME server's own certificate may be from.
fn roots(settings: &AcmeSettings) -> Result<RootCertStore, TlsError> {
    match &settings.roots {
        Some(path) => authorities(path),
        None => Ok(webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect()),
    }
}

/// A program that is called with `present` or `cleanup`, the record's name and
/// its value; no shell is between.
#[derive(Debug)]
struct Hook(Vec<String>);

impl Hook {
    async fn call(&self, verb: &str, name: &str, value: &str) -> Result<(), String> {
        let Some((program, arguments)) = self.0.split_first() else {
            return Err("acme.dns_hook names no program".to_owned());
        };
        let run = Command::new(program)
            .args(arguments)
            .args([verb, name, value])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .output();
        let done = match tokio::time::timeout(HOOK_TIME, run).await {
            Ok(done) => done.map_err(|error| format!("{program}: {error}"))?,
            Err(_) => return Err(format!("{program} did not end within {HOOK_TIME:?}")),
        };
        if done.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&done.stderr);
        let said: String = said.trim().chars().take(MAX_SAID).collect();
        Err(format!("{program} ended with {}: {said}", done.status))
    }
}

#[async_trait]
impl DnsPublisher for Hook {
    async fn present(&self, name: &str, value: &str) -> Result<(), String> {
        self.call("present", name, value).await
    }

    async fn remove(&self, name: &str, value: &str) -> Result<(), String> {
        self.call("cleanup", name, value).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_command_gets_its_words_as_they_are_and_its_failure_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let said = folder.path().join("said");
        let script = format!("printf '%s|' \"$@\" >> {}", said.display());
        let hook = |script: &str| Hook(["sh", "-c", script, "hook"].map(str::to_owned).to_vec());
        let good = hook(&script);
        good.present("_acme-challenge.a.test", "a b;$(c)")
            .await
            .unwrap();
        good.remove("_acme-challenge.a.test", "x").await.unwrap();
        assert_eq!(
            std::fs::read_to_string(said).unwrap(),
            "present|_acme-challenge.a.test|a b;$(c)|cleanup|_acme-challenge.a.test|x|"
        );
        let told = hook("echo no such zone >&2; exit 3")
            .present("n", "v")
            .await;
        let told = told.unwrap_err();
        assert!(
            told.contains("no such zone") && told.contains('3'),
            "{told}"
        );
        let absent = Hook(vec!["/nonexistent/hook".to_owned()]);
        assert!(absent.present("n", "v").await.is_err());
    }
}
