//! The real binary over loopback: one process for each test, nothing faked.
//!
//! One test binary with modules, because linking the proxy's dependencies once is enough.

mod demo;
mod never;
mod reload;
mod running;
