//! What benches of whole requests share: this program started again in other roles, each pinned to a core, and their CPU time.

#![allow(dead_code, reason = "no bench needs all of it")]

pub mod closed_loop;
pub mod issuer;
pub mod nginx;
pub mod process;
pub mod program;
pub mod role;
#[path = "../measure/short_token.rs"]
pub mod short_token;

/// The middle one of at least one value.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}
