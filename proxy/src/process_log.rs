//! The process' own messages, on standard error: lines for people, or one JSON object each for programs.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

use portcullis_config::printable;
use portcullis_config::settings::ProcessLog;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::format::{Format, Full, Json, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;

/// The configuration says how lines are written, and it is read when lines can be written already.
static IS_JSON: AtomicBool = AtomicBool::new(false);

/// Says how lines are written from here on.
pub fn write_as(form: ProcessLog) {
    IS_JSON.store(form == ProcessLog::Json, Ordering::Relaxed);
}

/// Writes messages to standard error; once for each process.
pub fn install() {
    // These libraries report what a client does as errors and warnings, a line for each: that is counted, not written.
    let filter = EnvFilter::try_from_env("PORTCULLIS_LOG").unwrap_or_else(|_| {
        EnvFilter::new("warn,portcullis=info,pingora_core=off,pingora_proxy=off,h2=off,rustls=off")
    });
    // Below `info`, the libraries write whole heads and frames, tokens included: no filter may ask for it.
    let discreet =
        filter_fn(|event| *event.level() <= Level::INFO || event.target().starts_with("portcullis"));
    let format = LineFormat::default();
    // Without colours: nothing in a line steers a terminal.
    let lines =
        tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(false).event_format(format);
    let _ = tracing_subscriber::registry().with(lines).with(filter).with(discreet).try_init();
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
