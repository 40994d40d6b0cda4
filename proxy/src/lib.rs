//! Portcullis, the enforcement point: a conditional-access reverse proxy.
//!
//! Modules, in the order in which a request passes them: `admit`, `route`, `token`, `context`, the
//! decision of `portcullis_policy`, `upstream`, `denial`, `record`. `authorize` calls them in order up to the decision,
//! `gateway` brings requests to it, and `exchange` holds the state of one request.

mod admin;
pub mod admit;
pub mod assertion;
pub mod authorize;
mod background;
pub mod cli;
mod clock;
pub mod context;
pub mod cors;
pub mod decision_record;
pub mod demo;
pub mod denial;
pub mod exchange;
pub mod failure;
pub mod forward_auth;
pub mod gateway;
pub mod help_desk;
pub mod limit;
pub mod listener;
pub mod own;
pub mod pages;
mod preflight;
pub mod process_log;
pub mod provider;
pub mod record;
pub mod reference;
pub mod refusal;
pub mod remedies;
pub mod route;
pub mod seal;
pub mod server;
pub mod session;
pub mod sign_in;
pub mod state;
pub mod tls;
pub mod token;
pub mod upstream;
pub mod wait;
pub mod waiting;
