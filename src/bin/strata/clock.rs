//! The time in front of a line.
//!
//! Invariant: every time prints, also one no calendar has; local time is the host's, as `TZ` or
//! `/etc/localtime` say.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::frame::Stamp;
use crate::text::put;

/// Which time is printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Form {
    /// `07:04:49.210514`
    #[default]
    Day,
    /// `-t`: nothing.
    None,
    /// `-tt`: seconds since 1970.
    Unix,
    /// `-ttt`: since the line before.
    SinceLast,
    /// `-tttt`: with the date.
    Date,
    /// `-ttttt`: since the first line.
    SinceFirst,
}

impl Form {
    /// From the number of letters `t`.
    pub const fn from_count(count: u8) -> Self {
        match count {
            0 => Self::Day,
            1 => Self::None,
            2 => Self::Unix,
            3 => Self::SinceLast,
            4 => Self::Date,
            _ => Self::SinceFirst,
        }
    }
}

/// Prints times.
pub struct Clock {
    form: Form,
    zone: TimeZone,
    before: Option<Stamp>,
}

impl Clock {
    /// Prints times of this form in the host's time zone.
    pub fn new(form: Form) -> Self {
        Self {
            form,
            zone: TimeZone::system(),
            before: None,
        }
    }

    /// Appends the time and a space.
    pub fn put(&mut self, time: Stamp, out: &mut String) {
        let (seconds, micros) = (time.0 / 1_000_000_000, time.0 / 1_000 % 1_000_000);
        match self.form {
            Form::None => {}
            Form::Unix => put!(out, "{seconds}.{micros:06} "),
            Form::Day | Form::Date => match Timestamp::from_nanosecond(time.0.into()) {
                Ok(time) => {
                    let time = self.zone.to_datetime(time);
                    if self.form == Form::Date {
                        put!(out, "{} ", time.date());
                    }
                    put!(
                        out,
                        "{:02}:{:02}:{:02}.{micros:06} ",
                        time.hour(),
                        time.minute(),
                        time.second()
                    );
                }
                Err(_) => put!(out, "{seconds}.{micros:06} "),
            },
            Form::SinceLast | Form::SinceFirst => {
                let before = *self.before.get_or_insert(time);
                let (sign, span) = match before <= time {
                    true => (" ", time.since(before)),
                    false => ("-", before.since(time)),
                };
                let (s, micros) = (span / 1_000_000_000, span / 1_000 % 1_000_000);
                let (h, m, s) = (s / 3600, s / 60 % 60, s % 60);
                put!(out, "{sign}{h:02}:{m:02}:{s:02}.{micros:06} ");
                if self.form == Form::SinceLast {
                    self.before = Some(time);
                }
            }
        }
    }
}

/// `2026-06-21T07:04:49.210514+00:00`, as ISO 8601 and EVE have it, in universal time.
pub fn iso(time: Stamp) -> String {
    match Timestamp::from_nanosecond(time.0.into()) {
        Ok(time) => format!("{}+00:00", time.strftime("%Y-%m-%dT%H:%M:%S.%6f")),
        Err(_) => format!("{}.{:09}", time.0 / 1_000_000_000, time.0 % 1_000_000_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(form: Form) -> String {
        let mut clock = Clock {
            zone: TimeZone::UTC,
            ..Clock::new(form)
        };
        let mut out = String::new();
        for nanos in [
            1_782_025_489_210_514_999,
            1_782_025_490_000_000_000,
            1_782_025_489_999_999_000,
        ] {
            clock.put(Stamp(nanos), &mut out);
        }
        out
    }

    #[test]
    fn six_forms() {
        assert_eq!(
            lines(Form::Day),
            "07:04:49.210514 07:04:50.000000 07:04:49.999999 "
        );
        assert_eq!(lines(Form::None), "");
        assert!(lines(Form::Unix).starts_with("1782025489.210514 "));
        assert!(lines(Form::Date).starts_with("2026-06-21 07:04:49.210514 "));
        assert_eq!(
            lines(Form::SinceLast),
            " 00:00:00.000000  00:00:00.789485 -00:00:00.000001 "
        );
        assert_eq!(
            lines(Form::SinceFirst),
            " 00:00:00.000000  00:00:00.789485  00:00:00.789484 "
        );
    }

    #[test]
    fn beyond_every_calendar() {
        let mut out = String::new();
        Clock::new(Form::Date).put(Stamp(u64::MAX), &mut out);
        assert!(out.contains(".709551"), "{out}");
    }
}
