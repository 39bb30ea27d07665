//! `mailserver check-config`: what a start would find wrong, without one.

use super::CliError;
use crate::config::Config;
use crate::{out, tls};

/// Reports that a configuration is sound. What is wrong inside the file was
/// reported when it was read.
pub(super) fn config(config: &Config) -> Result<(), CliError> {
    if let Some(files) = &config.tls {
        tls::read(files).map_err(|error| CliError::Usage(error.to_string()))?;
    }
    let source = match &config.file {
        Some(path) => format!("{} is sound", path.display()),
        None => "there is no configuration file; the defaults hold".to_owned(),
    };
    let mut lines = vec![source];
    lines.push(format!("hostname  {}", config.hostname));
    lines.push(format!("data      {}", config.data.display()));
    for listener in &config.listeners {
        lines.push(format!(
            "listener  {} {} tls={}",
            listener.protocol.as_str(),
            listener.address,
            listener.tls.as_str()
        ));
    }
    out::lines(&lines);
    Ok(())
}
