//! [`registered_domain`]: the part of a name that somebody registered.

use mailcore::address::Domain;

/// The domain that was registered for `host`, by the public suffix list:
/// `example.co.uk` for `www.example.co.uk`. `None` for a suffix, for an address
/// literal, and for what has no form in DNS.
///
/// Suffixes of private registries (`github.io`) count: what is below one is of
/// different people.
pub fn registered_domain(host: &Domain) -> Option<Domain> {
    if host.as_ip().is_some() {
        return None;
    }
    let ascii = host.to_ascii().ok()?;
    let registered = psl::domain_str(ascii.as_str())?;
    Domain::parse(registered).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn registered(host: &str) -> Option<String> {
        let found = registered_domain(&Domain::parse(host).unwrap())?;
        Some(found.to_string())
    }

    #[test]
    fn a_host_belongs_to_the_domain_below_its_public_suffix() {
        for (host, want) in [
            ("www.example.com", Some("example.com")),
            ("Example.COM.", Some("example.com")),
            ("a.b.example.co.uk", Some("example.co.uk")),
            ("shop.someone.github.io", Some("someone.github.io")),
            ("www.bücher.de", Some("xn--bcher-kva.de")),
            // A suffix that the list does not know is one label.
            ("www.example.unknown-tld", Some("example.unknown-tld")),
            ("co.uk", None),
            ("com", None),
            ("[192.0.2.1]", None),
        ] {
            assert_eq!(registered(host).as_deref(), want, "{host}");
        }
    }

    proptest! {
        #[test]
        fn what_was_registered_ends_the_name_and_is_its_own(host in "[a-z]{1,6}(\\.[a-z]{1,3}){0,5}") {
            let host = Domain::parse(&host).unwrap();
            if let Some(found) = registered_domain(&host) {
                prop_assert!(host.as_str().ends_with(found.as_str()));
                prop_assert_eq!(registered_domain(&found), Some(found.clone()));
            }
        }
    }
}
