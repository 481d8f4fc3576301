//! The base of the other rooms of the edge: HTTP/1.1 rules for single fields, idle timers, rate limits of log lines. Uses no
//! other room.

mod changes;
mod fields;
pub(in crate::proxy) mod hop_by_hop;
mod lazy_timer;
pub(in crate::proxy) mod lifetime;
mod limited;
mod rate_limit;
pub(in crate::proxy) mod switch;
mod told;

pub(in crate::proxy) use self::{
    changes::Changes,
    fields::{Fields, Single, same_name},
    hop_by_hop::{Nominations, connection_options, list},
    lazy_timer::LazyTimer,
    limited::LimitLog,
    rate_limit::RateLimit,
    told::Told,
};
