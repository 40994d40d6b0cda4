//! The real binary over loopback: one process for each test, nothing faked.
//!
//! One test binary with modules, because linking the proxy's dependencies once is enough.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test that cannot go on ends"
)]

mod admin;
mod ask;
mod balance;
mod binary;
mod browser;
mod check;
mod clients;
mod demo;
mod denial;
mod descriptors;
mod drain;
mod entra;
mod free;
mod help_desk;
mod import;
mod name_server;
mod openid;
mod readme;
mod redis;
mod refreshing;
mod relay;
mod reload;
mod running;
mod service;
mod sign_in;
mod signing_in;
mod signing_out;
mod situations;
mod staged;
mod status;
mod upgrade;
mod upstream_health;
mod waiting;
mod watch;
mod wire;

#[path = "../never/h2.rs"]
#[expect(dead_code, reason = "the other tests need more of it")]
mod h2;
#[path = "../never/keys.rs"]
#[expect(dead_code, reason = "the other tests need more of it")]
mod keys;
#[path = "../never/origin.rs"]
#[expect(dead_code, reason = "the other tests need more of it")]
mod origin;
