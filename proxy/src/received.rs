//! What a client sends, byte for byte. Pingora's parser mends what it reads: it escapes a space in a target,
//! and takes anything for a chunk's extension. What needed mending is refused, so its bytes must be seen
//! before the parser has them. One thing is mended here, since the parser would refuse it: bytes of a query that
//! have no place in a URI are percent-encoded.

use std::borrow::Cow;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use pingora::apps::{HttpServerApp, HttpServerOptions, ReusedHttpStream, ServerApp};
use pingora::protocols::http::ServerSession;
use pingora::protocols::http::v2::server::H2Options;
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::tls::{SslDigest, TlsRef};
use pingora::protocols::{
    ALPN, GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, Stream,
    TimingDigest, UniqueID,
};
use pingora::server::ShutdownWatch;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::admit::{ChunkLines, QueryEncoder};

/// Bytes that are kept until a head is judged: the largest that is admitted, and what came with its end. A
/// longer one is refused for its length.
const HEAD_BYTES_MAX: usize = 128 * 1024;
/// Room that is kept between two requests of a connection, in bytes.
const IDLE_BYTES: usize = 4 * 1024;

/// Takes connections in, and has what comes on them watched.
pub(crate) struct InspectingServer<P> {
    proxy: Arc<Proxy<P>>,
}

impl<P> InspectingServer<P> {
    /// Before this proxy.
    pub(crate) fn new(proxy: P) -> Self {
        Self { proxy: Arc::new(Proxy { proxy: Arc::new(proxy) }) }
    }
}

#[async_trait]
impl<P: HttpServerApp + Send + Sync + 'static> ServerApp for InspectingServer<P> {
    async fn process_new(self: &Arc<Self>, stream: Stream, shutdown: &ShutdownWatch) -> Option<Stream> {
        // HTTP/2 has lengths for everything, and no lines.
        let stream = match stream.selected_alpn_proto() {
            Some(ALPN::H2) => stream,
            _ => Box::new(InspectedStream::new(stream)),
        };
        self.proxy.process_new(stream, shutdown).await
    }

    async fn cleanup(&self) {
        self.proxy.cleanup().await;
    }
}

/// Says when a request begins.
struct Proxy<P> {
    proxy: Arc<P>,
}

#[async_trait]
impl<P: HttpServerApp + Send + Sync + 'static> HttpServerApp for Proxy<P> {
    async fn process_new_http(
        self: &Arc<Self>,
        session: ServerSession,
        shutdown: &ShutdownWatch,
    ) -> Option<ReusedHttpStream> {
        if let Some(stream) = InspectedStream::of(&session) {
            stream.inspection.lock().expect_head();
        }
        self.proxy.process_new_http(session, shutdown).await
    }

    fn h2_options(&self) -> Option<H2Options> {
        self.proxy.h2_options()
    }

    fn server_options(&self) -> Option<&HttpServerOptions> {
        self.proxy.server_options()
    }

    async fn http_cleanup(&self) {
        self.proxy.http_cleanup().await;
    }
}

/// A connection that speaks HTTP/1.
#[derive(Debug)]
pub(crate) struct InspectedStream {
    stream: Stream,
    /// Encoded bytes that found no room where the read bytes had been.
    unread: Vec<u8>,
    /// Nobody else has it while bytes are read.
    inspection: Mutex<Inspection>,
}

#[derive(Debug, Default)]
struct Inspection {
    /// Of the head, and what came with its end, until it is judged.
    head: Vec<u8>,
    expected: Expected,
}

/// What the bytes that come next are.
#[derive(Debug)]
enum Expected {
    Head(QueryEncoder),
    /// A body with chunks, and whether all lines of it were right.
    Chunks(ChunkLines, bool),
    /// What nobody needs to watch.
    Anything,
}

impl Default for Expected {
    fn default() -> Self {
        Self::Head(QueryEncoder::default())
    }
}

impl Inspection {
    fn expect_head(&mut self) {
        self.head.clear();
        self.head.shrink_to(IDLE_BYTES);
        self.expected = Expected::default();
    }

    /// Received bytes as the parser is to have them; `None` for as they are.
    fn encode(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        let Expected::Head(query) = &mut self.expected else { return None };
        match query.encode(bytes) {
            Cow::Borrowed(_) => None,
            Cow::Owned(encoded) => Some(encoded),
        }
    }

    /// `false` when these bytes may not come here.
    fn take(&mut self, bytes: &[u8]) -> bool {
        match &mut self.expected {
            Expected::Head(_) => {
                let room = HEAD_BYTES_MAX.saturating_sub(self.head.len()).min(bytes.len());
                self.head.extend_from_slice(bytes.get(..room).unwrap_or_default());
                true
            }
            Expected::Chunks(lines, good) => {
                *good &= lines.take(bytes);
                *good
            }
            Expected::Anything => true,
        }
    }
}

impl InspectedStream {
    fn new(stream: Stream) -> Self {
        Self { stream, unread: Vec::new(), inspection: Mutex::new(Inspection::default()) }
    }

    /// The connection of a session, if it speaks HTTP/1.
    pub(crate) fn of(session: &ServerSession) -> Option<&Self> {
        (**session.stream()?).as_any().downcast_ref()
    }

    /// Looks at what came since the request began: its head, and what came with the end of it.
    pub(crate) fn head<T>(&self, look: impl FnOnce(&[u8]) -> T) -> T {
        look(&self.inspection.lock().head)
    }

