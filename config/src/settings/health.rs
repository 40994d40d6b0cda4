//! How the health of an app's servers is judged, and what follows from it.

use std::time::Duration;

use portcullis_policy::words;

/// When a server is left out, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// What each address is asked at intervals; nobody asks if `None`.
    pub check: Option<HealthCheck>,
    /// Answers in a row that must fail, until an address is left out. One failure to connect is enough.
    pub failures: u32,
    /// How long an address is left out at first; twice as long with each further failure.
    pub eject_for: Duration,
    /// How long an address is left out at most.
    pub eject_max: Duration,
    /// With fewer addresses up than so many percent of all, all of them get requests, the bad ones too. With none
    /// up they do in any case.
    pub panic_percent: u8,
}

/// What a server is asked to see whether it works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// Path and query.
    pub path: String,
    /// The host that it is asked for.
    pub host: String,
    /// The method.
    pub method: CheckMethod,
    /// Statuses that are good.
    pub expect: Statuses,
    /// From one check to the next.
    pub interval: Duration,
    /// How long a check may take, connecting included; shorter than `interval`.
    pub timeout: Duration,
    /// Checks in a row that must pass, until an address that was left out gets requests again.
    pub healthy: u32,
    /// Checks in a row that must fail, until an address is left out; of one that was never checked, one.
    pub unhealthy: u32,
}

words! {
    /// How a server is asked.
    pub enum CheckMethod {
        /// `GET`; what follows the head of the answer is not read.
        Get = "GET",
        /// `HEAD`.
        Head = "HEAD",
    }
}

/// Some statuses of HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statuses(Vec<(u16, u16)>);

impl Statuses {
    /// These ranges, each with its ends.
    #[must_use]
    pub const fn new(ranges: Vec<(u16, u16)>) -> Self {
        Self(ranges)
    }

    /// Whether a status is one of them.
    #[must_use]
    pub fn contains(&self, status: u16) -> bool {
        self.0.iter().any(|(first, last)| (*first..=*last).contains(&status))
    }
}
