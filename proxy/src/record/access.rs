//! The access log: one line for each finished request, as web servers write it.
//!
//! It never holds a query, a cookie or a token; the person is named as in the decision log.

use std::io::Write as _;

use portcullis_config::settings::AccessFormat;
use serde::Serialize;

use super::lines::Line;
use crate::clock;

/// One request, as it ended.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Access {
    /// When it was received, UTC, ISO 8601.
    pub created_date_time: String,
    /// The same in Unix seconds.
    #[serde(skip)]
    pub unix_secs: i64,
    /// The id on page, header and in the decision log.
    pub request_id: String,
    /// `granted`, `denied`, `aborted`, …
    pub outcome: &'static str,
    /// The closed word for why it stopped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// The client's address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip_address: Option<String>,
    /// The person or program, as `decision-log.subject` says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// The app.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app_id: Option<String>,
    /// The host that was asked.
    pub host: String,
    /// Method.
    pub method: String,
    /// Path, without the query.
    pub path: String,
    /// `HTTP/1.1`, `HTTP/2.0`, …
    pub protocol: &'static str,
    /// The status that was sent; 499 when the client went away before there was one.
    pub status: u16,
    /// Whether the answer was cut after its head, for `reason`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub answer_truncated: bool,
    /// Bytes of the request's body.
    pub bytes_in: u64,
    /// Bytes of the answer's body.
    pub bytes_out: u64,
    /// From the head to the end of the answer.
    pub duration_ms: f64,
    /// The server of the app to which it was sent last, as the configuration names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream_server: Option<String>,
    /// How many servers it was sent to, one after the other; `None` where it was sent to none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream_attempts: Option<usize>,
    /// `User-Agent`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    /// How it is to be written.
    #[serde(skip)]
    pub format: AccessFormat,
}

impl Line for Access {
    fn weight(&self) -> usize {
        let own = [&self.created_date_time, &self.request_id, &self.host, &self.method, &self.path];
        let maybe = [&self.ip_address, &self.user_id, &self.app_id, &self.upstream_server, &self.user_agent];
        size_of::<Self>()
            + own.iter().map(|text| text.capacity()).sum::<usize>()
            + maybe.iter().filter_map(|text| text.as_ref()).map(String::capacity).sum::<usize>()
    }

    fn write(&self, line: &mut Vec<u8>) -> std::io::Result<()> {
        match self.format {
            AccessFormat::Json => serde_json::to_writer(line, self).map_err(Into::into),
            AccessFormat::Combined => self.write_combined(line),
        }
    }
}

impl Access {
    /// `address - user [time] "request" status bytes "referer" "user agent"`. The referer is left out: it may
    /// hold another page's secrets.
    fn write_combined(&self, line: &mut Vec<u8>) -> std::io::Result<()> {
        let time = clock::common_log(self.unix_secs);
        let address = self.ip_address.as_deref().unwrap_or("-");
        write!(line, "{address} - ")?;
        plain(line, self.user_id.as_deref().unwrap_or("-"));
        write!(line, " [{time}] \"")?;
        plain(line, &self.method);
        line.push(b' ');
        plain(line, &self.path);
        write!(line, " {}\" {} {} \"-\" \"", self.protocol, self.status, self.bytes_out)?;
        quoted(line, self.user_agent.as_deref().unwrap_or("-"));
        line.push(b'"');
        Ok(())
    }
}

/// Text between quotation marks, as nginx escapes it: what would end or forge the value is `\xNN`.
fn quoted(line: &mut Vec<u8>, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' | ..b' ' | 0x7f.. => line.extend_from_slice(format!("\\x{byte:02X}").as_bytes()),
            _ => line.push(byte),
        }
    }
}

/// The same where a space would end the value.
fn plain(line: &mut Vec<u8>, text: &str) {
    let mut parts = text.split(' ');
    quoted(line, parts.next().unwrap_or_default());
    for part in parts {
        line.extend_from_slice(b"\\x20");
        quoted(line, part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(format: AccessFormat) -> Access {
        Access {
            created_date_time: "2026-11-27T10:00:00.123Z".into(),
            unix_secs: 1_795_773_600,
            request_id: "0199".into(),
            outcome: "granted",
            reason: None,
            ip_address: Some("203.0.113.7".into()),
            user_id: Some("an na".into()),
            app_id: None,
            host: "wiki.test".into(),
            method: "GET".into(),
            path: "/a \"b\" ü".into(),
            protocol: "HTTP/1.1",
            status: 200,
            answer_truncated: false,
            bytes_in: 0,
            bytes_out: 5,
            duration_ms: 1.5,
            upstream_server: None,
            upstream_attempts: None,
            user_agent: Some("x\" 500 0 \"-\" \"\\\n".into()),
            format,
        }
    }

    fn line(access: &Access) -> String {
        let mut line = Vec::new();
        access.write(&mut line).unwrap();
        String::from_utf8(line).unwrap()
    }

    #[test]
    fn a_combined_line_is_what_web_servers_write_and_no_value_forges_another() {
        assert_eq!(
            line(&access(AccessFormat::Combined)),
            r#"203.0.113.7 - an\x20na [27/Nov/2026:10:00:00 +0000] "GET /a\x20\x22b\x22\x20\xC3\xBC HTTP/1.1" 200 5 "-" "x\x22 500 0 \x22-\x22 \x22\x5C\x0A""#
        );
    }

    #[test]
    fn a_json_line_is_one_object() {
        let found: serde_json::Value = serde_json::from_str(&line(&access(AccessFormat::Json))).unwrap();
        assert_eq!(found["status"], 200);
        assert_eq!(found["path"], "/a \"b\" ü");
        assert!(found.get("format").is_none() && found.get("reason").is_none(), "{found}");
    }
}
