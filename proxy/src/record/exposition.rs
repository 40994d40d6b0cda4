//! Prometheus' two text formats: 0.0.4, and OpenMetrics 1.0 with exemplars.
//!
//! Sources: Prometheus "Exposition formats", OpenMetrics 1.0 sections 5 and 6.

use std::fmt::Write as _;

use prometheus::TextEncoder;
use prometheus::proto::{self, Metric, MetricFamily, MetricType};

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

/// A page under way: families in the data model of the `prometheus` crate, which also writes the plain
/// format. It knows neither OpenMetrics nor exemplars; those are written here.
#[derive(Debug)]
pub(super) struct Page {
    families: Vec<MetricFamily>,
    /// The exemplars of each family's samples: one for a counter, one for each bucket of a histogram.
    exemplars: Vec<Vec<Vec<Option<Exemplar>>>>,
    format: Format,
}

impl Page {
    pub(super) const fn new(format: Format) -> Self {
        Self { families: Vec::new(), exemplars: Vec::new(), format }
    }

    /// Begins a family; its samples follow.
    pub(super) fn family(&mut self, family: &'static Family) -> Samples<'_> {
        let mut begun = MetricFamily::default();
        begun.set_name(family.name.to_owned());
        begun.set_help(family.help.to_owned());
        begun.set_field_type(match family.kind {
            Kind::Counter => MetricType::COUNTER,
            Kind::Gauge => MetricType::GAUGE,
            Kind::Histogram => MetricType::HISTOGRAM,
        });
        self.families.push(begun);
        self.exemplars.push(Vec::new());
        Samples { page: self, family }
    }

    /// Families that a collector of the crate gathered.
    pub(super) fn collected(&mut self, families: Vec<MetricFamily>) {
        for family in families {
            self.exemplars.push(Vec::new());
            self.families.push(family);
        }
    }

    pub(super) fn end(mut self) -> String {
        // A family without a sample says nothing.
        let (families, exemplars) = std::mem::take(&mut self.families)
            .into_iter()
            .zip(std::mem::take(&mut self.exemplars))
            .filter(|(family, _)| !family.get_metric().is_empty())
            .unzip();
        (self.families, self.exemplars) = (families, exemplars);
        match self.format {
            Format::Text => TextEncoder::new().encode_to_string(&self.families).unwrap_or_else(|problem| {
                // A page with a hole would look like a system without trouble.
                tracing::error!(%problem, "the metrics cannot be written");
                String::new()
            }),
            Format::OpenMetrics => {
                let mut text = String::with_capacity(64 * 1024);
                for (family, exemplars) in self.families.iter().zip(&self.exemplars) {
                    open_metrics(&mut text, family, exemplars);
                }
                text.push_str("# EOF\n");
                text
            }
        }
    }
}

/// What a sample can be made of. Counts beyond 2^53 lose their last digits, as in every scrape.
pub(super) trait Number {
    fn number(self) -> f64;
}

macro_rules! number {
    ($($kind:ty),*) => {$(
        impl Number for $kind {
            #[expect(clippy::cast_precision_loss, reason = "samples are floating point numbers")]
            fn number(self) -> f64 {
                self as f64
            }
        }
    )*};
}
number!(u64, i64, usize);

impl Number for u8 {
    fn number(self) -> f64 {
        f64::from(self)
    }
}

impl Number for f64 {
    fn number(self) -> f64 {
        self
    }
}

/// The samples of the family that was begun last.
#[derive(Debug)]
pub(super) struct Samples<'p> {
    page: &'p mut Page,
    family: &'static Family,
}

