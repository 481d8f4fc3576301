//! What the fuzz targets reach of this room.

mod frames;
mod places;

pub use self::{
    frames::hold_frames,
    places::{hold_body, hold_place},
};
