//! Builds, starts and drains.
