//! One line of a decision log of any size.
//!
//! Request ids are UUIDs of version 7: they begin with the time, and lines stand in the order in
//! which requests ended. So the place is found by halving; only a request that took very long
//! stands elsewhere, and for it the whole file is read. A reference has no time: it is looked for from the newest end
//! backwards, and what was read is said.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use portcullis_config::printable::value;

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
    let (mut file, len) = open(path)?;
    let needle = format!("\"requestId\":\"{id}\"");
    if let Some(at_ms) = time_of(id) {
        let from = first_at(&mut file, len, at_ms - SLACK_MS)?;
        let to = end_at(&mut file, len, at_ms + SLACK_MS)?.saturating_add(LINE_MAX as u64).min(len);
        if let Some(line) = scan(&mut file, from, to, needle.as_bytes())? {
            return Ok(Some(line));
        }
    }
    scan(&mut file, 0, len, needle.as_bytes())
}

fn open(path: &Path) -> io::Result<(File, u64)> {
    // To open a pipe would wait for its writer, and there is no halving of one.
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    let file = File::open(path)?;
    let len = file.metadata()?.len();
    Ok((file, len))
}

/// What was searched, and how far back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Searched {
    files: Vec<PathBuf>,
    bytes: u64,
    /// Unix milliseconds of the oldest line that was looked at.
    back_to: Option<i64>,
    end: End,
}

/// Why no more was searched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum End {
    /// There was no more.
    #[default]
    All,
    /// As much as one look-up may read.
    Bytes,
    /// What is older was not asked for.
    Since,
    /// Enough was found.
    Found,
}

impl Searched {
    /// A file was looked at.
    pub(super) fn add(&mut self, path: &Path, bytes: u64) {
        self.files.push(path.to_owned());
        self.bytes += bytes;
    }

    pub(super) fn is_over(&self) -> bool {
        self.end != End::All
    }
}

impl fmt::Display for Searched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = self.files.iter().map(|path| value(&path.to_string_lossy())).collect();
        let size = match self.bytes {
            0..1_000_000 => format!("{} kB", self.bytes.div_ceil(1_000)),
            bytes => format!("{:.1} MB", bytes as f64 / 1e6),
        };
        write!(f, "searched {size} of {}", names.join(", "))?;
        if let Some(at) = self.back_to {
            write!(f, ", back to {}", clock::timestamp(at))?;
        }
        match self.end {
            End::All | End::Found => Ok(()),
            End::Bytes => f.write_str("; older lines were not looked at: name their file with --log FILE"),
            End::Since => f.write_str("; older lines were not asked for"),
        }
    }
}

/// Shows each line of a file, from the newest end backwards, until `see` breaks off, `bytes_max` are read, or a line is
/// older than `since` (Unix milliseconds). How many bytes were read.
///
/// # Errors
/// When the file cannot be read.
pub(super) fn backwards(
    path: &Path,
    bytes_max: u64,
    since: Option<i64>,
    searched: &mut Searched,
    mut see: impl FnMut(&[u8]) -> ControlFlow<()>,
) -> io::Result<u64> {
    let (mut file, len) = open(path)?;
    let (mut end, mut read) = (len, 0);
    // The end of a line whose beginning stands in the chunk before.
    let mut tail: Vec<u8> = Vec::new();
    // Whether the end of such a line was too long to be held.
    let mut is_cut = false;
    searched.add(path, 0);
    while end > 0 {
        if read >= bytes_max {
            searched.end = End::Bytes;
            break;
        }
        let start = end.saturating_sub(CHUNK as u64);
        let size = usize::try_from(end - start).unwrap_or(CHUNK);
        let mut buffer = vec![0; size];
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(&mut buffer)?;
        read += end - start;
        searched.bytes += end - start;
        buffer.append(&mut tail);
        end = start;
        if std::mem::take(&mut is_cut) {
            let Some(at) = memchr::memrchr(b'\n', &buffer) else {
                is_cut = true;
                continue;
            };
            buffer.truncate(at + 1);
        }
        let first = match memchr::memchr(b'\n', &buffer) {
            _ if start == 0 => 0,
            Some(at) => at + 1,
            None => buffer.len(),
        };
        let (before, whole) = buffer.split_at(first.min(buffer.len()));
        let mut until = whole.len();
        for at in memchr::memrchr_iter(b'\n', whole).map(|at| at + 1).chain([0]) {
            let line = whole.get(at..until).unwrap_or_default().trim_ascii_end();
            until = at.saturating_sub(1);
            if line.is_empty() {
                continue;
            }
            let time = time_in(line);
            // A request that took long stands later than its time says.
            if time.zip(since).is_some_and(|(time, since)| time < since.saturating_sub(SLACK_MS)) {
                searched.end = End::Since;
                return Ok(read);
            }
            searched.back_to = time.or(searched.back_to);
            if see(line).is_break() {
                searched.end = End::Found;
                return Ok(read);
            }
        }
        // Something that long is no line of ours.
        is_cut = before.len() > LINE_MAX;
        tail = if is_cut { Vec::new() } else { before.to_vec() };
    }
    Ok(read)
}

