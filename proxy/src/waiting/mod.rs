//! Pages that wait. A page that was shown instead of an app holds a sealed [`WaitHandle`], by which `/.portcullis/wait`
//! knows what it waits for; whoever has a stream there has a [`Place`]. What a page is told is `wait`'s to decide.
//!
//! Places are bounded for the process, for who is known by nothing but an address, and for one user and app. They are
//! woken when something moves that decisions rest on, and say no more than that.

mod handle;
mod places;
mod shown;

pub use handle::{HANDLE_CHARS_MAX, Holder, LIFE_SECS, TARGET_BYTES_MAX, WaitFor, WaitHandle, WaitHandles};
pub use places::{Full, Group, Place, Told, Waiter, Waiting};
pub use shown::ShownRefusal;
