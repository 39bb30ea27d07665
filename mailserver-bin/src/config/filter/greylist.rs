//! `[filter.greylist]`: putting mail of unknown senders off once.

use std::time::Duration;

use mailcore_filter::greylist::{GreylistConfig, GreylistHosts};

use crate::config::file::Section;

/// Reads the table; `None` unless it says `on = true`.
pub(super) fn greylist(filter: &Section<'_, '_>) -> Option<GreylistConfig> {
    let section = filter.section("greylist", "[filter.greylist]");
    let on = section.flag("on") == Some(true);
    let mut config = GreylistConfig::default();
    let times: [(&'static str, &mut Duration); 3] = [
        ("delay", &mut config.delay),
        ("retry_within", &mut config.retry_within),
        ("expire", &mut config.expire),
    ];
    let mut last = 0;
    for (key, time) in times {
        let Some(wanted) = section.duration(key) else {
            continue;
        };
        if wanted.value.is_zero() {
            section.problem(wanted.line, format!("{key} can't be 0"));
        }
        *time = wanted.value;
        last = wanted.line;
    }
    if config.retry_within <= config.delay || config.expire < config.retry_within {
        let problem = "delay must be shorter than retry_within, or no mail comes in time, and \
                       retry_within no longer than expire";
        section.problem(last, problem);
    }
    if section.flag("ignore_ip") == Some(true) {
        config.hosts = GreylistHosts::Ignored;
    }
    let counts: [(&'static str, &mut u32); 3] = [
        ("allow_after", &mut config.allow_after),
        ("fresh_per_network", &mut config.fresh_per_network),
        ("fresh_in_all", &mut config.fresh_in_all),
    ];
    for (key, count) in counts {
        if let Some(wanted) = section.number(key) {
            *count = u32::try_from(wanted.value).unwrap_or(u32::MAX);
        }
    }
    let prefixes: [(&'static str, &mut u8, u8); 2] = [
        ("prefix_v4", &mut config.prefix_v4, 32),
        ("prefix_v6", &mut config.prefix_v6, 128),
    ];
    for (key, prefix, most) in prefixes {
        let Some(wanted) = section.number(key) else {
            continue;
        };
        match u8::try_from(wanted.value) {
            Ok(bits) if bits > 0 && bits <= most => *prefix = bits,
            _ => section.problem(wanted.line, format!("{key} is a number from 1 to {most}")),
        }
    }
    for network in section.strings("allow").unwrap_or_default() {
        match network.value.parse() {
            Ok(network) => config.allow.push(network),
            Err(error) => section.problem(network.line, format!("allow: {error}")),
        }
    }
    section.finish();
    on.then_some(config)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::resolve::resolve;

    fn read(more: &str) -> Result<Option<GreylistConfig>, String> {
        let text = format!("[server]\nhostname = \"x.test\"\n[filter.greylist]\n{more}");
        let config = resolve(Path::new("m.toml"), &text);
        config
            .map(|config| config.filter.greylist)
            .map_err(|problems| problems.to_string())
    }

    #[test]
    fn keys_are_read_and_what_can_not_be_is_told() {
        assert_eq!(read("delay = \"1m\"\n"), Ok(None));
        let config = read("on = true\ndelay = \"2s\"\nignore_ip = true\nallow_after = 0\n");
        let config = config.unwrap().unwrap();
        assert_eq!(config.delay, Duration::from_secs(2));
        assert_eq!(config.hosts, GreylistHosts::Ignored);
        assert_eq!(config.allow_after, 0);
        let wrong = "retry_within = \"1m\"\nprefix_v4 = 33\nallow = [\"x\"]\nfreh = 1\n";
        let told = read(wrong).unwrap_err();
        for word in [
            "shorter than retry_within",
            "from 1 to 32",
            "allow: write",
            "\"freh\"",
        ] {
            assert!(told.contains(word), "{told}");
        }
    }
}
