//! The client's side: accepting sockets, spreading them over event loops, connections with their deadlines, and client input
//! that is not a request yet. Knows neither routes nor upstreams.

mod announced;
mod clock_watch;
mod connection;
mod cut;
mod date;
mod displacing;
mod event_loops;
#[cfg(feature = "fuzzing")]
pub(in crate::proxy) mod fuzzing;
mod gate;
mod handshake;
mod handshakes;
mod held;
mod http2;
mod inbound;
mod intake;
mod key_watch;
mod listener;
mod request_line;
mod request_state;
mod serving;
mod session;
mod settings;
mod stream;
mod tcp;
mod tls;
mod transport;
mod unreadable;

pub(in crate::proxy) use self::{
    connection::{Arrival, Connection, Secure},
    cut::Cut,
    gate::Gate,
    key_watch::KeyWatch,
    listener::{Listener, Port},
    request_state::RequestState,
    serving::{LastWork, Serve},
    session::ClientSession,
    stream::ClientStream,
    transport::Transport,
    unreadable::{Complaints, Unreadable},
};
pub use self::{
    event_loops::EventLoops,
    settings::{Http2Settings, ListenSettings, ListenerSettings},
};

#[cfg(feature = "bench")]
pub(in crate::proxy) use self::intake::Intake;
