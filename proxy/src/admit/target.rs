//! The request target: one plain path, or nothing. How a path is read is `portcullis_policy::path`'s; here
//! the query is cut off, and the second path that WebDAV sends is found.

use portcullis_policy::path::{ReadPath, read};

use super::fields::host_and_port;
use crate::refusal::BadRequest;

/// The path of an origin-form target. The query takes part in nothing; any byte may stand in it but
/// controls, spaces and `#`, which end a target or begin a fragment.
pub(super) fn path(target: &[u8]) -> Result<ReadPath<'_>, BadRequest> {
    let (path, query) = match memchr::memchr(b'?', target).and_then(|at| target.split_at_checked(at)) {
        Some((path, query)) => (path, query),
        None => (target, &[][..]),
    };
    if query.iter().any(|byte| matches!(byte, 0..=b' ' | b'#' | 0x7f)) {
        return Err(BadRequest::Target);
    }
    read(path).map_err(|_| BadRequest::Target)
}

/// The path that `Destination` names, where a request is to copy or move something to (RFC 4918, section
/// 10.3). It is judged as the target is, so it must be a path of the same host.
pub(super) fn destination<'r>(text: &'r str, host: &str) -> Result<ReadPath<'r>, BadRequest> {
    let after = |scheme: &str| {
        let (start, rest) = text.split_at_checked(scheme.len())?;
        start.eq_ignore_ascii_case(scheme).then_some(rest)
    };
    let path = match after("https://").or_else(|| after("http://")) {
        Some(rest) => {
            let at = rest.find('/').ok_or(BadRequest::Destination)?;
            let (authority, path) = rest.split_at_checked(at).ok_or(BadRequest::Destination)?;
            let (named, _) = host_and_port(authority).map_err(|_| BadRequest::Destination)?;
            if !named.eq_ignore_ascii_case(host) {
                return Err(BadRequest::Destination);
            }
            path
        }
        // Two slashes would begin an authority.
        None if text.starts_with('/') && !text.starts_with("//") => text,
        None => return Err(BadRequest::Destination),
    };
    read(path.as_bytes()).map_err(|_| BadRequest::Destination)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_takes_part_in_nothing() {
        for (target, path_of_it) in [
            (&b"/"[..], Some("/")),
            (b"/a?b/../c//%2e", Some("/a")),
            (b"/a?\\x\xe9|^\"<>{}%zz;?", Some("/a")),
            (b"/a?b#c", None),
            (b"/a?b c", None),
            (b"/a?b\0", None),
            (b"/a?b\x7f", None),
            (b"?", None),
            (b"", None),
            (b"*", None),
            (b"http://wiki.test/a", None),
        ] {
            let read = path(target).ok();
            assert_eq!(read.as_ref().map(ReadPath::written), path_of_it, "{}", target.escape_ascii());
        }
    }

    #[test]
    fn a_destination_is_a_path_of_the_same_host() {
        for (text, path_of_it) in [
            ("https://wiki.test/a/b", Some("/a/b")),
            ("HTTP://WIKI.test:8443/a", Some("/a")),
            ("/a/b", Some("/a/b")),
            ("https://wiki.test", None),
            ("https://other.test/a", None),
            ("https://wiki.test@other.test/a", None),
            ("https://x@wiki.test/a", None),
            ("//other.test/a", None),
            ("ftp://wiki.test/a", None),
            ("a/b", None),
            ("", None),
            ("/a/../b", None),
            ("/a?b", None),
            ("/a#b", None),
            ("https://wiki.test/%2e%2e/a", None),
        ] {
            let read = destination(text, "wiki.test").ok();
            assert_eq!(read.as_ref().map(ReadPath::written), path_of_it, "{text}");
        }
    }
}
