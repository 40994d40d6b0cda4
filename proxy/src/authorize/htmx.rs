//! htmx puts an answer into a part of a page, and drops one that is no success: what it asks for is refused where nobody
//! sees it. So the answer says besides where the browser is to go.
//!
//! Source: <https://htmx.org/reference/#response_headers>, of htmx 2. `HX-Redirect` counts whatever the status is; `HX-Retarget` and
//! `HX-Reswap` only where the page lets htmx swap answers of this status (`responseHandling`).

use http::header::HeaderName;
use http::{HeaderValue, Method};

use crate::admit::Head;
use crate::denial::Answer;

const HX_REQUEST: HeaderName = HeaderName::from_static("hx-request");
const HX_BOOSTED: HeaderName = HeaderName::from_static("hx-boosted");
const HX_HISTORY_RESTORE_REQUEST: HeaderName = HeaderName::from_static("hx-history-restore-request");
const HX_REDIRECT: HeaderName = HeaderName::from_static("hx-redirect");
const HX_RETARGET: HeaderName = HeaderName::from_static("hx-retarget");
const HX_RESWAP: HeaderName = HeaderName::from_static("hx-reswap");
/// The longest path that a browser is sent to, in bytes.
const TARGET_BYTES_MAX: usize = 2_048;

/// Where the browser is to go, or where its page is to be put. `page` is a path of ours that shows this refusal, if there is one.
pub(super) fn lead(
    answer: &mut Answer,
    head: &Head<'_>,
    had_bearer: bool,
    page: impl FnOnce() -> Option<String>,
) {
    let states =
        |name: &HeaderName| head.hint(name).is_some_and(|said| said.trim().eq_ignore_ascii_case("true"));
    // Of a page that it wants back from its history it takes a whole page, and no word of the head.
    if !states(&HX_REQUEST) || states(&HX_HISTORY_RESTORE_REQUEST) {
        return;
    }
    // A link that htmx follows in place of the browser: the browser follows it itself, and is shown the page there, or signs
    // in. With a token that only scripts send it would not get as far as that.
    let is_link = states(&HX_BOOSTED) && *head.method == Method::GET && !had_bearer;
    let target = if is_link { own_target(head) } else { None };
    if let Some(Ok(to)) = target.or_else(page).map(HeaderValue::try_from) {
        answer.headers.insert(HX_REDIRECT, to);
        return;
    }
    answer.headers.insert(HX_RETARGET, const { HeaderValue::from_static("body") });
    answer.headers.insert(HX_RESWAP, const { HeaderValue::from_static("innerHTML") });
}

/// The path that was asked for, where a browser takes it for one of this host.
fn own_target(head: &Head<'_>) -> Option<String> {
    let target = std::str::from_utf8(head.target).ok()?;
    let is_plain = target.len() <= TARGET_BYTES_MAX
        && target.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
        && target.starts_with('/')
        && !target.starts_with("//");
    is_plain.then(|| target.to_owned())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{HeaderMap, Version};

    use super::*;

    /// `HX-Redirect` and `HX-Retarget` of the answer to such a request.
    fn led(
        method: &str,
        target: &str,
        fields: &[(&'static str, &'static str)],
        page: Option<&str>,
    ) -> [Option<String>; 2] {
        let method: Method = method.parse().unwrap();
        let fields = fields
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        let headers: HeaderMap = fields.collect();
        let head = Head::new(&method, target.as_bytes(), Version::HTTP_11, &headers, None);
        let mut answer = Answer {
            status: 403,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            refusal: None,
            phrase: None,
        };
        lead(&mut answer, &head, headers.contains_key("authorization"), || page.map(str::to_owned));
        assert_eq!(answer.headers.contains_key("hx-reswap"), answer.headers.contains_key("hx-retarget"));
        [HX_REDIRECT, HX_RETARGET].map(|name| Some(answer.headers.get(name)?.to_str().unwrap().to_owned()))
    }

    const HTMX: (&str, &str) = ("hx-request", "true");
    const BOOSTED: (&str, &str) = ("hx-boosted", "true");

    #[test]
    fn htmx_is_told_where_to_go() {
        let page = Some("/.portcullis/refusal?x");
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(led("GET", "/a", &[], page), [None, None]);
        assert_eq!(led("GET", "/a", &[HTMX], page), [text("/.portcullis/refusal?x"), None]);
        assert_eq!(led("POST", "/a", &[HTMX], page), [text("/.portcullis/refusal?x"), None]);
        assert_eq!(led("POST", "/a", &[HTMX], None), [None, text("body")]);
        assert_eq!(led("GET", "/a?b=c", &[HTMX, BOOSTED], page), [text("/a?b=c"), None]);
        assert_eq!(
            led("POST", "/a", &[HTMX, BOOSTED], None),
            [None, text("body")],
            "a form is not sent again"
        );
        let bearer = ("authorization", "Bearer x");
        assert_eq!(led("GET", "/a", &[HTMX, BOOSTED, bearer], None), [None, text("body")]);
        let restores = ("hx-history-restore-request", "true");
        assert_eq!(led("GET", "/a", &[HTMX, restores], page), [None, None]);
    }

    #[test]
    fn nobody_is_sent_to_another_host() {
        for target in
            ["//evil.test/", "/\\evil.test/", "http://evil.test/", "/a\r\nX: y", "/ä", &"/a".repeat(4_000)]
        {
            assert_eq!(
                led("GET", target, &[HTMX, BOOSTED], None),
                [None, Some("body".to_owned())],
                "{target}"
            );
        }
    }
}
