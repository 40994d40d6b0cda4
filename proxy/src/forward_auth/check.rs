//! Envoy's `envoy.service.auth.v3.Authorization/Check`: attributes of a request come, and an answer goes that Envoy
//! carries out.
//!
//! What counts is what Envoy knows itself. The client is the other end of Envoy's connection (`source.address`), and
//! `X-Forwarded-For` says more only where that end is a trusted proxy. It came by https if its scheme
//! says so, or a TLS session has a server name.

use std::collections::HashMap;
use std::net::IpAddr;

use bytes::{BufMut as _, Bytes, BytesMut};
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, HOST, HeaderName, HeaderValue, SET_COOKIE};
use http::{HeaderMap, Method};
use prost::Message as _;

use super::allowed::Allowed;
use super::described::{BadDescription, Described, Fault, set_own_fields};
use super::messages::{
    self, AppendAction, AttributeContext, CheckRequest, CheckResponse, DeniedHttpResponse, HeaderValueOption,
    HttpRequest, HttpResponse, HttpStatus, Kind, OkHttpResponse, Peer, Status, Struct, Value,
};
use crate::admit::{Connection, encode_query};
use crate::denial::Answer;

/// The target of a call.
pub const TARGET: &[u8] = b"/envoy.service.auth.v3.Authorization/Check";
/// The type of its content.
pub const CONTENT_TYPE: &str = "application/grpc";
/// The largest message that is read: the head of a request, and what Envoy says beside it.
pub const MESSAGE_BYTES_MAX: usize = 256 << 10;
/// What stands before a message: whether it is compressed, and its length.
const PREFIX_BYTES: usize = 5;

/// `PERMISSION_DENIED` of gRPC's status codes.
const PERMISSION_DENIED: i32 = 7;

/// The request that a call describes.
///
/// # Errors
/// Which attribute is missing or unreadable.
pub fn described(call: &[u8]) -> Result<Described, BadDescription> {
    let request = message(call).and_then(|message| CheckRequest::decode(message).ok());
    let request = request.ok_or(BadDescription::new("CheckRequest", Fault::Malformed))?;
    let AttributeContext { source, destination, request, tls_session } =
        request.attributes.ok_or(BadDescription::new("attributes", Fault::Missing))?;
    let http = request
        .and_then(|request| request.http)
        .ok_or(BadDescription::new("attributes.request.http", Fault::Missing))?;
    let (peer, _) = socket(source).ok_or(BadDescription::new("attributes.source.address", Fault::Missing))?;
    let malformed = |field| BadDescription::new(field, Fault::Malformed);
    let method = Method::from_bytes(http.method.as_bytes())
        .map_err(|_| malformed("attributes.request.http.method"))?;
    if !http.path.starts_with('/') {
        return Err(malformed("attributes.request.http.path"));
    }
    let host = HeaderValue::from_str(&http.host).map_err(|_| malformed("attributes.request.http.host"))?;
    let target = encode_query(http.path.as_bytes()).into_owned();
    // A session without a name is said of plain connections, too.
    let tls = tls_session.is_some_and(|session| !session.sni.is_empty()) || http.scheme == "https";
    let mut headers = fields(http).ok_or(malformed("attributes.request.http.headers"))?;
    set_own_fields(&mut headers, host);
    let port = socket(destination).and_then(|(_, port)| port);
    let connection = Connection { peer, is_unknown: false, tls, port };
    Ok(Described { method, target, headers, connection })
}

/// The one message of a call, which is not compressed.
fn message(call: &[u8]) -> Option<&[u8]> {
    let (prefix, message) = call.split_first_chunk::<PREFIX_BYTES>()?;
    let [0, length @ ..] = *prefix else { return None };
    (usize::try_from(u32::from_be_bytes(length)) == Ok(message.len())).then_some(message)
}

fn socket(peer: Option<Peer>) -> Option<(IpAddr, Option<u16>)> {
    let socket = peer?.address?.socket_address?;
    let port = u16::try_from(socket.port_value).ok().filter(|port| *port != 0);
    Some((socket.address.parse().ok()?, port))
}

