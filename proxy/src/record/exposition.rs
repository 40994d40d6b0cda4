//! Prometheus' two text formats: 0.0.4, and OpenMetrics 1.0 with exemplars.
//!
//! Sources: Prometheus "Exposition formats", OpenMetrics 1.0 sections 5 and 6.

use std::fmt::{Display, Write as _};

use prometheus::proto::{MetricFamily, MetricType};

use super::names::{Family, Kind};

/// The longest that an exemplar's labels may be together, in characters (OpenMetrics 1.0, 4.6.1);
/// a request id in one label is far below.
#[cfg(test)]
const EXEMPLAR_CHARS_MAX: usize = 128;

/// Which format a page is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `text/plain; version=0.0.4`
    Text,
    /// `application/openmetrics-text; version=1.0.0`
    OpenMetrics,
}

impl Format {
    /// The better of the formats that a scraper accepts; text unless OpenMetrics is asked for.
    #[must_use]
    pub fn accepted(accept: Option<&str>) -> Self {
        let wanted = accept.is_some_and(|accept| {
            accept.split(',').any(|kind| {
                let mut parts = kind.split(';').map(str::trim);
                let asked = parts.next().is_some_and(|kind| kind == "application/openmetrics-text");
                asked && !parts.any(|part| matches!(part, "q=0" | "q=0.0"))
            })
        });
        if wanted { Self::OpenMetrics } else { Self::Text }
    }

    /// The `Content-Type`.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// One request that stands for a count.
#[derive(Clone, Copy, Debug)]
pub(super) struct Exemplar {
    pub(super) request_id: u128,
    pub(super) value: f64,
    pub(super) unix_ms: i64,
}

/// A page that is being written. Both formats are lines of the same kind, written straight into the text: ten thousand
/// policies are thirty thousand lines at each scrape. What only OpenMetrics knows is left out of the other.
#[derive(Debug)]
pub(super) struct Page {
    text: String,
    format: Format,
}

impl Page {
    /// A page that will be about as long as the last one.
    pub(super) fn new(format: Format, expected_bytes: usize) -> Self {
        Self { text: String::with_capacity(expected_bytes), format }
    }

    /// Begins a family; its samples follow.
    pub(super) const fn family(&mut self, family: &'static Family) -> Samples<'_> {
        Samples {
            page: self,
            name: family.name,
            kind: family.kind,
            help: family.help,
            labels: family.labels,
            begun: false,
        }
    }

    /// Families that a collector of the `prometheus` crate gathered, of which each has one value.
    pub(super) fn collected(&mut self, families: &[MetricFamily]) {
        for family in families {
            let kind = match family.get_field_type() {
                MetricType::COUNTER => Kind::Counter,
                MetricType::GAUGE => Kind::Gauge,
                MetricType::HISTOGRAM | MetricType::SUMMARY | MetricType::UNTYPED => continue,
            };
            let (name, help) = (family.name(), family.help());
            let mut samples = Samples { page: self, name, kind, help, labels: &[], begun: false };
            for metric in family.get_metric() {
                match kind {
                    Kind::Counter => samples.value(&[], metric.get_counter().get_value()),
                    Kind::Gauge | Kind::Histogram => samples.value(&[], metric.get_gauge().get_value()),
                };
            }
        }
    }

    pub(super) fn end(mut self) -> String {
        match self.format {
            Format::Text => {}
            Format::OpenMetrics => self.text.push_str("# EOF\n"),
        }
        self.text
    }
}

/// The samples of one family. Without any, the family says nothing and is left out.
#[derive(Debug)]
pub(super) struct Samples<'p> {
    page: &'p mut Page,
    name: &'p str,
    kind: Kind,
    help: &'p str,
    labels: &'static [&'static str],
    begun: bool,
}

