//! What the fuzz targets reach of this room.

mod forwarding;
mod frames;
mod intake;
mod places;

pub use self::{
    forwarding::forwarded,
    frames::hold_frames,
    intake::hold_intake,
    places::{hold_body, hold_place},
};
pub use crate::proxy::route::fuzzing::Routing;
pub use crate::proxy::upstream_session::fuzzing::{HeardAnswer, HeardEnd, hear_answer};
