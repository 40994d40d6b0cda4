//! Another proxy asks whether to let a request in: nginx, Caddy and Traefik over HTTP, Envoy over HTTP or gRPC. What
//! it describes becomes a head and a connection as if Portcullis stood where that proxy stands, and is judged by the
//! same `admit` and `authorize` as a request that comes to Portcullis itself.
//!
//! [`describe`] reads what HTTP says, [`check`] what Envoy's gRPC says and how it is answered; [`Allowed`] is what the
//! proxy has to change in a request that was let in. All of it is pure: no socket, no clock.

mod allowed;
pub mod check;
pub mod describe;
mod described;
mod messages;

pub use allowed::{Allowed, imitates_identity};
pub use described::{Asked, BadDescription, Described, Fault};