impl Samples<'_> {
    /// One counter or gauge.
    pub(super) fn value(&mut self, labels: &[&str], value: impl Number) -> &mut Self {
        self.counted(labels, value, None)
    }

    /// One counter with a request that stands for it.
    pub(super) fn counted(
        &mut self,
        labels: &[&str],
        value: impl Number,
        exemplar: Option<Exemplar>,
    ) -> &mut Self {
        let mut sample = self.labelled(labels);
        match self.family.kind {
            Kind::Counter => {
                let mut counter = proto::Counter::default();
                counter.set_value(value.number());
                sample.set_counter(counter);
            }
            Kind::Gauge | Kind::Histogram => {
                let mut gauge = proto::Gauge::default();
                gauge.set_value(value.number());
                sample.set_gauge(gauge);
            }
        }
        self.push(sample, vec![exemplar])
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
        // The bucket without a bound is the count of all, and written as such.
        let buckets = counts.iter().zip(bounds).map(|(count, bound)| {
            total += count;
            let mut bucket = proto::Bucket::default();
            bucket.set_upper_bound(secs(*bound));
            bucket.set_cumulative_count(total);
            bucket
        });
        let mut histogram = proto::Histogram::default();
        histogram.set_bucket(buckets.collect());
        histogram.set_sample_count(counts.iter().sum());
        histogram.set_sample_sum(secs(*sum_nanos));
        let mut sample = self.labelled(labels);
        sample.set_histogram(histogram);
        self.push(sample, exemplars.to_vec())
    }

    fn push(&mut self, sample: Metric, exemplars: Vec<Option<Exemplar>>) -> &mut Self {
        if let (Some(family), Some(all)) = (self.page.families.last_mut(), self.page.exemplars.last_mut()) {
            family.mut_metric().push(sample);
            all.push(exemplars);
        }
        self
    }

    fn labelled(&self, values: &[&str]) -> Metric {
        let pair = |(name, value): (&&str, &&str)| {
            let mut pair = proto::LabelPair::default();
            pair.set_name((*name).to_owned());
            pair.set_value((*value).to_owned());
            pair
        };
        Metric::from_label(self.family.labels.iter().zip(values).map(pair).collect())
    }
}

/// Writes one family in OpenMetrics. Writing into a `String` does not fail.
fn open_metrics(text: &mut String, family: &MetricFamily, exemplars: &[Vec<Option<Exemplar>>]) {
    let name = family.name();
    // A counter's family is named without what its sample ends in.
    let (title, kind) = match family.get_field_type() {
        MetricType::COUNTER => (name.strip_suffix("_total").unwrap_or(name), "counter"),
        MetricType::HISTOGRAM => (name, "histogram"),
        MetricType::GAUGE | MetricType::SUMMARY | MetricType::UNTYPED => (name, "gauge"),
    };
    let _ = writeln!(text, "# HELP {title} {}\n# TYPE {title} {kind}", family.help());
    for (position, sample) in family.get_metric().iter().enumerate() {
        let exemplar = |at: usize| exemplars.get(position).and_then(|all| all.get(at).copied().flatten());
        let labels = sample.get_label();
        match family.get_field_type() {
            MetricType::COUNTER => {
                line(text, name, labels, None, sample.get_counter().get_value(), exemplar(0))
            }
            MetricType::HISTOGRAM => {
                let histogram = sample.get_histogram();
                let (sum, count) = (histogram.get_sample_sum(), histogram.get_sample_count().number());
                let buckets = histogram.get_bucket().iter();
                let buckets =
                    buckets.map(|one| (one.upper_bound().to_string(), one.cumulative_count().number()));
                let all = buckets.chain([("+Inf".to_owned(), count)]);
                for (at, (bound, count)) in all.enumerate() {
                    line(text, &format!("{name}_bucket"), labels, Some(&bound), count, exemplar(at));
                }
                line(text, &format!("{name}_sum"), labels, None, sum, None);
                line(text, &format!("{name}_count"), labels, None, count, None);
            }
            MetricType::GAUGE | MetricType::SUMMARY | MetricType::UNTYPED => {
                line(text, name, labels, None, sample.get_gauge().get_value(), None);
            }
        }
    }
}

fn line(
    text: &mut String,
    name: &str,
    labels: &[proto::LabelPair],
    bound: Option<&str>,
    value: f64,
    exemplar: Option<Exemplar>,
) {
    text.push_str(name);
    let mut before = '{';
    let labels = labels.iter().map(|pair| (pair.name(), pair.value()));
    for (name, value) in labels.chain(bound.map(|bound| ("le", bound))) {
        let _ = write!(text, "{before}{name}=\"{}\"", Escaped(value));
        before = ',';
    }
    if before == ',' {
        text.push('}');
    }
    let _ = write!(text, " {value}");
    if let Some(Exemplar { request_id, value, unix_ms }) = exemplar {
        let id = uuid::Uuid::from_u128(request_id);
        let (whole, part) = (unix_ms.div_euclid(1_000), unix_ms.rem_euclid(1_000));
        let _ = write!(text, " # {{request_id=\"{id}\"}} {value} {whole}.{part:03}");
    }
    text.push('\n');
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

#[cfg(test)]
mod tests {
    use super::super::names;
    use super::*;

    fn page(format: Format) -> String {
        let mut page = Page::new(format);
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
