//! One line of a decision log of any size.
//!
//! Request ids are UUIDs of version 7: they begin with the time, and lines stand in the order in
//! which requests ended. So the place is found by halving; only a request that took very long
//! stands elsewhere, and for it the whole file is read.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use memchr::memmem;
use uuid::Uuid;

use crate::clock;

/// How far a line may stand from its time's place, in milliseconds, before everything is read.
const SLACK_MS: i64 = 120_000;
/// Below this many bytes halving is not worth while.
const SPAN_MIN: u64 = 1 << 20;
const CHUNK: usize = 1 << 20;
/// The longest line that is looked at.
const LINE_MAX: usize = 1 << 20;

/// The line of a request, without its line end.
///
/// # Errors
/// When the file cannot be read.
pub(super) fn find(path: &Path, id: Uuid) -> io::Result<Option<Vec<u8>>> {
    // To open a pipe would wait for its writer, and there is no halving of one.
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    let mut file = File::open(path)?;
    let len = file.metadata()?.len();
    let needle = format!("\"requestId\":\"{id}\"");
    if let Some(at_ms) = time_of(id) {
        let from = first_at(&mut file, len, at_ms - SLACK_MS)?;
        let to = first_at(&mut file, len, at_ms + SLACK_MS)?.saturating_add(LINE_MAX as u64).min(len);
        if let Some(line) = scan(&mut file, from, to, needle.as_bytes())? {
            return Ok(Some(line));
        }
    }
    scan(&mut file, 0, len, needle.as_bytes())
}

/// Unix milliseconds of a UUID of version 7 (RFC 9562, section 5.7).
fn time_of(id: Uuid) -> Option<i64> {
    (id.get_version_num() == 7).then(|| i64::try_from(id.as_u128() >> 80).unwrap_or(0))
}

/// The offset of a line from which on, as far as lines are in order, none is before `at_ms`.
fn first_at(file: &mut File, len: u64, at_ms: i64) -> io::Result<u64> {
    let (mut low, mut high) = (0, len);
    while high - low > SPAN_MIN {
        let middle = low + (high - low) / 2;
        match line_time(file, middle)? {
            Some(found) if found < at_ms => low = middle,
            // A place without a readable line is passed towards the beginning, where more is read.
            Some(_) | None => high = middle,
        }
    }
    Ok(low)
}

/// The time of the first whole line after an offset.
fn line_time(file: &mut File, offset: u64) -> io::Result<Option<i64>> {
    file.seek(SeekFrom::Start(offset))?;
    let mut buffer = Vec::new();
    Read::take(&mut *file, 64 << 10).read_to_end(&mut buffer)?;
    let Some(start) = memchr::memchr(b'\n', &buffer) else { return Ok(None) };
    let rest = buffer.get(start + 1..).unwrap_or_default();
    let name: &[u8] = b"\"createdDateTime\":\"";
    let Some(at) = memmem::find(rest, name) else { return Ok(None) };
    let value = rest.get(at + name.len()..).unwrap_or_default();
    let text = value.split(|byte| *byte == b'"').next().and_then(|text| std::str::from_utf8(text).ok());
    Ok(text.and_then(clock::parse_timestamp))
}

/// The line between two offsets that holds `needle`.
fn scan(file: &mut File, from: u64, to: u64, needle: &[u8]) -> io::Result<Option<Vec<u8>>> {
    let finder = memmem::Finder::new(needle);
    let mut offset = from;
    let mut buffer = vec![0; CHUNK + needle.len()];
    // The end of each chunk stands at the beginning of the next, so that nothing falls between.
    let mut carried = 0;
    file.seek(SeekFrom::Start(from))?;
    while offset < to {
        let Some(room) = buffer.get_mut(carried..) else { return Ok(None) };
        let read = file.read(room)?;
        if read == 0 {
            return Ok(None);
        }
        let filled = carried + read;
        let window = buffer.get(..filled).unwrap_or_default();
        if let Some(at) = finder.find(window) {
            let place = offset - carried as u64 + at as u64;
            return line_around(file, place).map(Some);
        }
        offset += read as u64;
        let keep = needle.len().saturating_sub(1).min(filled);
        buffer.copy_within(filled - keep..filled, 0);
        carried = keep;
    }
    Ok(None)
}

/// The whole line that an offset lies in.
fn line_around(file: &mut File, place: u64) -> io::Result<Vec<u8>> {
    let start = place.saturating_sub(LINE_MAX as u64);
    file.seek(SeekFrom::Start(start))?;
    let mut buffer = Vec::new();
    Read::take(&mut *file, 2 * LINE_MAX as u64).read_to_end(&mut buffer)?;
    let at = usize::try_from(place - start).unwrap_or(usize::MAX).min(buffer.len());
    let (before, after) = buffer.split_at(at);
    let begin = memchr::memrchr(b'\n', before).map_or(0, |found| found + 1);
    let end = memchr::memchr(b'\n', after).unwrap_or(after.len());
    Ok(buffer.get(begin..at + end).unwrap_or_default().to_vec())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use uuid::Uuid;

    use super::find;

    fn id(at_ms: u64, salt: u64) -> Uuid {
        let stamp = uuid::Timestamp::from_unix_time(at_ms / 1_000, (at_ms % 1_000) as u32 * 1_000_000, 0, 0);
        let mut bits = Uuid::new_v7(stamp).as_u128();
        bits = (bits >> 62 << 62) | u128::from(salt);
        Uuid::from_u128(bits)
    }

    fn line(at_ms: u64, id: Uuid) -> String {
        let time = crate::clock::timestamp(at_ms as i64);
        format!(
            "{{\"version\":1,\"createdDateTime\":\"{time}\",\"requestId\":\"{id}\",\"pad\":\"{}\"}}\n",
            "x".repeat(300)
        )
    }

    #[test]
    fn a_line_is_found_wherever_it_stands() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let begin = 1_795_000_000_000;
        let late = id(begin + 5_000, 77);
        let mut ids = Vec::new();
        let mut text = String::new();
        for number in 0..30_000_u64 {
            let at_ms = begin + number * 1_000;
            ids.push(id(at_ms, number));
            text.push_str(&line(at_ms, ids[number as usize]));
            if number == 20_000 {
                // A request that took more than five hours.
                text.push_str(&line(begin + 5_000, late));
                text.push_str("no line of ours\n");
            }
        }
        file.write_all(text.as_bytes()).unwrap();
        for number in [0, 1, 2_999, 15_000, 20_001, 29_999] {
            let found = find(file.path(), ids[number]).unwrap().unwrap();
            assert!(String::from_utf8(found).unwrap().contains(&ids[number].to_string()), "{number}");
        }
        assert!(find(file.path(), late).unwrap().is_some());
        assert!(find(file.path(), id(begin, 99_999)).unwrap().is_none());
        assert!(find(file.path(), Uuid::nil()).unwrap().is_none());
    }

    #[test]
    fn an_empty_or_odd_file_holds_nothing() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        assert!(find(file.path(), id(1, 1)).unwrap().is_none());
        file.write_all(&vec![b'x'; 3 << 20]).unwrap();
        assert!(find(file.path(), id(1, 1)).unwrap().is_none());
    }
}
