//! lifecycle (stub).
