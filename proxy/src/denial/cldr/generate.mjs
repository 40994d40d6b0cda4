// Writes `countries.tsv`, `forms.tsv` and `icu.tsv` beside this file. Run by hand when CLDR has a new version:
//
//   npm install --prefix FOLDER cldr-core@V cldr-dates-full@V cldr-localenames-full@V cldr-misc-full@V
//   node proxy/src/denial/cldr/generate.mjs FOLDER/node_modules
//
// SOURCE.md says which version the files were made of. `icu.tsv` is for the tests: it is what ICU, another reader of the same
// data, says through `Intl` of this node.

import { readFileSync, writeFileSync } from "node:fs";

const [packages] = process.argv.slice(2);
if (!packages) throw new Error("usage: node generate.mjs FOLDER/node_modules");

// Our tag, CLDR's folder, the region whose clock counts (12 or 24 hours). English without a region is the world's, for
// which CLDR has no texts of its own but where they differ from the United States': Britain's are the nearest.
const LANGUAGES = [
  ["en", "en-GB", "001"],
  ["ar", "ar", "EG"],
  ["cs", "cs", "CZ"],
  ["de", "de", "DE"],
  ["es", "es", "ES"],
  ["fr", "fr", "FR"],
  ["hi", "hi", "IN"],
  ["id", "id", "ID"],
  ["it", "it", "IT"],
  ["ja", "ja", "JP"],
  ["ko", "ko", "KR"],
  ["nl", "nl", "NL"],
  ["pl", "pl", "PL"],
  ["pt-BR", "pt", "BR"],
  ["sv", "sv", "SE"],
  ["tr", "tr", "TR"],
  ["uk", "uk", "UA"],
  ["vi", "vi", "VN"],
  ["zh-Hans", "zh-Hans", "CN"],
  ["zh-Hant", "zh-Hant", "TW"],
];

// What CLDR's table leaves to whoever shows it. French sets a space that does not break inside of its marks. CLDR's marks for
// Arabic are curly: the bidirectional algorithm does not mirror them, so that they stand the wrong way round beside a
// Latin name; the angled ones are as usual in Arabic, and are mirrored.
const QUOTES = { fr: ["«\u00a0", "\u00a0»"], ar: ["«", "»"] };

const read = (name, path) => JSON.parse(readFileSync(`${packages}/${name}/${path}`, "utf8"));
const main = (name, locale, file) => read(name, `main/${locale}/${file}.json`).main[locale];
const write = (file, rows) => {
  for (const cell of rows.flat()) if (/[\t\n]/.test(cell)) throw new Error(`${file}: ${cell}`);
  writeFileSync(new URL(file, import.meta.url), rows.map((row) => row.join("\t") + "\n").join(""));
};

// Regions that a database of addresses may name: no groups, no pseudo regions, not "unknown".
const NOT_COUNTRIES = new Set(["EU", "EZ", "QO", "UN", "XA", "XB", "ZZ"]);
// A short form that is an abbreviation ("UK", "EE. UU.", "RU" for the Kingdom in Spanish) reads as a code once more.
const isName = (text) => !/^[A-Z]{1,2}$|[.॰]/.test(text);

const names = LANGUAGES.map(([, locale]) => {
  const known = main("cldr-localenames-full", locale, "territories").localeDisplayNames.territories;
  return (code) => {
    const short = known[`${code}-alt-short`];
    return short && isName(short) ? short : known[code];
  };
});
const english = main("cldr-localenames-full", "en", "territories").localeDisplayNames.territories;
const codes = Object.keys(english).filter((code) => /^[A-Z]{2}$/.test(code) && !NOT_COUNTRIES.has(code)).sort();
const tags = LANGUAGES.map(([tag]) => tag);
write("countries.tsv", [["code", ...tags], ...codes.map((code) => [code, ...names.map((name) => name(code))])]);

const clocks = read("cldr-core", "supplemental/timeData.json").supplemental.timeData;
const days = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
const months = Array.from({ length: 12 }, (_, month) => String(month + 1));
write("forms.tsv", [
  ["tag", "date", "full", "time", "joined", "months", "weekdays", "halves", "pair", "start", "middle", "end", "quotes"],
  ...LANGUAGES.map(([tag, locale, region]) => {
    const gregorian = main("cldr-dates-full", locale, "ca-gregorian").dates.calendars.gregorian;
    const lists = main("cldr-misc-full", locale, "listPatterns").listPatterns["listPattern-type-standard"];
    const marks = main("cldr-misc-full", locale, "delimiters").delimiters;
    const skeleton = clocks[region]._preferred === "h" ? "hmv" : "Hmv";
    const halves = gregorian.dayPeriods.format.abbreviated;
    const month = gregorian.months.format.wide;
    return [
      tag,
      gregorian.dateFormats.long,
      gregorian.dateFormats.full,
      // Parts of the day ("in the evening") are more than the hour needs: before and after noon will do.
      gregorian.dateTimeFormats.availableFormats[skeleton].replace("B", "a"),
      gregorian.dateTimeFormats.long,
      months.map((number) => month[number]).join("|"),
      days.map((day) => gregorian.days.format.wide[day]).join("|"),
      [halves.am, halves.pm].join("|"),
      lists["2"],
      lists.start,
      lists.middle,
      lists.end,
      (QUOTES[tag] ?? [marks.quotationStart, marks.quotationEnd]).join("|"),
    ];
  }),
]);

// Midnight, noon, each month, each weekday, a leap day.
const moments = [
  ...Array.from({ length: 12 }, (_, month) => Date.UTC(2026, month, 1 + 2 * month, (5 * month) % 24, 7 * month) / 1000),
  Date.UTC(2027, 0, 1, 0, 0) / 1000,
  Date.UTC(2028, 1, 29, 12, 5) / 1000,
];
const intl = (locale, options) => new Intl.DateTimeFormat(locale, { timeZone: "UTC", ...options });
write("icu.tsv", [
  ["tag", "seconds", "date", "full", "time"],
  ...LANGUAGES.flatMap(([tag, locale]) => {
    const date = intl(locale, { dateStyle: "long" });
    const full = intl(locale, { dateStyle: "full" });
    const time = intl(locale, { hour: "numeric", minute: "2-digit", timeZoneName: "short" });
    return moments.map((seconds) => [tag, String(seconds), ...[date, full, time].map((form) => form.format(seconds * 1000))]);
  }),
]);

// Held against ICU's names; what differs is printed, to be read.
LANGUAGES.forEach(([tag, locale], column) => {
  for (const code of codes) {
    const long = new Intl.DisplayNames(locale, { type: "region" }).of(code);
    const short = new Intl.DisplayNames(locale, { type: "region", style: "short" }).of(code);
    const expected = isName(short) ? short : long;
    if (names[column](code) !== expected) console.log(`${tag} ${code}: ${names[column](code)}, ICU: ${expected}`);
  }
});
