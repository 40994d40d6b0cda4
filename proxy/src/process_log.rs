//! The process' own messages, on standard error: lines for people, or one JSON object each for programs.

use std::fmt;
use std::io::IsTerminal as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use portcullis_config::settings::ProcessLog;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_log::NormalizeEvent as _;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::format::{Format, Full, Json, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::Context;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer};

/// The configuration says how lines are written, and it is read when lines can be written already.
static IS_JSON: AtomicBool = AtomicBool::new(false);

/// Says how lines are written from here on.
pub fn write_as(form: ProcessLog) {
    IS_JSON.store(form == ProcessLog::Json, Ordering::Relaxed);
}

/// Writes messages to standard error; once for each process.
pub fn install() {
    // Pingora reports client disconnects as errors; they say nothing to an operator.
    let filter = EnvFilter::try_from_env("PORTCULLIS_LOG").unwrap_or_else(|_| {
        EnvFilter::new(
            "warn,portcullis=info,pingora_core=error,pingora_core::connectors=off,pingora_proxy=off",
        )
    });
    // Counted, whatever is asked for.
    let filter = match format!("{HANDSHAKES_AT}=error").parse() {
        Ok(directive) => filter.add_directive(directive),
        Err(_) => filter,
    };
    // Below `info`, the libraries write whole heads and frames, tokens included: no filter may ask for it.
    let discreet = filter_fn(|told| *told.level() <= Level::INFO || told.target().starts_with("portcullis"));
    let either = Either { text: Format::default(), json: Format::default().json().flatten_event(true) };
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .event_format(either);
    let _ =
        tracing_subscriber::registry().with(lines).with(filter).with(discreet).with(Handshakes).try_init();
}

/// Where pingora tells of handshakes that failed; nothing else counts them.
const HANDSHAKES_AT: &str = "pingora_core::services::listening";

static HANDSHAKES_FAILED: AtomicU64 = AtomicU64::new(0);

/// TLS handshakes with clients that failed since the start.
#[must_use]
pub fn handshakes_failed() -> u64 {
    HANDSHAKES_FAILED.load(Ordering::Relaxed)
}

/// Counts failed handshakes instead of writing of them: each probe of a port, and each plain request to it, is one.
struct Handshakes;

impl<S: Subscriber> Layer<S> for Handshakes {
    fn event_enabled(&self, event: &Event<'_>, _context: Context<'_, S>) -> bool {
        let normal = event.normalized_metadata();
        let target = normal.as_ref().map_or_else(|| event.metadata().target(), |normal| normal.target());
        if target != HANDSHAKES_AT {
            return true;
        }
        let mut told = Told::default();
        event.record(&mut told);
        if told.of_handshake {
            HANDSHAKES_FAILED.fetch_add(1, Ordering::Relaxed);
        }
        !told.of_handshake
    }
}

#[derive(Default)]
struct Told {
    of_handshake: bool,
}

impl Visit for Told {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.of_handshake = format!("{value:?}").starts_with("Downstream handshake");
        }
    }
}

/// One form or the other.
struct Either {
    text: Format<Full>,
    json: Format<Json>,
}

impl<S, N> FormatEvent<S, N> for Either
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        if IS_JSON.load(Ordering::Relaxed) {
            self.json.format_event(context, writer, event)
        } else {
            self.text.format_event(context, writer, event)
        }
    }
}