    /// The head is judged: what follows its `head_bytes` is the body, in chunks or not. `false` when its
    /// beginning, which came already, is wrong.
    pub(crate) fn expect_body(&self, head_bytes: usize, chunked: bool) -> bool {
        let mut inspection = self.inspection.lock();
        inspection.expected =
            if chunked { Expected::Chunks(ChunkLines::new(), true) } else { Expected::Anything };
        let head = std::mem::take(&mut inspection.head);
        let good = inspection.take(head.get(head_bytes..).unwrap_or_default());
        inspection.head = head;
        good
    }

    /// Whether a line of the chunked body was wrong; nothing of it passes then.
    pub(crate) fn has_malformed_chunks(&self) -> bool {
        matches!(self.inspection.lock().expected, Expected::Chunks(_, false))
    }
}

impl AsyncRead for InspectedStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let inspection = this.inspection.get_mut();
        if this.unread.is_empty() {
            ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
            if let Some(encoded) = inspection.encode(buf.filled().get(before..).unwrap_or_default()) {
                this.unread = encoded;
                buf.set_filled(before);
            }
        }
        let fits = this.unread.len().min(buf.remaining());
        buf.put_slice(this.unread.drain(..fits).as_slice());
        if inspection.take(buf.filled().get(before..).unwrap_or_default()) {
            return Poll::Ready(Ok(()));
        }
        buf.set_filled(before);
        Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, "a line of the chunked body is wrong")))
    }
}

impl AsyncWrite for InspectedStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

#[async_trait]
impl Shutdown for InspectedStream {
    async fn shutdown(&mut self) {
        self.stream.shutdown().await;
    }
}

impl UniqueID for InspectedStream {
    fn id(&self) -> i32 {
        self.stream.id()
    }
}

impl Ssl for InspectedStream {
    fn get_ssl(&self) -> Option<&TlsRef> {
        self.stream.get_ssl()
    }

    fn get_ssl_digest(&self) -> Option<Arc<SslDigest>> {
        self.stream.get_ssl_digest()
    }

    fn selected_alpn_proto(&self) -> Option<ALPN> {
        self.stream.selected_alpn_proto()
    }
}

impl GetTimingDigest for InspectedStream {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        self.stream.get_timing_digest()
    }

    fn get_read_pending_time(&self) -> Duration {
        self.stream.get_read_pending_time()
    }

    fn get_write_pending_time(&self) -> Duration {
        self.stream.get_write_pending_time()
    }
}

impl GetProxyDigest for InspectedStream {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        self.stream.get_proxy_digest()
    }

    fn set_proxy_digest(&mut self, digest: ProxyDigest) {
        self.stream.set_proxy_digest(digest);
    }
}

impl GetSocketDigest for InspectedStream {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        self.stream.get_socket_digest()
    }

    fn set_socket_digest(&mut self, digest: SocketDigest) {
        self.stream.set_socket_digest(digest);
    }
}

#[async_trait]
impl Peek for InspectedStream {
    async fn try_peek(&mut self, buf: &mut [u8]) -> io::Result<bool> {
        self.stream.try_peek(buf).await
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[test]
    fn what_comes_with_the_end_of_a_head_is_the_begin_of_its_body() {
        let inspected = |bytes: &[u8]| {
            let (stream, _) = tokio::io::duplex(1);
            let stream = InspectedStream::new(Box::new(stream));
            assert!(stream.inspection.lock().take(bytes));
            stream
        };
        let head = b"POST / HTTP/1.1\r\n\r\n";
        assert!(inspected(head).expect_body(head.len(), true));
        assert!(inspected(&[&head[..], b"3;x\r\nab"].concat()).expect_body(head.len(), true));
        let broken = inspected(&[&head[..], b"3;\nab"].concat());
        assert!(!broken.expect_body(head.len(), true) && broken.has_malformed_chunks());
        let whole = inspected(&[&head[..], b"3;\nab"].concat());
        assert!(whole.expect_body(head.len(), false) && !whole.has_malformed_chunks());
    }

    #[tokio::test]
    async fn a_query_is_read_encoded_however_little_is_sent_and_read_at_a_time() {
        let sent = b"POST /a?\xe9\xe9\"<\xff HTTP/1.1\r\nX: \xe9\r\n\r\n?\xe9\"";
        let parsed = b"POST /a?%E9%E9%22%3C%FF HTTP/1.1\r\nX: \xe9\r\n\r\n?\xe9\"";
        for (sent_at_once, read_at_once) in [(1, 1), (1, 64), (3, 2), (64, 1), (64, 5), (64, 64)] {
            let (mut client, stream) = tokio::io::duplex(sent_at_once);
            let mut stream = InspectedStream::new(Box::new(stream));
            let send = async move { client.write_all(sent).await.unwrap() };
            let read = async {
                let (mut read, mut piece) = (Vec::new(), vec![0; read_at_once]);
                loop {
                    let count = stream.read(&mut piece).await.unwrap();
                    if count == 0 {
                        return read;
                    }
                    read.extend_from_slice(&piece[..count]);
                }
            };
            let ((), read) = tokio::join!(send, read);
            assert_eq!(read.escape_ascii().to_string(), parsed.escape_ascii().to_string());
            assert!(stream.head(|head| head == parsed), "the head is compared with what was parsed");
        }
    }
}
