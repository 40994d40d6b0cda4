//! `/.portcullis/wait`: the page that was shown instead of an app asks whether it may open it.
//!
//! What it waits for is in its sealed handle; whose it is, where it is and by which device, the asking request says. So the
//! refused navigation is decided again as this client would send it now, by the same `authorize`: when the page asks, when
//! something moves that decisions rest on, and every few seconds. The answer is "still" or "come in".
//!
//! Nothing else leaves the server. Events come when the page asks and by the clock, never because something moved, unless it
//! lets the user in: two installations with different policies send the same bytes at the same times. A handle that was made up,
//! lent or has become old gets what a path gets that does not exist.

mod judge;
mod sources;
mod watch;

pub(crate) use judge::{Answer, Page};
pub(crate) use sources::follow;
pub(crate) use watch::{Begun, Watch, begin_poll, begin_stream};
