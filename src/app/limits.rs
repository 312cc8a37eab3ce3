//! What the process asks of the system: enough descriptors, and files that others cannot read.

use rustix::fs::Mode;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit, umask};

use crate::config::Config;

/// Descriptors beside those of clients and upstreams: listeners, store, journal, logs.
const OTHERS: u64 = 100;

/// Raises the number of open files to what the system allows, and says where that is less than the configuration needs.
pub(super) fn open_files(config: &Config) {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).is_ok();
    // Each client may need a connection to an upstream as well. None is without limit.
    let needed = 2 * config.limits.max_connections as u64 + OTHERS;
    let allowed = if raised { maximum } else { current };
    if let Some(allowed) = allowed.filter(|allowed| *allowed < needed) {
        tracing::warn!(allowed, needed, "limits.max_connections needs more open files than the system allows (ulimit -n)");
    }
}

/// Store, journal and logs hold what is nobody else's business.
pub(super) fn private_files() {
    umask(Mode::RWXO | Mode::WGRP);
}
