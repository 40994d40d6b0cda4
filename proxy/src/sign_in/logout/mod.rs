//! How sessions end: by their user here, and by a provider's word. Whatever ends one ends it everywhere, from the next
//! request on; and a store that does not take that up is an error that is shown, never "signed out".

mod back_channel;
mod end_session;
mod front_channel;
mod here;

pub(super) use back_channel::back_channel;
pub(super) use end_session::origin_of as end_session_origin;
pub(super) use front_channel::front_channel;
pub(super) use here::{sign_out, signed_out};
