//! After `cargo bench`: draws `policy/growth.svg` and prints the table for `policy/README.md`, from what
//! criterion measured.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::Value;

/// Name, label, colour (told apart in grey and by the colour-blind too).
const ENGINES: [(&str, &str, &str); 4] = [
    ("portcullis", "Portcullis", "#0072b2"),
    ("cedar", "Cedar", "#d55e00"),
    ("rego", "Rego (regorus)", "#009e73"),
    ("cel", "CEL (cel)", "#aa4499"),
];
const SIZES: [u32; 3] = [100, 1_000, 10_000];

/// Median and median absolute deviation, in nanoseconds.
struct Measured {
    median: f64,
    spread: f64,
}

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let measured: Vec<(&str, Vec<Measured>)> = ENGINES
        .iter()
        .map(|(name, ..)| (*name, SIZES.iter().map(|size| read(root, name, *size)).collect()))
        .collect();
    print!("{}", table(&measured));
    let path = root.join("../growth.svg");
    std::fs::write(&path, picture(&measured)).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

fn read(root: &Path, name: &str, size: u32) -> Measured {
    let path = root.join(format!("target/criterion/peers/{name}/{size}/new/estimates.json"));
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}; run `cargo bench` first", path.display()));
    let estimates: Value = serde_json::from_str(&text).expect("criterion writes JSON");
    let of = |what: &str| estimates[what]["point_estimate"].as_f64().expect("a number");
    Measured { median: of("median"), spread: of("median_abs_dev") }
}

fn duration(nanos: f64) -> String {
    match nanos {
        _ if nanos < 1e3 => format!("{nanos:.0} ns"),
        _ if nanos < 1e6 => format!("{:.1} µs", nanos / 1e3),
        _ => format!("{:.1} ms", nanos / 1e6),
    }
}

fn table(measured: &[(&str, Vec<Measured>)]) -> String {
    let mut text = String::from("| policies |");
    for (_, label, _) in ENGINES {
        let _ = write!(text, " {label} |");
    }
    text.push_str("\n|---|---|---|---|---|\n");
    for (column, size) in SIZES.iter().enumerate() {
        let _ = write!(text, "| {size} |");
        let ours = measured[0].1[column].median;
        for (name, sizes) in measured {
            let Measured { median, spread } = sizes[column];
            let _ = write!(text, " {} ± {:.0} %", duration(median), 100.0 * spread / median);
            if *name != "portcullis" {
                let _ = write!(text, ", {:.0} times ours", median / ours);
            }
            text.push_str(" |");
        }
        text.push('\n');
    }
    text
}

/// Both axes logarithmic: a straight line is a power, a level one does not grow.
fn picture(measured: &[(&str, Vec<Measured>)]) -> String {
    let (left, top, width, height) = (80.0, 30.0, 480.0, 340.0);
    // From 10 ns to 1 s, and from 100 to 10,000 policies.
    let y = |nanos: f64| top + height - (nanos.log10() - 1.0) / 8.0 * height;
    let x = |size: u32| left + (f64::from(size).log10() - 2.0) / 2.0 * width;
    let mut svg = String::from(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 720 430\" font-family=\"sans-serif\" font-size=\"13\">\n\
         <title>Time of one decision against the number of policies, both logarithmic</title>\n\
         <rect width=\"720\" height=\"430\" fill=\"#fff\"/>\n",
    );
    for (power, label) in
        (1..=9).zip(["10 ns", "100 ns", "1 µs", "10 µs", "100 µs", "1 ms", "10 ms", "100 ms", "1 s"])
    {
        let at = y(10_f64.powi(power));
        let _ = writeln!(
            svg,
            "<line x1=\"{left}\" x2=\"{:.1}\" y1=\"{at:.1}\" y2=\"{at:.1}\" stroke=\"#ddd\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"#333\">{label}</text>",
            left + width,
            left - 8.0,
            at + 4.0
        );
    }
    for size in SIZES {
        let label = if size < 1_000 { size.to_string() } else { format!("{},000", size / 1_000) };
        let _ = writeln!(
            svg,
            "<line x1=\"{0:.1}\" x2=\"{0:.1}\" y1=\"{top}\" y2=\"{1:.1}\" stroke=\"#ddd\"/>\
             <text x=\"{0:.1}\" y=\"{2:.1}\" text-anchor=\"middle\" fill=\"#333\">{label}</text>",
            x(size),
            top + height,
            top + height + 20.0
        );
    }
    let _ = writeln!(
        svg,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#333\">policies</text>\
         <text x=\"{left}\" y=\"18\" fill=\"#333\">median time of one decision</text>",
        left + width / 2.0,
        top + height + 42.0
    );
    let mut labels: Vec<(f64, usize)> = Vec::new();
    for (row, ((_, _, colour), (_, sizes))) in ENGINES.iter().zip(measured).enumerate() {
        let points: Vec<(f64, f64)> =
            SIZES.iter().zip(sizes).map(|(size, one)| (x(*size), y(one.median))).collect();
        let line: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
            line.join(" ")
        );
        for (x, y) in &points {
            let _ = writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\" fill=\"{colour}\"/>");
        }
        labels.extend(points.last().map(|(_, y)| (*y, row)));
    }
    // Labels stand beside the last points, pushed apart where they would touch.
    labels.sort_by(|one, other| one.0.total_cmp(&other.0));
    let mut free = 0.0_f64;
    for (at, row) in labels {
        let at = at.max(free);
        free = at + 16.0;
        let (_, label, colour) = ENGINES[row];
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" fill=\"{colour}\">{label}</text>",
            left + width + 10.0,
            at + 4.0
        );
    }
    svg.push_str("</svg>\n");
    svg
}
