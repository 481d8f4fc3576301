//! The parts of this room that the fuzz targets use.

mod forwarding;
mod frames;
mod places;

pub use self::{
    forwarding::forwarded,
    frames::hold_frames,
    places::{hold_body, hold_place},
};
pub use crate::proxy::address::fuzzing::{hold_client, hold_proxy_header};
pub use crate::proxy::client::fuzzing::hold_intake;
pub use crate::proxy::policy::route::fuzzing::Routing;
pub use crate::proxy::upstream::session::fuzzing::{HeardAnswer, HeardEnd, hear_answer};
