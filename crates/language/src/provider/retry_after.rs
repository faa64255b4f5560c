//! The header `Retry-After` (RFC 9110, 10.2.3): seconds, or a date.

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;

/// A task rests for no longer than this at a provider's word: one that asks for a year is mistaken.
const LONGEST: Duration = Duration::from_secs(3_600);

/// The time to wait from now on. What is neither form is as good as nothing.
pub(super) fn parse(header: &str, now: Timestamp) -> Option<Duration> {
    let header = header.trim();
    let wait = match header.parse::<f64>() {
        // Fractions are outside the standard, and are sent all the same.
        Ok(seconds) => Duration::try_from_secs_f64(seconds).ok()?,
        Err(_) => {
            // A date in HTTP is one of RFC 2822 with GMT for a zone.
            let date = DateTimeParser::new().parse_timestamp(header).ok()?;
            Duration::try_from(date - now).unwrap_or_default()
        }
    };
    Some(wait.min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_dates_are_read_and_nothing_else() {
        let now: Timestamp = "2026-01-31T12:00:00Z".parse().unwrap();
        let table = [
            ("7", Some(Duration::from_secs(7))),
            (" 0 ", Some(Duration::ZERO)),
            ("1.5", Some(Duration::from_millis(1_500))),
            ("Sat, 31 Jan 2026 12:01:30 GMT", Some(Duration::from_secs(90))),
            ("Sat, 31 Jan 2026 11:00:00 GMT", Some(Duration::ZERO)),
            ("Sun, 31 Jan 2027 12:00:00 GMT", Some(LONGEST)),
            ("99999999999999999999999", None),
            ("86400", Some(LONGEST)),
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
