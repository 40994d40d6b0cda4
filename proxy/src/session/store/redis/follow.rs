//! What other replicas end, as it happens: a stream that is read with a wait, on a connection of its own.
//!
//! A new connection reads the whole stream again, so nothing is missed across a break, a restart or a failover. While there
//! is no such connection, the one of requests is asked every half second. Each time everything has been read, the link is
//! confirmed; what is not confirmed is not relied on.

use std::time::Duration;

use ::redis::aio::{ConnectionLike, MultiplexedConnection};
use ::redis::{RedisError, RedisResult, cmd};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::requests::{RedisStore, fault};
use super::{connect, scripts};
use crate::clock::Moment;
use crate::session::key::Mark;
use crate::session::outage::{Operation, StoreUnavailable};
use crate::session::revocation::{By, Notice};

/// How long the server waits for news before it says that there are none.
const WAIT: Duration = Duration::from_millis(500);
/// How often a server that does not answer is asked at the start.
const FIRST_LOOK: Duration = Duration::from_millis(50);
/// Read at once.
const COUNT: usize = 1000;
/// The id before the first.
const START: &str = "0";

/// An entry: its id, and names and values.
type Row = (String, Vec<(String, String)>);
type Rows = Option<Vec<(String, Vec<Row>)>>;

/// Where reading stands.
struct Reader<'s> {
    store: &'s RedisStore,
    last: String,
}

/// Follows what other replicas end, until `shutdown` turns true.
pub(crate) async fn follow(store: &RedisStore, mut shutdown: watch::Receiver<bool>) {
    let mut reader = Reader { store, last: START.to_owned() };
    tokio::select! {
        () = reader.follow() => {}
        _ = shutdown.wait_for(|ends| *ends) => {}
    }
}

impl RedisStore {
    /// Waits until everything is known that others ended, or `time` is over: then requests with sessions are refused as
    /// temporary until it is.
    pub(crate) async fn first_news(&self, time: Duration) {
        let mut reader = Reader { store: self, last: START.to_owned() };
        let news = async {
            while reader.poll().await.is_err() {
                sleep(FIRST_LOOK).await;
            }
        };
        if timeout(time, news).await.is_err() {
            tracing::warn!(
                seconds = time.as_secs(),
                "the session store does not answer yet; sessions are refused as temporary until it does"
            );
        }
    }
}

impl Reader<'_> {
    async fn follow(&mut self) {
        loop {
            match connect::follower(&self.store.client, WAIT).await {
                Ok(connection) => {
                    self.last = START.to_owned();
                    self.listen(connection).await;
                }
                Err(problem) => self.store.health.count(failure(&problem)),
            }
            // What fails is noted.
            let _ = self.poll().await;
            sleep(WAIT).await;
        }
    }

    /// Reads until the connection breaks.
    async fn listen(&mut self, mut connection: MultiplexedConnection) {
        loop {
            if let Err(problem) = self.read(&mut connection, Some(WAIT)).await {
                return self.store.health.count(failure(&problem));
            }
        }
    }

    /// Reads through the connection of requests.
    async fn poll(&mut self) -> Result<(), StoreUnavailable> {
        let not_open = |fault| StoreUnavailable { operation: Operation::Follow, fault };
        let mut connection = self.store.connected().map_err(not_open)?;
        // It may lead to another server than before.
        self.last = START.to_owned();
        let read = self.read(&mut connection, None).await;
        read.map_err(|problem| failure(&problem)).inspect_err(|failure| self.store.health.fails(*failure))
    }

    /// Reads what is new, and waits for it for a while.
    async fn read(
        &mut self,
        connection: &mut impl ConnectionLike,
        wait: Option<Duration>,
    ) -> RedisResult<()> {
        loop {
            let mut command = cmd("XREAD");
            command.arg("COUNT").arg(COUNT);
            if let Some(wait) = wait {
                command.arg("BLOCK").arg(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
            }
            command.arg("STREAMS").arg(scripts::STREAM).arg(&self.last);
            let rows: Rows = command.query_async(connection).await?;
            let rows = rows.into_iter().flatten().flat_map(|(_, rows)| rows);
            let mut count = 0;
            for (id, fields) in rows {
                count += 1;
                match notice(&fields) {
                    Some(notice) => self.store.taken_up(&notice),
                    None => tracing::warn!("an entry of the stream of revocations is not understood"),
                }
                self.last = id;
            }
            if count < COUNT {
                self.store.link.confirm();
                self.store.health.works();
                return Ok(());
            }
        }
    }
}

fn failure(problem: &RedisError) -> StoreUnavailable {
    StoreUnavailable { operation: Operation::Follow, fault: fault(problem) }
}

fn notice(fields: &[(String, String)]) -> Option<Notice> {
    let value = |name| fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str());
    Some(Notice {
        mark: Mark(digest(value("m")?)?),
        not_before: Moment(value("n")?.parse().ok()?),
        until: value("u")?.parse().ok()?,
        by: By::Known,
    })
}

fn digest(hex: &str) -> Option<[u8; 32]> {
    let mut digest = [0; 32];
    let (pairs, rest) = hex.as_bytes().as_chunks::<2>();
    if !rest.is_empty() || pairs.len() != digest.len() {
        return None;
    }
    for (byte, [high, low]) in digest.iter_mut().zip(pairs) {
        let (high, low) = (char::from(*high).to_digit(16)?, char::from(*low).to_digit(16)?);
        *byte = u8::try_from(high * 16 + low).ok()?;
    }
    Some(digest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::store::redis::requests::hex;

    #[test]
    fn a_notice_is_read_and_nonsense_is_not() {
        let fields = |mark: &str, n: &str| {
            [("m", mark), ("n", n), ("u", "9")].map(|(name, value)| (name.to_owned(), value.to_owned()))
        };
        let mark = hex(&[0xab; 32]);
        let expected = Notice { mark: Mark([0xab; 32]), not_before: Moment::LAST, until: 9, by: By::Known };
        assert_eq!(notice(&fields(&mark, &i64::MAX.to_string())), Some(expected));
        for bad in [
            "",
            "ab",
            mark.get(1..).unwrap(),
            &format!("{mark}a"),
            &format!("{mark}ab"),
            &mark.replace('a', "ä"),
        ] {
            assert_eq!(notice(&fields(bad, "1")), None, "{bad}");
        }
        assert_eq!(notice(&fields(&mark, "soon")), None);
    }
}
