//! The bytes of the journal: a first line that says what it is, then records of one size, each with its checksum.
//!
//! A record that a crash cut off can only be among the last that were written: nobody was answered for it. Anything else
//! that cannot be read means that revocations are lost, and the journal is refused.

use super::super::Once;
use super::super::notice::{By, Notice};
use crate::clock::Moment;
use crate::session::batch::BATCH_MAX;
use crate::session::key::{Mark, OnceKey};

/// The first line. The number changes when an older process would misread what follows.
pub(super) const HEADER: &[u8] = b"portcullis revocations 2\n";
/// What every version's first line begins with.
const HEADER_START: &[u8] = b"portcullis revocations ";

const REVOKED: u8 = 1;
const USED: u8 = 2;
const REVOKED_BY_ANYBODY: u8 = 3;
const CHECKED: usize = 1 + 32 + 8 + 8;
/// The length of a record.
pub(super) const RECORD_BYTES: usize = CHECKED + 4;

/// What a record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Record {
    /// Sessions have ended.
    Revoked(Notice),
    /// Something that counts once has been used.
    Used(Once),
}

/// What a journal says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Contents {
    pub(super) records: Vec<Record>,
    /// Where the last whole record ends.
    pub(super) end: u64,
    /// Bytes after it, of records that were never answered for.
    pub(super) torn_bytes: u64,
}

/// Why a journal is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Malformed {
    /// It is another kind of file.
    #[error("it is no journal of revocations")]
    Foreign,
    /// It is of another version of this program.
    #[error("another version of Portcullis wrote it")]
    OtherVersion,
    /// A record in the middle of it has been changed.
    #[error("what stands at byte {0} of it is damaged")]
    Damaged(u64),
}

impl Record {
    /// Its bytes.
    pub(super) fn write(&self, to: &mut Vec<u8>) {
        let (kind, key, first, until) = match self {
            Self::Revoked(notice) => {
                let kind = match notice.by {
                    By::Known => REVOKED,
                    By::Anybody => REVOKED_BY_ANYBODY,
                };
                (kind, notice.mark.0, notice.not_before.0, notice.until)
            }
            Self::Used(once) => (USED, once.key.0, 0, once.until),
        };
        let start = to.len();
        to.push(kind);
        to.extend_from_slice(&key);
        to.extend_from_slice(&first.to_be_bytes());
        to.extend_from_slice(&until.to_be_bytes());
        let sum = crc32fast::hash(to.get(start..).unwrap_or_default());
        to.extend_from_slice(&sum.to_be_bytes());
    }

    fn read(bytes: &[u8; RECORD_BYTES]) -> Option<Self> {
        let (checked, sum) = bytes.split_first_chunk::<CHECKED>()?;
        if crc32fast::hash(checked).to_be_bytes() != *sum {
            return None;
        }
        let (kind, rest) = checked.split_first()?;
        let (key, rest) = rest.split_first_chunk::<32>()?;
        let (first, rest) = rest.split_first_chunk::<8>()?;
        let (until, _) = rest.split_first_chunk::<8>()?;
        let until = i64::from_be_bytes(*until);
        match *kind {
            REVOKED | REVOKED_BY_ANYBODY => Some(Self::Revoked(Notice {
                mark: Mark(*key),
                not_before: Moment(i64::from_be_bytes(*first)),
                until,
                by: if *kind == REVOKED { By::Known } else { By::Anybody },
            })),
            USED => Some(Self::Used(Once { key: OnceKey(*key), until })),
            _ => None,
        }
    }
}

/// Reads a whole journal.
pub(super) fn read(bytes: &[u8]) -> Result<Contents, Malformed> {
    let Some(body) = bytes.strip_prefix(HEADER) else {
        // A crash before the first line was whole.
        if HEADER.starts_with(bytes) {
            return Ok(Contents { records: Vec::new(), end: 0, torn_bytes: bytes.len() as u64 });
        }
        return Err(match bytes.starts_with(HEADER_START) {
            true => Malformed::OtherVersion,
            false => Malformed::Foreign,
        });
    };
    let (whole, rest) = body.as_chunks::<RECORD_BYTES>();
    let mut records = Vec::with_capacity(whole.len());
    records.extend(whole.iter().map_while(Record::read));
    let (read, unread) = (records.len(), whole.len() - records.len());
    let end = HEADER.len() as u64 + (read * RECORD_BYTES) as u64;
    let is_followed = whole.iter().skip(read).any(|bytes| Record::read(bytes).is_some());
    if is_followed || unread > BATCH_MAX * 2 {
        return Err(Malformed::Damaged(end));
    }
    Ok(Contents { records, end, torn_bytes: (unread * RECORD_BYTES + rest.len()) as u64 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(count: u8) -> Vec<Record> {
        let record = |number: u8| match number % 2 {
            0 => Record::Revoked(Notice {
                mark: Mark([number; 32]),
                not_before: Moment(-5),
                until: 1_000,
                by: if number.is_multiple_of(4) { By::Known } else { By::Anybody },
            }),
            _ => Record::Used(Once { key: OnceKey([number; 32]), until: 2_000 }),
        };
        (0..count).map(record).collect()
    }

    fn journal(records: &[Record]) -> Vec<u8> {
        let mut bytes = HEADER.to_vec();
        records.iter().for_each(|record| record.write(&mut bytes));
        bytes
    }

    #[test]
    fn what_is_written_is_read() {
        let written = records(7);
        let bytes = journal(&written);
        let end = bytes.len() as u64;
        assert_eq!(read(&bytes), Ok(Contents { records: written, end, torn_bytes: 0 }));
    }

    #[test]
    fn a_journal_that_is_cut_anywhere_loses_the_record_that_was_cut_and_no_other() {
        let written = records(4);
        let bytes = journal(&written);
        for length in 0..bytes.len() {
            let contents = read(&bytes[..length]).unwrap();
            let whole = length.saturating_sub(HEADER.len()) / RECORD_BYTES;
            assert_eq!(contents.records, written[..whole], "{length} bytes");
            assert_eq!(contents.end + contents.torn_bytes, length as u64, "{length} bytes");
        }
    }

    #[test]
    fn zeros_after_the_last_record_are_what_a_crash_leaves() {
        let mut bytes = journal(&records(3));
        let end = bytes.len() as u64;
        bytes.extend([0; 2 * RECORD_BYTES + 3]);
        assert_eq!(read(&bytes).unwrap().end, end);
        bytes.extend([0; 3 * BATCH_MAX * RECORD_BYTES]);
        assert_eq!(read(&bytes), Err(Malformed::Damaged(end)), "more than can have been under way");
    }

    #[test]
    fn a_changed_byte_before_the_last_record_is_not_passed_over() {
        let bytes = journal(&records(5));
        for at in HEADER.len()..bytes.len() - RECORD_BYTES {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            let record = HEADER.len() + (at - HEADER.len()) / RECORD_BYTES * RECORD_BYTES;
            assert_eq!(read(&changed), Err(Malformed::Damaged(record as u64)), "byte {at}");
        }
    }

    #[test]
    fn another_file_and_another_version_are_refused() {
        assert_eq!(read(b"[server]\n"), Err(Malformed::Foreign));
        assert_eq!(read(b"portcullis revocations 1\n\x01"), Err(Malformed::OtherVersion));
    }
}