/// Shows each line that may be of between two times (Unix milliseconds).
///
/// # Errors
/// When the file cannot be read.
pub(super) fn between(path: &Path, from_ms: i64, to_ms: i64, mut see: impl FnMut(&[u8])) -> io::Result<()> {
    lines_between(path, from_ms, to_ms, |lines| {
        lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).for_each(&mut see);
    })
}

/// Shows each line that holds `needle`, of those that may be of between two times (Unix milliseconds): a text is found sooner
/// than lines are told apart.
///
/// # Errors
/// When the file cannot be read.
pub(super) fn holding(
    path: &Path,
    (from_ms, to_ms): (i64, i64),
    needle: &str,
    mut see: impl FnMut(&[u8]),
) -> io::Result<()> {
    let finder = memmem::Finder::new(needle);
    lines_between(path, from_ms, to_ms, |lines| {
        for at in finder.find_iter(lines) {
            let (before, after) = lines.split_at(at);
            let begin = memchr::memrchr(b'\n', before).map_or(0, |found| found + 1);
            let end = memchr::memchr(b'\n', after).unwrap_or(after.len());
            see(lines.get(begin..at + end).unwrap_or_default());
        }
    })
}

/// Shows what may be of between two times, some whole lines after the other.
fn lines_between(path: &Path, from_ms: i64, to_ms: i64, mut see: impl FnMut(&[u8])) -> io::Result<()> {
    let (mut file, len) = open(path)?;
    let from = first_at(&mut file, len, from_ms - SLACK_MS)?;
    let to = end_at(&mut file, len, to_ms + SLACK_MS)?.saturating_add(LINE_MAX as u64).min(len);
    file.seek(SeekFrom::Start(from))?;
    let mut left = to.saturating_sub(from);
    let mut tail: Vec<u8> = Vec::new();
    while left > 0 {
        let size = left.min(CHUNK as u64);
        Read::take(&mut file, size).read_to_end(&mut tail)?;
        left -= size;
        let whole = memchr::memrchr(b'\n', &tail).map_or(0, |at| at + 1);
        let rest = tail.split_off(whole);
        see(&tail);
        tail = rest;
    }
    Ok(())
}

/// The time of a line.
fn time_in(line: &[u8]) -> Option<i64> {
    let name: &[u8] = b"\"createdDateTime\":\"";
    let at = memmem::find(line, name)?;
    let value = line.get(at + name.len()..)?;
    let text = value.split(|byte| *byte == b'"').next().and_then(|text| std::str::from_utf8(text).ok())?;
    clock::parse_timestamp(text)
}

/// Unix milliseconds of a UUID of version 7 (RFC 9562, section 5.7).
pub(super) fn time_of(id: Uuid) -> Option<i64> {
    (id.get_version_num() == 7).then(|| i64::try_from(id.as_u128() >> 80).unwrap_or(0))
}

/// An offset before which, as far as lines are in order, each is before `at_ms`.
fn first_at(file: &mut File, len: u64, at_ms: i64) -> io::Result<u64> {
    Ok(place_of(file, len, at_ms, Unreadable::IsLater)?.0)
}

/// An offset from which on, as far as lines are in order, none is before `at_ms`.
fn end_at(file: &mut File, len: u64, at_ms: i64) -> io::Result<u64> {
    Ok(place_of(file, len, at_ms, Unreadable::IsBefore)?.1)
}

/// What a place without a readable line is taken for: whichever lets more be read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unreadable {
    IsBefore,
    IsLater,
}

