//! The client's side: sockets accepted and spread over event loops, connections with their deadlines, and what a client sends before it is a
//! request. Knows neither routes nor upstreams.

mod clock_watch;
mod connection;
mod cut;
mod date;
mod displacing;
mod event_loops;
mod held;
mod inbound;
mod intake;
mod key_watch;
mod listener;
mod request_line;
mod settings;
mod stream;
mod transport;
mod unreadable;

pub(in crate::proxy) use self::{
    connection::Connection,
    cut::Cut,
    intake::Intake,
    key_watch::KeyWatch,
    listener::{LastWork, Listener, Serve},
    stream::ClientStream,
    transport::Transport,
    unreadable::{Complaints, Unreadable},
};
pub use self::{event_loops::EventLoops, settings::ListenSettings};
