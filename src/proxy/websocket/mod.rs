//! WebSockets: the handshake with the upstream, and the frames in both directions until one side, the token or the gateway ends it.

mod close;
mod direction;
mod frames;
pub(in crate::proxy) mod handshake;
mod pump;

pub(in crate::proxy) use self::{
    close::{CLOSE_TIMEOUT, Farewells, Side, SocketEnd},
    handshake::Handshake,
    pump::{Bounds, Ends, carry},
};

#[cfg(feature = "fuzzing")]
pub(in crate::proxy) use self::frames::FrameTracker;
