//! The header `Retry-After` (RFC 9110, 10.2.3): seconds, or a date.

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;

/// The longest wait that a provider may request. One that requests a year is mistaken.
const MAX_WAIT: Duration = Duration::from_secs(3_600);

/// The time to wait from `now` on. `None` if the header has neither form.
pub(super) fn parse(header: &str, now: Timestamp) -> Option<Duration> {
    let header = header.trim();
    let wait = match header.parse::<f64>() {
        // The standard has no fractions, but some servers send them.
        Ok(seconds) => Duration::try_from_secs_f64(seconds).ok()?,
        Err(_) => {
            // An HTTP date is an RFC 2822 date in the zone GMT.
            let date = DateTimeParser::new().parse_timestamp(header).ok()?;
            Duration::try_from(date - now).unwrap_or_default()
        }
    };
    Some(wait.min(MAX_WAIT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_seconds_and_dates_are_parsed() {
        let now: Timestamp = "2026-01-31T12:00:00Z".parse().unwrap();
        let table = [
            ("7", Some(Duration::from_secs(7))),
            (" 0 ", Some(Duration::ZERO)),
            ("1.5", Some(Duration::from_millis(1_500))),
            ("Sat, 31 Jan 2026 12:01:30 GMT", Some(Duration::from_secs(90))),
            ("Sat, 31 Jan 2026 11:00:00 GMT", Some(Duration::ZERO)),
            ("Sun, 31 Jan 2027 12:00:00 GMT", Some(MAX_WAIT)),
            ("99999999999999999999999", None),
            ("86400", Some(MAX_WAIT)),
            ("-1", None),
            ("nan", None),
            ("soon", None),
            ("", None),
        ];
        for (header, wait) in table {
            assert_eq!(parse(header, now), wait, "{header}");
        }
    }
}