/// The two offsets between which lines begin to be of `at_ms` or later.
fn place_of(file: &mut File, len: u64, at_ms: i64, unreadable: Unreadable) -> io::Result<(u64, u64)> {
    let (mut low, mut high) = (0, len);
    while high - low > SPAN_MIN {
        let middle = low + (high - low) / 2;
        let is_before =
            line_time(file, middle)?.map_or(unreadable == Unreadable::IsBefore, |found| found < at_ms);
        if is_before { low = middle } else { high = middle }
    }
    Ok((low, high))
}

/// The time of the first whole line after an offset.
fn line_time(file: &mut File, offset: u64) -> io::Result<Option<i64>> {
    file.seek(SeekFrom::Start(offset))?;
    let mut buffer = Vec::new();
    Read::take(&mut *file, 64 << 10).read_to_end(&mut buffer)?;
    let Some(start) = memchr::memchr(b'\n', &buffer) else { return Ok(None) };
    let rest = buffer.get(start + 1..).unwrap_or_default();
    Ok(time_in(rest))
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

    use std::ops::ControlFlow;

    use super::{Searched, backwards, between, find};

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
    fn every_line_is_seen_backwards_once_and_no_more_than_was_asked_for_is_read() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let begin = 1_795_000_000_000;
        // No line begins where a chunk does, and some are longer than one.
        let lines: Vec<String> = (0..4_000_u64)
            .map(|number| {
                let pad = if number % 1_500 == 7 { 3 << 19 } else { 900 + (number as usize * 37) % 500 };
                let at = crate::clock::timestamp((begin + number * 1_000) as i64);
                format!(
                    "{{\"createdDateTime\":\"{at}\",\"number\":{number},\"pad\":\"{}\"}}",
                    "x".repeat(pad)
                )
            })
            .collect();
        file.write_all(format!("{}\n", lines.join("\n")).as_bytes()).unwrap();
        let walk = |bytes_max, since, stop_at: Option<usize>| {
            let (mut seen, mut searched) = (Vec::new(), Searched::default());
            backwards(file.path(), bytes_max, since, &mut searched, |line| {
                seen.push(String::from_utf8(line.to_vec()).unwrap());
                if stop_at == Some(seen.len()) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })
            .unwrap();
            (seen, searched)
        };
        let (seen, searched) = walk(u64::MAX, None, None);
        let number =
            |line: &String| line.split("\"number\":").nth(1)?.split(',').next()?.parse::<usize>().ok();
        // A line that is too long may be seen or not.
        let seen: Vec<usize> = seen.iter().filter_map(number).filter(|number| number % 1_500 != 7).collect();
        let expected: Vec<usize> = (0..4_000).rev().filter(|number| number % 1_500 != 7).collect();
        assert!(seen == expected, "{} lines", seen.len());
        assert!(!searched.is_over() && searched.to_string().contains("back to 2026-"), "{searched}");
        let (seen, searched) = walk(1, None, None);
        assert!(seen.len() < 1_500 && searched.to_string().contains("--log FILE"), "{searched}");
        let (seen, searched) = walk(u64::MAX, Some((begin + 3_900_000) as i64), None);
        assert!((100..400).contains(&seen.len()), "{}", seen.len());
        assert!(searched.to_string().contains("not asked for"), "{searched}");
        assert_eq!(walk(u64::MAX, None, Some(3)).0.len(), 3);
        let mut between_seen = 0;
        between(file.path(), (begin + 2_000_000) as i64, (begin + 2_001_000) as i64, |line| {
            between_seen += usize::from(memchr::memmem::find(line, b"\"number\":2000,").is_some());
        })
        .unwrap();
        assert_eq!(between_seen, 1);
        let mut held = Vec::new();
        let times = ((begin + 2_000_000) as i64, (begin + 2_001_000) as i64);
        for needle in ["\"number\":2001,", "\"number\":10,"] {
            super::holding(file.path(), times, needle, |line| held.push(line.to_vec())).unwrap();
        }
        assert!(held.len() == 1 && held[0] == lines[2_001].as_bytes(), "{} lines", held.len());
    }

    #[test]
    fn an_empty_or_odd_file_holds_nothing() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        assert!(find(file.path(), id(1, 1)).unwrap().is_none());
        file.write_all(&vec![b'x'; 3 << 20]).unwrap();
        assert!(find(file.path(), id(1, 1)).unwrap().is_none());
    }
}
