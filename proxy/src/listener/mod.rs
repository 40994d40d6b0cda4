//! The outer door: takes connections in, and hands what comes on them to pingora, request by request. Pingora's own
//! listeners give no deadline to a head, no limit to what one address holds, no PROXY header before plain HTTP, and
//! no drain that waits for requests; so the way of a connection up to its requests is ours.
//!
//! In this order: a permit, accept, a seat of the address, the PROXY header, TLS or not, the handshake in its client's turn,
//! HTTP/1 or HTTP/2; from then on `Conn` limits each head while it is read, and `Connection` says what the hooks must know.

mod accept;
mod app;
mod arrival;
mod budget;
mod conn;
mod connection;
mod control;
mod events;
mod heads;
mod http1;
mod http2;
mod inspection;
mod proxy_header;
mod seats;
mod signal;
mod streams;
mod turns;
mod websocket;
mod wire;

pub use accept::{Door, Worker, serve};
pub(crate) use budget::Unsent;
pub(crate) use conn::Conn;
pub(crate) use connection::Connection;
pub(crate) use control::{AT_ONCE as CONTROL_FRAMES_MAX, GRANTED_TIMES as CONTROL_FRAMES_GRANTED};
pub(crate) use events::{EventStream, Unsent as UnsentEvent};
pub(crate) use inspection::Framing;
pub use seats::{Most, SeatCounts, Seats};
