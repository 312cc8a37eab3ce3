//! provisioning (stub).
