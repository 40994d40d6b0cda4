//! What the proxy decided on a request of the demo, from its decision log: the demo shows it beside the wiki's page, for
//! an app is told who asks and never which policies let them in.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

/// What of the log's end is read, in bytes.
const TAIL_BYTES: u64 = 256 << 10;
/// The log is written after the answer: so often it is looked at, and so long is waited in between.
const LOOKS: usize = 40;
const PAUSE: Duration = Duration::from_millis(50);

/// Each policy that applied to a request, with its result; `None` where the log has no line of it.
pub(super) async fn policies_of(log: &Path, request_id: &str) -> Option<Vec<(String, String)>> {
    let wanted = uuid::Uuid::try_parse(request_id).ok()?.to_string();
    for _ in 0..LOOKS {
        let log = log.to_owned();
        let tail = tokio::task::spawn_blocking(move || tail(&log)).await.ok().and_then(Result::ok);
        if let Some(found) = tail.as_deref().and_then(|tail| find(tail, &wanted)) {
            return Some(found);
        }
        tokio::time::sleep(PAUSE).await;
    }
    None
}

fn tail(log: &Path) -> io::Result<String> {
    let mut file = File::open(log)?;
    let end = file.metadata()?.len();
    file.seek(SeekFrom::Start(end.saturating_sub(TAIL_BYTES)))?;
    let mut bytes = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn find(tail: &str, request_id: &str) -> Option<Vec<(String, String)>> {
    let entry = tail.lines().rev().find_map(|line| {
        let entry: Value = serde_json::from_str(line).ok()?;
        (entry.get("requestId")?.as_str()? == request_id).then_some(entry)
    })?;
    let applied = entry.get("appliedConditionalAccessPolicies")?.as_array()?;
    let text = |policy: &Value, name: &str| Some(policy.get(name)?.as_str()?.to_owned());
    Some(applied.iter().filter_map(|policy| Some((text(policy, "id")?, text(policy, "result")?))).collect())
}

#[cfg(test)]
mod tests {
    use super::find;

    #[test]
    fn the_policies_of_a_request_are_found_by_its_id() {
        let log = concat!(
            "cut}\n",
            r#"{"requestId":"a","appliedConditionalAccessPolicies":[{"id":"p","result":"success"}]}"#,
            "\n",
            r#"{"requestId":"b","appliedConditionalAccessPolicies":[]}"#,
            "\n"
        );
        assert_eq!(find(log, "a"), Some(vec![("p".to_owned(), "success".to_owned())]));
        assert_eq!(find(log, "b"), Some(Vec::new()));
        assert_eq!(find(log, "c"), None);
    }
}
