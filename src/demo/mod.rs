//! A whole world in one process: an issuer like Azure AD B2C, a sync backend with one pinned key, the gateway between them.
//!
//! `syncgate demo` shows it to people; tests and benches stand on it.
