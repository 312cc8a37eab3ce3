//! Gauges: what a tenant has, as its app reports it. Unlike calls and octets, a level may fall again.

use serde::{Deserialize, Serialize};

use super::Limits;

/// One thing that a tenant has some of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Gauge {
    /// Octets stored.
    Storage,
    /// Users of the app.
    Users,
    /// Projects of the app.
    Projects,
}

/// The levels of all gauges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Levels {
    /// Octets stored.
    pub storage: u64,
    /// Users of the app.
    pub users: u64,
    /// Projects of the app.
    pub projects: u64,
}

impl Gauge {
    /// Every gauge.
    pub const ALL: [Self; 3] = [Self::Storage, Self::Users, Self::Projects];

    /// As JSON and the configuration write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Storage => "storage",
            Self::Users => "users",
            Self::Projects => "projects",
        }
    }
}

impl Limits {
    /// How much a gauge may show; `None` is unlimited.
    pub const fn of(&self, gauge: Gauge) -> Option<u64> {
        match gauge {
            Gauge::Storage => self.max_storage,
            Gauge::Users => self.max_users,
            Gauge::Projects => self.max_projects,
        }
    }
}

impl Levels {
    /// One level.
    pub const fn get(&self, gauge: Gauge) -> u64 {
        match gauge {
            Gauge::Storage => self.storage,
            Gauge::Users => self.users,
            Gauge::Projects => self.projects,
        }
    }

    /// One level, to change it.
    pub const fn get_mut(&mut self, gauge: Gauge) -> &mut u64 {
        match gauge {
            Gauge::Storage => &mut self.storage,
            Gauge::Users => &mut self.users,
            Gauge::Projects => &mut self.projects,
        }
    }

    /// Of each gauge, the higher level of the two.
    pub fn highest(&self, other: &Self) -> Self {
        Self { storage: self.storage.max(other.storage), users: self.users.max(other.users), projects: self.projects.max(other.projects) }
    }
}
