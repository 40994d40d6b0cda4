//! The process' own messages, on standard error: lines for people, or one JSON object each for programs.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use portcullis_config::printable;
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
    // Counted, whatever the filter says.
    let counted = HANDSHAKES_AT.into_iter().filter_map(|target| format!("{target}=error").parse().ok());
    let filter = counted.fold(filter, EnvFilter::add_directive);
    // Below `info`, the libraries write whole heads and frames, tokens included: no filter may ask for it.
    let discreet =
        filter_fn(|event| *event.level() <= Level::INFO || event.target().starts_with("portcullis"));
    let format = LineFormat::default();
    // Without colours: nothing in a line steers a terminal.
    let lines =
        tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(false).event_format(format);
    let _ =
        tracing_subscriber::registry().with(lines).with(filter).with(discreet).with(Handshakes).try_init();
}

/// Where pingora reports handshakes that failed, of TLS and of HTTP/2; nothing else counts them.
const HANDSHAKES_AT: [&str; 2] = ["pingora_core::services::listening", "pingora_core::apps"];
/// How those lines begin.
const HANDSHAKE_LINES: [&str; 2] = ["Downstream handshake", "H2 handshake error"];

static HANDSHAKES_FAILED: AtomicU64 = AtomicU64::new(0);

/// TLS handshakes with clients that failed since the start.
#[must_use]
pub fn handshakes_failed() -> u64 {
    HANDSHAKES_FAILED.load(Ordering::Relaxed)
}

/// Counts failed handshakes instead of logging them: each probe of a port, and each plain request to it, is one.
struct Handshakes;

impl<S: Subscriber> Layer<S> for Handshakes {
    fn event_enabled(&self, event: &Event<'_>, _context: Context<'_, S>) -> bool {
        let normal = event.normalized_metadata();
        let target = normal.as_ref().map_or_else(|| event.metadata().target(), |normal| normal.target());
        if !HANDSHAKES_AT.contains(&target) {
            return true;
        }
        let mut message = Message::default();
        event.record(&mut message);
        if message.of_handshake {
            HANDSHAKES_FAILED.fetch_add(1, Ordering::Relaxed);
        }
        !message.of_handshake
    }
}

#[derive(Default)]
struct Message {
    of_handshake: bool,
}

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            let line = format!("{value:?}");
            self.of_handshake = HANDSHAKE_LINES.iter().any(|begin| line.starts_with(begin));
        }
    }
}

/// Text or JSON, as the configuration says.
struct LineFormat {
    text: Format<Full>,
    json: Format<Json>,
}

impl Default for LineFormat {
    fn default() -> Self {
        Self { text: Format::default(), json: Format::default().json().flatten_event(true) }
    }
}

impl<S, N> FormatEvent<S, N> for LineFormat
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = String::new();
        if IS_JSON.load(Ordering::Relaxed) {
            self.json.format_event(context, Writer::new(&mut line), event)?;
        } else {
            self.text.format_event(context, Writer::new(&mut line), event)?;
        }
        writer.write_str(&printable::lines(&line))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn no_message_steers_a_terminal() {
        let page = Page::default();
        let writer = page.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .event_format(LineFormat::default())
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            tracing::error!(problem = %"x\u{1b}[2J\u{202e}\u{9b}y", "said \u{2066}so");
        });
        let text = String::from_utf8(page.0.lock().unwrap().clone()).unwrap();
        assert!(text.contains("said") && text.ends_with("\n"), "{text:?}");
        assert!(text.trim_end().chars().all(printable::is_printable), "{text:?}");
    }
}
