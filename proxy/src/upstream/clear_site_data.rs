//! `Clear-Site-Data` of an app (<https://w3c.github.io/webappsec-clear-site-data/>): `"cookies"` and `"*"` would make a browser
//! forget the cookies of the whole registrable domain, and with them the sign-ins of its user at every app behind us.

use http::header::{HeaderMap, HeaderName, HeaderValue};

pub(super) const CLEAR_SITE_DATA: HeaderName = HeaderName::from_static("clear-site-data");
/// What stands in for `"*"`: all that browsers know but cookies. A type that one does not know it passes over.
const ALL_BUT_COOKIES: [&str; 5] =
    ["\"cache\"", "\"storage\"", "\"executionContexts\"", "\"prefetchCache\"", "\"prerenderCache\""];
/// What else passes: nothing that some browser could take for cookies.
const CLIENT_HINTS: &str = "\"clientHints\"";
const STORAGE_BUCKET: &str = "\"storage:";

/// Leaves out what clears cookies; whether anything was.
pub(super) fn keep_cookies(headers: &mut HeaderMap) -> bool {
    let mut kept: Vec<&str> = Vec::new();
    let mut is_changed = false;
    for line in headers.get_all(CLEAR_SITE_DATA) {
        // A line that is no text says nothing that we understand.
        let Ok(line) = line.to_str() else {
            is_changed = true;
            continue;
        };
        for kind in line.split(',').map(str::trim).filter(|kind| !kind.is_empty()) {
            let is_bucket = kind.starts_with(STORAGE_BUCKET) && kind.ends_with('"');
            if kind == CLIENT_HINTS || is_bucket || ALL_BUT_COOKIES.contains(&kind) {
                kept.push(kind);
                continue;
            }
            is_changed = true;
            if kind == "\"*\"" {
                kept.extend(ALL_BUT_COOKIES);
            }
        }
    }
    if !is_changed {
        return false;
    }
    let kept = (!kept.is_empty()).then(|| HeaderValue::try_from(kept.join(", ")).ok()).flatten();
    headers.remove(CLEAR_SITE_DATA);
    if let Some(kept) = kept {
        headers.insert(CLEAR_SITE_DATA, kept);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(lines: &[&'static [u8]]) -> (bool, Vec<String>) {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(CLEAR_SITE_DATA, HeaderValue::from_bytes(line).unwrap());
        }
        let is_changed = keep_cookies(&mut headers);
        let left = headers.get_all(CLEAR_SITE_DATA).iter().map(|value| value.to_str().unwrap().to_owned());
        (is_changed, left.collect())
    }

    #[test]
    fn an_app_clears_no_cookies_and_everything_else_that_it_names() {
        const ALL: &str = r#""cache", "storage", "executionContexts", "prefetchCache", "prerenderCache""#;
        for (line, left) in [
            (br#""cookies""#.as_slice(), None),
            (br#""cache", "cookies" , "storage""#, Some(r#""cache", "storage""#)),
            (br#""*""#, Some(ALL)),
            (br#""*","cookies""#, Some(ALL)),
            // What one browser passes over, another may take for it.
            (br#"cookies, *, "Cookies", 'cookies', "cookies";x, "cookies:x""#, None),
            (b"\"cache\", \"cook\xefies\"", None),
            (br#""cache,"cookies""#, None),
        ] {
            let expected = left.map(str::to_owned).into_iter().collect();
            assert_eq!(kept(&[line]), (true, expected), "{}", String::from_utf8_lossy(line));
        }
        assert_eq!(
            kept(&[br#""cache""#, br#""cookies""#, br#""clientHints""#]),
            (true, vec![r#""cache", "clientHints""#.to_owned()])
        );
    }

    #[test]
    fn what_clears_no_cookies_is_passed_on_as_it_came() {
        for lines in [
            [br#""cache""#.as_slice(), br#""storage" ,"storage:drafts""#].as_slice(),
            &[br#""executionContexts","prefetchCache", "prerenderCache","clientHints""#],
            &[b""],
        ] {
            let expected = lines.iter().map(|line| String::from_utf8_lossy(line).into_owned()).collect();
            assert_eq!(kept(lines), (false, expected));
        }
    }
}
