//! Pure functions inside of the rooms, for the fuzz targets and the tests that replay their seeds. Nobody else's.

pub use crate::proxy::fuzzing::{HeardAnswer, HeardEnd, hear_answer};
pub use crate::proxy::fuzzing::{hold_body, hold_frames, hold_place};
pub use crate::proxy::fuzzing::forwarded;
