//! Pure functions inside of the rooms, for the fuzz targets and the tests that replay their seeds. Nobody else's.

pub use crate::config::fuzzing::hold_config;
pub use crate::endpoint::fuzzing::{hold_envelope, hold_exchange};
pub use crate::proxy::fuzzing::{
    HeardAnswer, HeardEnd, Routing, forwarded, hear_answer, hold_body, hold_client, hold_frames, hold_intake, hold_place,
    hold_proxy_header,
};
pub use crate::signing::fuzzing::hold_key_file;
pub use crate::tls::fuzzing::hold_authorities;
