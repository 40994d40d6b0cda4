//! How a language names countries and writes dates, lists and quotation marks, by the Unicode Common Locale Data Repository
//! (`SOURCE.md`). Fluent knows plurals and nothing of these.
//!
//! The tables are read once. What is asked of a [`Locale`] then is a search in a sorted list, or a handful of pushes.

mod pattern;

use std::sync::LazyLock;

use jiff::SignedDuration;
use jiff::civil::DateTime;

use crate::clock::utc;
use pattern::{Field, Pattern, fill};

/// One row for each code, one column for each language.
const COUNTRIES: &str = include_str!("countries.tsv");
/// One row for each language.
const FORMS: &str = include_str!("forms.tsv");

/// What one language's speakers write.
#[derive(Debug)]
pub(crate) struct Locale {
    /// BCP 47.
    tag: &'static str,
    /// By position in [`Tables::codes`].
    countries: Vec<&'static str>,
    date: Pattern,
    date_with_weekday: Pattern,
    time: Pattern,
    /// `{1}` is a date, `{0}` a time.
    date_and_time: &'static str,
    words: Words,
    list: ListForms,
    /// The marks before and after a name: the files of the languages are held to them.
    #[cfg(test)]
    pub(crate) quotes: (&'static str, &'static str),
}

/// Names that dates are written with, in the case that a date asks for.
#[derive(Debug)]
struct Words {
    /// January first.
    months: Vec<&'static str>,
    /// Sunday first.
    weekdays: Vec<&'static str>,
    /// Before noon and after it.
    halves: Vec<&'static str>,
}

#[derive(Debug)]
struct ListForms {
    pair: &'static str,
    start: &'static str,
    middle: &'static str,
    end: &'static str,
}

#[derive(Debug)]
struct Tables {
    /// Codes of ISO 3166-1, sorted.
    codes: Vec<&'static str>,
    locales: Vec<Locale>,
}

static TABLES: LazyLock<Tables> = LazyLock::new(read);

fn read() -> Tables {
    let mut rows = COUNTRIES.lines().map(|row| row.split('\t'));
    let tags: Vec<_> = rows.next().into_iter().flatten().skip(1).collect();
    let (mut codes, mut columns) = (Vec::new(), vec![Vec::new(); tags.len()]);
    for mut row in rows {
        codes.extend(row.next());
        for (column, name) in columns.iter_mut().zip(row) {
            column.push(name);
        }
    }
    let mut named: Vec<_> = tags.into_iter().zip(columns).collect();
    let forms = FORMS.lines().skip(1).filter_map(|row| {
        let mut cells = row.split('\t');
        let mut next = || cells.next().unwrap_or_default();
        let tag = next();
        let position = named.iter().position(|(named, _)| *named == tag)?;
        let (_, countries) = named.swap_remove(position);
        Some(Locale {
            tag,
            countries,
            date: Pattern::parse(next()),
            date_with_weekday: Pattern::parse(next()),
            time: Pattern::parse(next()),
            date_and_time: next(),
            words: Words { months: parts(next()), weekdays: parts(next()), halves: parts(next()) },
            list: ListForms { pair: next(), start: next(), middle: next(), end: next() },
            #[cfg(test)]
            quotes: next().split_once('|').unwrap_or_default(),
        })
    });
    let locales = forms.collect();
    Tables { codes, locales }
}

fn parts(cell: &'static str) -> Vec<&'static str> {
    cell.split('|').collect()
}

/// What is known of a language, by its tag.
pub(crate) fn locale(tag: &str) -> Option<&'static Locale> {
    TABLES.locales.iter().find(|locale| locale.tag == tag)
}

