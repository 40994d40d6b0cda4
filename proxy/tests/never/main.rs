//! What must never happen, each from a public failure of a peer: raw bytes against the real binary.
//!
//! `ledger.txt` lists every row of the project's ledger of such failures with its tests, or with the
//! reason why it cannot apply; `ledger.rs` holds that list against the tests that exist. A test shows
//! the counterpart that passes beside what must not, and counts what reached the app.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    reason = "a test that cannot go on ends"
)]

mod a_target;
mod b_names;
mod c_forward_auth;
mod c_forwarded;
mod d_identity;
mod e_tokens;
mod f_caches;
mod g_policy;
mod h_sign_in;
mod i_framing;
mod j_leaks;
mod k_own;
mod l_heads;
mod l_paths;
mod l_record;
mod l_upstream;
mod ledger;
mod m_tools;
mod n_door;
mod n_limits;
mod n_tls;
mod o_process;
mod p_sessions;
mod q_sign_in;
mod r_clients;
mod r_waiting;
mod s_shaping;

#[path = "../it/binary.rs"]
mod binary;
#[path = "../it/browser.rs"]
#[expect(dead_code, reason = "the other tests need more of it")]
mod browser;
#[path = "../it/free.rs"]
mod free;
mod h2;
mod keys;
#[path = "../it/openid.rs"]
#[expect(dead_code, reason = "the other tests need more of it")]
mod openid;
mod origin;
mod raw_app;
#[path = "../it/service.rs"]
#[expect(dead_code, reason = "the other tests need more of it")]
mod service;
#[path = "../it/signing_in.rs"]
#[expect(dead_code, reason = "the other tests need more of it")]
mod signing_in;
#[path = "../it/staged.rs"]
mod staged;
#[path = "../it/wire.rs"]
mod wire;
mod world;
