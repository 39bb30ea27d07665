//! `mailserver tls-report`: how TLS to a domain's hosts went on one day.

use mailcore::address::Domain;
use mailcore::seams::{Clock, SystemClock};
use mailcore_smtp::client::TlsReport;

use crate::when;

/// The report as RFC 8460 section 4.4 has it, on one line.
pub(super) async fn show(
    counts: &TlsReport,
    from: &Domain,
    about: &Domain,
    day: Option<&str>,
) -> Result<Vec<String>, String> {
    let now = SystemClock::new().now();
    let at = match day {
        None => now,
        Some(day) => when::parse(day, now)
            .ok_or_else(|| format!("\"{day}\" is no day; write 2026-11-22 (UTC) or 1d for ago"))?,
    };
    let report = counts.day(at, about).await;
    let report = report.map_err(|error| error.to_string())?;
    let id = format!("{}.{about}@{from}", report.day);
    let contact = format!("postmaster@{from}");
    Ok(vec![report.to_json(from.as_str(), &contact, &id)])
}
