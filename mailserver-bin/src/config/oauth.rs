//! `[auth.oauth]`: whose access tokens log in.

use std::path::Path;

use mailcore::address::Domain;
use mailcore::oauth::{HttpsUrl, OAuthSettings, TokenCheck};

use super::file::{At, Section};
use super::resolve::secret_of;

/// Reads the table within `[auth]`. `None` where it is not there, or wrong.
pub(super) fn oauth(auth: &Section<'_, '_>, folder: &Path) -> Option<OAuthSettings> {
    let section = auth.section("oauth", "[auth.oauth]");
    let settings = section.is_present().then(|| read(&section, folder));
    section.finish();
    settings.flatten()
}

fn read(section: &Section<'_, '_>, folder: &Path) -> Option<OAuthSettings> {
    let check = check(section, folder);
    let words = |key| {
        let words = section.strings_or_string(key).unwrap_or_default();
        words.iter().map(|it| it.value.to_owned()).collect()
    };
    let issuer = section.string("issuer").map(|it| it.value.to_owned());
    let (audience, scopes): (Vec<String>, Vec<String>) = (words("audience"), words("scopes"));
    let claim = section.string("claim").map(|it| it.value.to_owned());
    let domain = section.string("default_domain").and_then(|it| {
        let domain = Domain::parse(it.value);
        domain
            .map_err(|error| section.problem(it.line, format!("default_domain: {error}")))
            .ok()
    });
    let mut settings = OAuthSettings::new(check?);
    let signed = matches!(settings.check, TokenCheck::Jwks(_));
    if signed && (issuer.is_none() || audience.is_empty()) {
        section.problem(
            section.line(),
            "jwks needs issuer and audience: a token made for another service must not log in",
        );
        return None;
    }
    settings.issuer = issuer;
    settings.audience = audience;
    settings.scopes = scopes;
    settings.claim = claim.unwrap_or(settings.claim);
    settings.default_domain = domain;
    Some(settings)
}

fn check(section: &Section<'_, '_>, folder: &Path) -> Option<TokenCheck> {
    let url = |at: At<&str>| {
        let url: Result<HttpsUrl, _> = at.value.parse();
        url.map_err(|error| section.problem(at.line, error.to_string()))
            .ok()
    };
    let (jwks, introspection) = (section.string("jwks"), section.string("introspection"));
    let client_id = section.string("client_id");
    let secret = secret_of(section, folder, ("client_secret", "client_secret_file"));
    match (jwks, introspection) {
        (Some(at), None) => {
            if let Some(id) = client_id {
                section.problem(id.line, "client_id is for introspection; keys are public");
            }
            url(at).map(TokenCheck::Jwks)
        }
        (None, Some(at)) => {
            let (url, client_id, secret) = (url(at), client_id, secret);
            if client_id.is_none() || secret.is_none() {
                section.problem(
                    at.line,
                    "introspection needs client_id, and client_secret or client_secret_file",
                );
            }
            Some(TokenCheck::Introspection {
                url: url?,
                client_id: client_id?.value.to_owned(),
                client_secret: secret?,
            })
        }
        _ => {
            section.problem(
                section.line(),
                "give one of jwks (tokens are checked by signature) and introspection (their \
                 issuer is asked)",
            );
            None
        }
    }
}
