//! Times as the interface counts them: milliseconds since the epoch, UTC days, UTC months.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

const DAY_MILLIS: i64 = 86_400_000;

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Millis(pub i64);

impl Millis {
    /// The UTC day that contains this moment.
    pub const fn day(self) -> Day {
        Day(self.0.div_euclid(DAY_MILLIS) as i32)
    }

    /// This moment, so much later; the last one there is where that is too late.
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }

    /// This moment, `days` × 24 h later.
    pub const fn plus_days(self, days: i64) -> Self {
        Self(self.0 + days * DAY_MILLIS)
    }
}

/// A UTC day, counted from 1970-01-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Day(pub i32);

impl Day {
    /// Midnight at which the day begins.
    pub const fn start(self) -> Millis {
        Millis(self.0 as i64 * DAY_MILLIS)
    }

    /// The day after.
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// The month the day lies in.
    pub fn month(self) -> Month {
        let (year, month, _) = self.civil();
        Month { year, month }
    }

    /// Year, month (1–12) and day of month (1–31); H. Hinnant's `civil_from_days`.
    pub fn civil(self) -> (i32, u8, u8) {
        let shifted = i64::from(self.0) + 719_468;
        let era = shifted.div_euclid(146_097);
        let of_era = shifted.rem_euclid(146_097);
        let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let march_month = (5 * of_year + 2) / 153;
        let day = (of_year - (153 * march_month + 2) / 5 + 1) as u8;
        let month = if march_month < 10 { march_month + 3 } else { march_month - 9 } as u8;
        let year = (year_of_era + era * 400) as i32 + i32::from(month <= 2);
        (year, month, day)
    }

    fn from_civil(year: i32, month: u8, day: u8) -> Self {
        let year = i64::from(year) - i64::from(month <= 2);
        let era = year.div_euclid(400);
        let year_of_era = year.rem_euclid(400);
        let march_month = (i64::from(month) + 9) % 12;
        let of_year = (153 * march_month + 2) / 5 + i64::from(day) - 1;
        let of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year;
        Self((era * 146_097 + of_era - 719_468) as i32)
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.civil();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

/// A UTC calendar month, written `2026-11`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Month {
    /// Calendar year.
    pub year: i32,
    /// 1–12.
    pub month: u8,
}

impl Month {
    /// The month's first day.
    pub fn first(self) -> Day {
        Day::from_civil(self.year, self.month, 1)
    }

    /// The first day of the month after.
    pub fn end(self) -> Day {
        self.next().first()
    }

    /// The month after.
    pub const fn next(self) -> Self {
        if self.month == 12 { Self { year: self.year + 1, month: 1 } } else { Self { year: self.year, month: self.month + 1 } }
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.year, self.month)
    }
}

/// The text is not a month such as `2026-11`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a month is written like `2026-11`")]
pub struct MonthError;

impl FromStr for Month {
    type Err = MonthError;

    fn from_str(text: &str) -> Result<Self, MonthError> {
        let (year, month) = text.split_once('-').ok_or(MonthError)?;
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if year.len() != 4 || month.len() != 2 || !digits(year) || !digits(month) {
            return Err(MonthError);
        }
        let year = year.parse().map_err(|_| MonthError)?;
        let month = month.parse().map_err(|_| MonthError)?;
        if (1..=12).contains(&month) { Ok(Self { year, month }) } else { Err(MonthError) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_months_agree_with_the_calendar() {
        assert_eq!(Millis(1_795_564_800_000).day().to_string(), "2026-11-25");
        assert_eq!(Millis(-1).day().to_string(), "1969-12-31");
        assert_eq!(Day(0).month(), Month { year: 1970, month: 1 });
        for day in (-800_000..800_000).step_by(7) {
            let (year, month, date) = Day(day).civil();
            let civil = jiff::civil::date(year as i16, month as i8, date as i8);
            assert_eq!(civil, jiff::civil::date(1970, 1, 1) + jiff::Span::new().days(day));
            assert_eq!(Day::from_civil(year, month, date), Day(day));
        }
        let february: Month = "2028-02".parse().unwrap();
        assert_eq!(february.end().0 - february.first().0, 29);
        assert!("2026-13".parse::<Month>().is_err() && "26-1".parse::<Month>().is_err());
    }
}
