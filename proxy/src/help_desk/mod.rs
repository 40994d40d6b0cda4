//! The help desk: from what a caller reads out to the whole decision.
//!
//! A reference, a request's id or a support code goes in; out comes what happened, why, what would let the caller in, and
//! one sentence that may be said. `portcullis explain` prints it, the admin listener shows it.
//!
//! All of it but that sentence is for the help desk alone: it names policies, groups and networks.

mod account;
mod answer;
mod caller;
mod desk;
mod facts;
mod found;
mod logs;
mod page;
mod parts;
mod policies;
mod query;
mod remedies;
mod search;
mod sentence;
mod since;
mod text;
mod today;
mod zone;

pub use account::Account;
pub use answer::Answer;
pub use desk::{Desk, Lookup, LookupError};
pub use page::{Page, form_page};

use crate::clock::timestamp;
use crate::denial::CODE_LIFE_SECS;
use desk::ACCOUNTS_MAX;
use found::Found;
use logs::Logs;
use query::Query;

/// Looks it up.
///
/// # Errors
/// When it is not understood, is foreign, or nothing is found.
///
/// # Cost
/// An id is found by halving a log; a reference reads up to `bytes_max` of it. Blocks.
pub fn look_up(lookup: &Lookup<'_>, desk: &Desk<'_>) -> Result<Answer, LookupError> {
    let logs = Logs::of(desk.config, lookup.logs);
    let (mut found, searched) = match lookup.what.parse::<Query>()? {
        Query::Code(code) => (Vec::from([opened(&code, desk)?]), None),
        Query::Id(id) => {
            let (found, searched) = logs.find_id(id)?;
            (Vec::from([found.ok_or(LookupError::NotFound { what: "request id", searched })?]), None)
        }
        Query::Reference(pattern) => {
            let (found, searched) = logs.find_reference(pattern, lookup)?;
            if found.is_empty() {
                return Err(LookupError::NotFound { what: "reference", searched });
            }
            (found, Some(searched))
        }
    };
    let more = found.len() > ACCOUNTS_MAX;
    found.truncate(ACCOUNTS_MAX);
    let accounts = found.iter().map(|found| Account::of(found, desk, lookup, &logs)).collect();
    Ok(Answer { accounts, more, searched })
}

fn opened(code: &str, desk: &Desk<'_>) -> Result<Found, LookupError> {
    let decision = desk.denials.open(code)?;
    let age_secs = desk.now.saturating_sub(decision.now_unix_ms.div_euclid(1_000));
    if !(-300..=CODE_LIFE_SECS).contains(&age_secs) {
        return Err(LookupError::Stale { at: timestamp(decision.now_unix_ms) });
    }
    Ok(Found::of_code(decision))
}