/// The fields of a request, each line as it came where Envoy says so. Without that, lines of one name are joined; and
/// what then has two readings is refused as if a client had sent it so.
fn fields(http: HttpRequest) -> Option<HeaderMap> {
    let lines: Vec<(String, Vec<u8>)> = match http.header_map {
        Some(map) => {
            let value = |line: &messages::HeaderValue| match line.raw_value.as_slice() {
                [] => line.value.clone().into_bytes(),
                raw => raw.to_vec(),
            };
            map.headers.into_iter().map(|line| (line.key.clone(), value(&line))).collect()
        }
        None => http.headers.into_iter().map(|(name, value)| (name, value.into_bytes())).collect(),
    };
    let mut fields = HeaderMap::with_capacity(lines.len());
    // Pseudo-headers are said beside.
    for (name, value) in lines.into_iter().filter(|(name, _)| !name.starts_with(':')) {
        let name = HeaderName::from_bytes(name.as_bytes()).ok().filter(|name| *name != HOST);
        let (name, value) = (name?, HeaderValue::from_bytes(&value).ok()?);
        fields.append(name, value);
    }
    Some(fields)
}

/// What Envoy's other filters and its access log may read of an answer, under the name of the filter.
#[derive(Clone, Debug, Default)]
pub struct Results {
    /// The request's id.
    pub request_id: String,
    /// `granted`, `denied`, …
    pub outcome: &'static str,
    /// The closed word for why.
    pub reason: Option<&'static str>,
    /// The app's id.
    pub app_id: Option<String>,
    /// Policies that applied, with their results.
    pub policies: Vec<(String, &'static str)>,
}

impl Results {
    fn metadata(self) -> Struct {
        let text = |text: &str| Value { kind: Some(Kind::Text(text.to_owned())) };
        let policies = self.policies.into_iter().map(|(id, result)| (id, text(result))).collect();
        let mut fields = HashMap::from([
            ("requestId".to_owned(), text(&self.request_id)),
            ("outcome".to_owned(), text(self.outcome)),
            ("policies".to_owned(), Value { kind: Some(Kind::Struct(Struct { fields: policies })) }),
        ]);
        let others = [("reason", self.reason), ("appId", self.app_id.as_deref())];
        fields.extend(others.into_iter().filter_map(|(name, value)| Some((name.to_owned(), text(value?)))));
        Struct { fields }
    }
}

/// Lets a request in: with these changes on the way to the app, and these fields in its answer to the client.
#[must_use]
pub fn allow(allowed: &Allowed, to_client: &HeaderMap, results: Results) -> Bytes {
    let removed = allowed.taken_away().map(HeaderName::to_string);
    framed(&CheckResponse {
        status: Some(Status { code: 0 }),
        http_response: Some(HttpResponse::Ok(OkHttpResponse {
            headers: allowed.set.iter().map(|(name, value)| option(name, value)).collect(),
            headers_to_remove: removed.collect(),
            response_headers_to_add: options(to_client),
        })),
        dynamic_metadata: Some(results.metadata()),
    })
}

/// Has Envoy answer a request with this.
#[must_use]
pub fn deny(answer: &Answer, results: Results) -> Bytes {
    let mut headers = answer.headers.clone();
    // Envoy frames the answer itself.
    headers.remove(CONTENT_LENGTH);
    framed(&CheckResponse {
        status: Some(Status { code: PERMISSION_DENIED }),
        http_response: Some(HttpResponse::Denied(DeniedHttpResponse {
            status: Some(HttpStatus { code: i32::from(answer.status) }),
            headers: options(&headers),
            body: String::from_utf8_lossy(&answer.body).into_owned(),
        })),
        dynamic_metadata: Some(results.metadata()),
    })
}

fn options(headers: &HeaderMap) -> Vec<HeaderValueOption> {
    headers.iter().map(|(name, value)| option(name, value)).collect()
}

fn option(name: &HeaderName, value: &HeaderValue) -> HeaderValueOption {
    // What an app says beside ours stays.
    let action = match *name {
        SET_COOKIE | CACHE_CONTROL => AppendAction::AppendIfExistsOrAdd,
        _ => AppendAction::OverwriteIfExistsOrAdd,
    };
    // All that we write is visible ASCII; a cookie of somebody else's may hold other bytes, which protobuf does not carry.
    let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
    HeaderValueOption {
        header: Some(messages::HeaderValue { key: name.to_string(), value, raw_value: Vec::new() }),
        append_action: action.into(),
    }
}

fn framed(response: &CheckResponse) -> Bytes {
    let message = response.encode_to_vec();
    let mut frame = BytesMut::with_capacity(PREFIX_BYTES + message.len());
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    frame.put_slice(&message);
    frame.freeze()
}

#[cfg(test)]
mod tests;