impl Samples<'_> {
    /// One counter or gauge.
    pub(super) fn value(&mut self, labels: &[&str], value: impl Display) -> &mut Self {
        self.line("", labels, None, value, None)
    }

    /// One counter with a request that stands for it.
    pub(super) fn counted(
        &mut self,
        labels: &[&str],
        value: impl Display,
        exemplar: Option<Exemplar>,
    ) -> &mut Self {
        self.line("", labels, None, value, exemplar)
    }

    /// One histogram: counts of each bucket, not added up, and the sum.
    pub(super) fn histogram(
        &mut self,
        labels: &[&str],
        bounds: &[u64],
        (counts, sum_nanos): &(Vec<u64>, u64),
        exemplars: &[Option<Exemplar>],
    ) -> &mut Self {
        let mut total = 0;
        for (at, count) in counts.iter().enumerate() {
            total += count;
            let exemplar = exemplars.get(at).copied().flatten();
            match bounds.get(at) {
                Some(bound) => self.line("_bucket", labels, Some(&secs(*bound)), total, exemplar),
                None => self.line("_bucket", labels, Some(&"+Inf"), total, exemplar),
            };
        }
        self.line("_sum", labels, None, secs(*sum_nanos), None);
        self.line("_count", labels, None, total, None)
    }

    /// Writes one sample. Writing into a `String` does not fail.
    fn line(
        &mut self,
        part: &str,
        labels: &[&str],
        bound: Option<&dyn Display>,
        value: impl Display,
        exemplar: Option<Exemplar>,
    ) -> &mut Self {
        self.begin();
        let text = &mut self.page.text;
        text.push_str(self.name);
        text.push_str(part);
        let mut before = '{';
        for (name, value) in self.labels.iter().zip(labels) {
            text.push(before);
            text.push_str(name);
            text.push_str("=\"");
            push_escaped(text, value);
            text.push('"');
            before = ',';
        }
        if let Some(bound) = bound {
            let _ = write!(text, "{before}le=\"{bound}\"");
            before = ',';
        }
        if before == ',' {
            text.push('}');
        }
        let _ = write!(text, " {value}");
        if let (Format::OpenMetrics, Some(exemplar)) = (self.page.format, exemplar) {
            let Exemplar { request_id, value, unix_ms } = exemplar;
            let id = uuid::Uuid::from_u128(request_id);
            let (whole, part) = (unix_ms.div_euclid(1_000), unix_ms.rem_euclid(1_000));
            let _ = write!(text, " # {{request_id=\"{id}\"}} {value} {whole}.{part:03}");
        }
        text.push('\n');
        self
    }

    /// Writes what a family is called and is about, before its first sample.
    fn begin(&mut self) {
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        let title = match (self.page.format, self.kind) {
            // There, a counter's family is named without what its sample ends in.
            (Format::OpenMetrics, Kind::Counter) => self.name.strip_suffix("_total").unwrap_or(self.name),
            (Format::OpenMetrics, Kind::Gauge | Kind::Histogram) | (Format::Text, _) => self.name,
        };
        let (help, kind) = (self.help, self.kind.as_str());
        let _ = writeln!(self.page.text, "# HELP {title} {help}\n# TYPE {title} {kind}");
    }
}

/// Adds a label's value, as it stands between quotes.
fn push_escaped(text: &mut String, value: &str) {
    if !value.contains(['\\', '"', '\n']) {
        return text.push_str(value);
    }
    for character in value.chars() {
        match character {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            other => text.push(other),
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a sum of times is not exact to the nanosecond, nor need it be"
)]
fn secs(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::super::names;
    use super::*;

    fn page(format: Format) -> String {
        let mut page = Page::new(format, 0);
        let exemplar = Exemplar { request_id: 7, value: 0.002, unix_ms: 1_700_000_000_042 };
        page.family(&names::UNMET).counted(&["a\"\\\nb", "mfa-required"], 3_u64, Some(exemplar));
        page.family(&names::REQUEST_DURATION).histogram(
            &["wiki"],
            &[500_000, 1_000_000_000],
            &(vec![1, 2, 3], 4_500_000_000),
            &[None, Some(exemplar)],
        );
        page.end()
    }

    #[test]
    fn the_plain_format_adds_buckets_up_escapes_labels_and_has_no_exemplars() {
        let text = page(Format::Text);
        for line in [
            "# TYPE portcullis_unmet_requirements_total counter",
            r#"portcullis_unmet_requirements_total{app="a\"\\\nb",reason="mfa-required"} 3"#,
            r#"portcullis_request_duration_seconds_bucket{app="wiki",le="0.0005"} 1"#,
            r#"portcullis_request_duration_seconds_bucket{app="wiki",le="1"} 3"#,
            r#"portcullis_request_duration_seconds_bucket{app="wiki",le="+Inf"} 6"#,
            r#"portcullis_request_duration_seconds_sum{app="wiki"} 4.5"#,
            r#"portcullis_request_duration_seconds_count{app="wiki"} 6"#,
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        assert!(!text.contains("request_id") && !text.contains("EOF"));
    }

    #[test]
    fn openmetrics_names_the_request_that_stands_for_a_count_and_ends_with_eof() {
        let text = page(Format::OpenMetrics);
        assert!(text.contains("# TYPE portcullis_unmet_requirements counter\n"), "{text}");
        let expected = r#" # {request_id="00000000-0000-0000-0000-000000000007"} 0.002 1700000000.042"#;
        assert_eq!(text.matches(expected).count(), 2, "{text}");
        assert!(expected.len() < EXEMPLAR_CHARS_MAX);
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn openmetrics_is_written_when_it_is_asked_for_and_only_then() {
        let prometheus = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        assert_eq!(Format::accepted(Some(prometheus)), Format::OpenMetrics);
        for accept in [None, Some("*/*"), Some("text/plain"), Some("application/openmetrics-text;q=0")] {
            assert_eq!(Format::accepted(accept), Format::Text, "{accept:?}");
        }
    }
}
