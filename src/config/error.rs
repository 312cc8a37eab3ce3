//! What is wrong with a configuration: every problem at once, each with its place.

use std::cell::RefCell;
use std::fmt;

use super::source::Place;

/// One problem. Secrets are never part of it.
#[derive(Debug, Clone)]
pub struct ConfigError {
    place: Option<Place>,
    /// The dotted key, such as `listen.http`; empty where there is none.
    key: String,
    problem: String,
}

/// All problems of a configuration, in the order of the file and then of the environment; never empty.
#[derive(Debug, Clone)]
pub struct ConfigErrors(Vec<ConfigError>);

impl ConfigError {
    pub(super) const fn new(place: Option<Place>, key: String, problem: String) -> Self {
        Self { place, key, problem }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.problem)
    }
}

impl ConfigErrors {
    /// Each problem.
    pub fn iter(&self) -> impl Iterator<Item = &ConfigError> {
        self.0.iter()
    }

    pub(super) fn one(error: ConfigError) -> Self {
        Self(vec![error])
    }
}

impl fmt::Display for ConfigErrors {
    /// One line each.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            let line_end = if index == 0 { "" } else { "\n" };
            write!(f, "{line_end}{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

/// Collects problems while the rest is read on.
#[derive(Debug, Default)]
pub(super) struct Problems(RefCell<Vec<ConfigError>>);

impl Problems {
    pub(super) fn add(&self, place: &Place, key: impl Into<String>, problem: impl Into<String>) {
        self.0.borrow_mut().push(ConfigError::new(Some(place.clone()), key.into(), problem.into()));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }

    /// The value, or every problem.
    pub(super) fn finish<T>(self, value: Option<T>) -> Result<T, ConfigErrors> {
        let mut errors = self.0.into_inner();
        match value {
            Some(value) if errors.is_empty() => Ok(value),
            _ => {
                if errors.is_empty() {
                    // A reader answers nothing only after it told why; should one forget, the load still fails with a line.
                    errors.push(ConfigError::new(None, String::new(), "the configuration could not be read".to_owned()));
                }
                errors.sort_by(|a, b| match (&a.place, &b.place) {
                    (Some(a), Some(b)) => a.order(b),
                    (a, b) => a.is_some().cmp(&b.is_some()),
                });
                Err(ConfigErrors(errors))
            }
        }
    }
}
