//! What the measuring programs share. `run` beside this folder drives them; nothing here is part of
//! Portcullis.

pub mod baseline;
