//! Prometheus' two text formats: 0.0.4, and OpenMetrics 1.0 with exemplars.
//!
//! Sources: Prometheus "Exposition formats", OpenMetrics 1.0 sections 5 and 6.

use std::fmt::Write as _;

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

/// A page under way.
#[derive(Debug)]
pub(super) struct Page {
    text: String,
    format: Format,
}

impl Page {
    pub(super) fn new(format: Format) -> Self {
        Self { text: String::with_capacity(16 * 1024), format }
    }

    /// Begins a family; its samples follow.
    pub(super) fn family(&mut self, family: &'static Family) -> Samples<'_> {
        let name = match (self.format, family.kind) {
            // OpenMetrics names a counter's family without what its sample ends in.
            (Format::OpenMetrics, Kind::Counter) => family.name.strip_suffix("_total").unwrap_or(family.name),
            _ => family.name,
        };
        self.line(format_args!("# HELP {name} {}", family.help));
        self.line(format_args!("# TYPE {name} {}", family.kind.as_str()));
        Samples { page: self, family }
    }

    pub(super) fn end(mut self) -> String {
        if self.format == Format::OpenMetrics {
            self.text.push_str("# EOF\n");
        }
        self.text
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // Writing into a `String` does not fail.
        let _ = self.text.write_fmt(line);
        self.text.push('\n');
    }
}

/// The samples of one family.
#[derive(Debug)]
pub(super) struct Samples<'p> {
    page: &'p mut Page,
    family: &'static Family,
}

impl Samples<'_> {
    /// One counter or gauge.
    pub(super) fn value(&mut self, labels: &[&str], value: impl std::fmt::Display) -> &mut Self {
        self.counted(labels, value, None)
    }

    /// One counter with a request that stands for it.
    pub(super) fn counted(
        &mut self,
        labels: &[&str],
        value: impl std::fmt::Display,
        exemplar: Option<Exemplar>,
    ) -> &mut Self {
        self.sample("", labels, None, &value, exemplar);
        self
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
        for (bucket, count) in counts.iter().enumerate() {
            total += count;
            let bound = bounds.get(bucket).map_or_else(|| "+Inf".to_owned(), |bound| decimal(secs(*bound)));
            let exemplar = exemplars.get(bucket).copied().flatten();
            self.sample("_bucket", labels, Some(&bound), &total, exemplar);
        }
        self.sample("_sum", labels, None, &secs(*sum_nanos), None);
        self.sample("_count", labels, None, &total, None);
        self
    }

    fn sample(
        &mut self,
        suffix: &str,
        values: &[&str],
        bound: Option<&str>,
        value: &dyn std::fmt::Display,
        exemplar: Option<Exemplar>,
    ) {
        let text = &mut self.page.text;
        text.push_str(self.family.name);
        text.push_str(suffix);
        let labels = self.family.labels.iter().copied().zip(values.iter().copied());
        let mut before = '{';
        for (name, value) in labels.chain(bound.map(|bound| ("le", bound))) {
            let _ = write!(text, "{before}{name}=\"{}\"", Escaped(value));
            before = ',';
        }
        if before == ',' {
            text.push('}');
        }
        let _ = write!(text, " {value}");
        if let (Format::OpenMetrics, Some(Exemplar { request_id, value, unix_ms })) =
            (self.page.format, exemplar)
        {
            let id = uuid::Uuid::from_u128(request_id);
            let (whole, part) = (unix_ms.div_euclid(1_000), unix_ms.rem_euclid(1_000));
            let _ = write!(text, " # {{request_id=\"{id}\"}} {} {whole}.{part:03}", decimal(value));
        }
        text.push('\n');
    }
}

/// A label's value between quotes.
struct Escaped<'v>(&'v str);

impl std::fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for character in self.0.chars() {
            match character {
                '\\' => f.write_str("\\\\")?,
                '"' => f.write_str("\\\"")?,
                '\n' => f.write_str("\\n")?,
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a sum of times is not exact to the nanosecond, nor need it be"
)]
fn secs(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}

/// A number with a point in it: a bound must read the same in both formats, or its series would
/// change when a scraper changes format.
fn decimal(value: f64) -> String {
    let text = value.to_string();
    if text.contains('.') { text } else { text + ".0" }
}

#[cfg(test)]
mod tests {
    use super::super::names;
    use super::*;

    fn page(format: Format) -> String {
        let mut page = Page::new(format);
        let exemplar = Exemplar { request_id: 7, value: 0.002, unix_ms: 1_700_000_000_042 };
        page.family(&names::UNMET).counted(&["a\"\\\nb", "mfa-required"], 3, Some(exemplar));
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
            r#"portcullis_request_duration_seconds_bucket{app="wiki",le="1.0"} 3"#,
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
        let told = r#" # {request_id="00000000-0000-0000-0000-000000000007"} 0.002 1700000000.042"#;
        assert_eq!(text.matches(told).count(), 2, "{text}");
        assert!(told.len() < EXEMPLAR_CHARS_MAX);
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
