//! What is logged, where, and how people are named there.

use std::net::SocketAddr;
use std::path::PathBuf;

use portcullis_policy::words;

words! {
    /// How the process' own messages are written to standard error.
    pub enum ProcessLog {
        /// For people.
        Text = "text",
        /// One JSON object a line.
        Json = "json",
    }
}

words! {
    /// How the decision log names the person or program that asked.
    pub enum Subject {
        /// By id, in clear text.
        Clear = "clear",
        /// By a keyed hash of the id: the same person has the same hash, and nobody without the key
        /// can see who it is.
        Hashed = "hashed",
        /// Not at all.
        None = "none",
    }
}

/// Which decisions are logged, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecisionLog {
    /// Where they go.
    pub sink: LogSink,
    /// One in so many requests that were let in is logged too; `None` is none of them. At least 1.
    pub grants_one_in: Option<u32>,
    /// The access log beside it; `None` is none.
    pub access: Option<AccessLog>,
}

/// Where each request is logged as web servers do, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessLog {
    /// Where lines go.
    pub sink: LogSink,
    /// How they are written.
    pub format: AccessFormat,
}

words! {
    /// How a line of the access log is written.
    pub enum AccessFormat {
        /// One JSON object.
        Json = "json",
        /// The combined format of Apache and nginx.
        Combined = "combined",
    }
}

/// Where the decision log goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogSink {
    /// Not logged.
    Off,
    /// Standard output.
    Stdout,
    /// Appended to a file.
    File {
        /// The file.
        path: PathBuf,
        /// At this size a new one is begun; `None` is never.
        bytes_max: Option<u64>,
        /// How many full ones remain, as `NAME.1` (the newest) to `NAME.KEEP`.
        keep: u32,
    },
    /// To a syslog daemon.
    Syslog(SyslogTarget),
}

/// Where a syslog daemon listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SyslogTarget {
    /// A datagram socket on this machine, such as `/dev/log`.
    Socket(PathBuf),
    /// RFC 5424 over UDP.
    Udp(SocketAddr),
}