impl Locale {
    /// The name of a country, by its code in capitals; its short form where that is a name (`Hong Kong`, but not `UK`).
    pub(crate) fn country(&self, code: &str) -> Option<&'static str> {
        let position = TABLES.codes.binary_search(&code).ok()?;
        self.countries.get(position).copied()
    }

    /// A minute, in UTC and saying so: `27 November 2026, 20:31 UTC`.
    pub(crate) fn moment(&self, unix_secs: i64) -> String {
        self.both(&self.date, unix_secs)
    }

    /// The same with the day of the week: `Friday, 27 November 2026, 20:31 UTC`.
    pub(crate) fn moment_with_weekday(&self, unix_secs: i64) -> String {
        self.both(&self.date_with_weekday, unix_secs)
    }

    /// The time alone, in UTC and saying so: `20:31 UTC`.
    pub(crate) fn time(&self, unix_secs: i64) -> String {
        self.write(&self.time, at(unix_secs))
    }

    /// The day alone, as it is in UTC: `27 November 2026`.
    #[cfg(test)]
    fn day(&self, unix_secs: i64) -> String {
        self.write(&self.date, at(unix_secs))
    }

    /// `A, B and C`.
    pub(crate) fn list(&self, items: &[&str]) -> String {
        match items {
            [] => String::new(),
            [only] => (*only).to_owned(),
            [first, second] => fill(self.list.pair, first, second),
            [first, middle @ .., before_last, last] => {
                let tail = fill(self.list.end, before_last, last);
                let tail = middle.iter().rev().fold(tail, |tail, item| fill(self.list.middle, item, &tail));
                fill(self.list.start, first, &tail)
            }
        }
    }

    fn both(&self, date: &Pattern, unix_secs: i64) -> String {
        let moment = at(unix_secs);
        fill(self.date_and_time, &self.write(&self.time, moment), &self.write(date, moment))
    }

    fn write(&self, pattern: &Pattern, moment: DateTime) -> String {
        let mut out = String::with_capacity(48);
        pattern.write(&mut out, |out, field| self.field(out, field, moment));
        out
    }

    fn field(&self, out: &mut String, field: Field, moment: DateTime) {
        let hour = moment.hour();
        match field {
            Field::Year => push(out, moment.year(), 1),
            Field::Month => push(out, moment.month().into(), 1),
            Field::MonthName => push_name(out, &self.words.months, moment.month() - 1),
            Field::Day { digits } => push(out, moment.day().into(), digits),
            Field::Weekday => push_name(out, &self.words.weekdays, moment.weekday().to_sunday_zero_offset()),
            Field::Hour { digits } => push(out, hour.into(), digits),
            Field::HourOfHalf => push(out, ((hour + 11) % 12 + 1).into(), 1),
            Field::Minute => push(out, moment.minute().into(), 2),
            Field::Half => push_name(out, &self.words.halves, hour / 12),
            Field::Zone => out.push_str("UTC"),
        }
    }
}

fn at(unix_secs: i64) -> DateTime {
    utc(SignedDuration::from_secs(unix_secs))
}

fn push(out: &mut String, number: i16, digits: usize) {
    let text = number.to_string();
    out.extend(std::iter::repeat_n('0', digits.saturating_sub(text.len())));
    out.push_str(&text);
}

fn push_name(out: &mut String, names: &[&str], position: i8) {
    let name = usize::try_from(position).ok().and_then(|position| names.get(position));
    out.push_str(name.unwrap_or(&""));
}

#[cfg(test)]
mod tests {
    use portcullis_config::settings::LANGUAGES;

    use super::super::escape::{cap, one_line};
    use super::{TABLES, locale};

    /// 27 November 2026, 20:31:42 UTC.
    const EVENING: i64 = 1_795_811_502;

    #[test]
    fn every_language_has_its_locale_with_a_name_for_every_country() {
        for tag in LANGUAGES {
            assert!(locale(tag).is_some(), "{tag}");
        }
        assert!(TABLES.codes.is_sorted());
        for locale in &TABLES.locales {
            assert_eq!(locale.countries.len(), TABLES.codes.len(), "{}", locale.tag);
            assert_eq!(
                (locale.words.months.len(), locale.words.weekdays.len(), locale.words.halves.len()),
                (12, 7, 2),
                "{}",
                locale.tag
            );
            for name in &locale.countries {
                // What would steer instead of show, and what no page has room for.
                assert_eq!(one_line(name, cap::PHRASE), *name, "{}", locale.tag);
                assert!(!name.is_empty(), "{}", locale.tag);
            }
        }
    }

