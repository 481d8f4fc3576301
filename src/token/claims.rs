//! Strict claims and the time window.