    #[test]
    fn countries_have_short_names_in_each_language() {
        for (tag, code, name) in [
            ("en", "US", "United States"),
            ("en", "HK", "Hong Kong"),
            ("de", "US", "USA"),
            ("es", "GB", "Reino Unido"),
            ("ja", "GB", "英国"),
            ("zh-Hans", "HK", "香港"),
            ("zh-Hant", "KR", "南韓"),
            ("uk", "UA", "Україна"),
            ("hi", "IN", "भारत"),
            ("pt-BR", "XK", "Kosovo"),
        ] {
            assert_eq!(locale(tag).unwrap().country(code), Some(name), "{tag} {code}");
        }
        for code in ["", "us", "USA", "ZZ", "XX", "\u{1f1fa}"] {
            assert_eq!(locale("en").unwrap().country(code), None, "{code}");
        }
    }

    /// What `Intl` prints otherwise: Korean's halves of the day were Latin in CLDR 48.0, and V8 replaces the narrow space that
    /// does not break, which stands before the Ukrainian word for "year".
    fn as_intl(tag: &str, text: &str) -> String {
        match tag {
            "ko" => text.replace("오전", "AM").replace("오후", "PM"),
            _ => text.replace('\u{202f}', " "),
        }
    }

    #[test]
    fn dates_and_times_are_those_of_icu() {
        let rows: Vec<_> = include_str!("icu.tsv").lines().skip(1).collect();
        assert!(rows.len() >= 14 * LANGUAGES.len());
        for row in rows {
            let cells: Vec<_> = row.split('\t').collect();
            let [tag, secs, date, full, time] = cells[..] else { panic!("{row}") };
            let (locale, secs) = (locale(tag).unwrap(), secs.parse().unwrap());
            assert_eq!(as_intl(tag, &locale.day(secs)), date, "{row}");
            assert_eq!(as_intl(tag, &locale.time(secs)), time, "{row}");
            let moment = as_intl(tag, &locale.moment(secs));
            assert!(moment.contains(date) && moment.contains(time), "{row}: {moment}");
            let moment = as_intl(tag, &locale.moment_with_weekday(secs));
            assert!(moment.contains(full) && moment.contains(time), "{row}: {moment}");
        }
    }

    #[test]
    fn a_moment_is_a_date_and_a_time_in_the_order_of_the_language() {
        for (tag, text) in [
            ("en", "27 November 2026, 20:31 UTC"),
            ("de", "27. November 2026, 20:31 UTC"),
            ("ja", "2026年11月27日 20:31 UTC"),
            ("ko", "2026년 11월 27일 오후 8:31 UTC"),
            ("vi", "20:31 UTC 27 tháng 11, 2026"),
            ("uk", "27 листопада 2026\u{202f}р., 20:31 UTC"),
            ("zh-Hant", "2026年11月27日 下午8:31 [UTC]"),
        ] {
            assert_eq!(locale(tag).unwrap().moment(EVENING), text, "{tag}");
        }
        let english = locale("en").unwrap();
        assert_eq!(english.moment_with_weekday(EVENING), "Friday, 27 November 2026, 20:31 UTC");
        assert_eq!(english.moment(i64::MAX), "1 January 1970, 00:00 UTC");
    }

    #[test]
    fn lists_are_joined_and_names_quoted_as_the_language_does() {
        for (tag, three, two, quoted) in [
            ("en", "A, B and C", "A and B", "“A”"),
            ("ar", "A وB وC", "A وB", "«A»"),
            ("fr", "A, B et C", "A et B", "«\u{a0}A\u{a0}»"),
            ("hi", "A, B, और C", "A और B", "“A”"),
            ("ja", "A、B、C", "A、B", "「A」"),
            ("zh-Hans", "A、B和C", "A和B", "“A”"),
        ] {
            let locale = locale(tag).unwrap();
            assert_eq!(locale.list(&["A", "B", "C"]), three, "{tag}");
            assert_eq!(locale.list(&["A", "B"]), two, "{tag}");
            assert_eq!([locale.quotes.0, "A", locale.quotes.1].concat(), quoted, "{tag}");
        }
        let english = locale("en").unwrap();
        assert_eq!(english.list(&["A", "B", "{1}", "{0}"]), "A, B, {1} and {0}");
        assert_eq!((english.list(&[]), english.list(&["A"])), (String::new(), "A".to_owned()));
    }
}
