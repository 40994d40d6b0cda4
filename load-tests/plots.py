"""A results table in Markdown and bar charts in SVG, with nothing but the standard library."""
import html


def shown(value, bound=False):
    """With `bound`, in brackets: the generator's figure and not the server's."""
    return "–" if value is None else f"({value:.2f})" if bound else f"{value:.2f}"


def rows(facts):
    yield "| what | CPU s / 100k | × pingora default | × pingora tuned | requests/s | p50 ms | p99 ms | p99.9 ms | memory MiB | spread |"
    yield "|---|---|---|---|---|---|---|---|---|---|"
    for row in facts["rows"]:
        times = " | ".join(shown(row[key], row.get("saturated")) for key in ("p50_ms", "p99_ms", "p999_ms"))
        yield f"| {row['name']} | {row['cpu_s_per_100k']:.2f} | {shown(row['times_default'])} | {shown(row['times_tuned'])} | {row['rps']:,} | {times} | {row['rss_mb']:.0f} | {row['spread'] * 100:.0f}% |"
    machine = facts["machine"]
    yield ""
    yield (f"{machine['cpu']}, one core for the server; Linux {machine['kernel']}; {machine['date'][:10]}; median of {facts['rounds']} interleaved rounds of "
           f"{facts['seconds']} s; the ratios are medians of the rounds' own; spread is (max − min) / median of the CPU figure; latencies at 70% of each row's best rate, from the time when a request was due; "
           "in brackets where the generator was saturated, so that they are its own.")
    for name, why in facts["absent"].items():
        yield f"Left out: {name}: {why}."


def undisturbed(facts):
    known = {row["name"]: row["undisturbed_cpu_s_per_100k"] for row in facts["rows"] if row["undisturbed_cpu_s_per_100k"] is not None}
    if not known:
        return
    yield "\n| undisturbed | CPU s / 100k | × pingora default | × pingora tuned |"
    yield "|---|---|---|---|"
    baselines = [known.get("pingora-default"), known.get("pingora-tuned")]
    for name, cost in known.items():
        ratios = " | ".join(shown(baseline and cost / baseline) for baseline in baselines)
        yield f"| {name} | {cost:.2f} | {ratios} |"
    yield ""
    yield "A tenth of all windows of 50 ms cost less: what the server takes while nothing else keeps the machine's memory and cores busy."


def within(report, key):
    """A ratio, with where it would lie 19 times in 20."""
    return f"{report[key]:.2f} ({' – '.join(f'{one:.2f}' for one in report[f'{key}_between'])})" if report.get(key) else "–"


def beside(facts):
    if not facts.get("beside", {}).get("rows"):
        return
    yield f"\n| in turn, {facts['beside']['rounds']} rounds of 1 s | CPU s / 100k | × pingora default (19 times in 20) | × pingora tuned | undisturbed CPU s / 100k | × pingora default | × pingora tuned |"
    yield "|---|---|---|---|---|---|---|"
    for row in facts["beside"]["rows"]:
        ratios = [within(row, key) for key in ("times_default", "times_tuned", "undisturbed_times_default", "undisturbed_times_tuned")]
        yield f"| {row['name']} | {row['cpu_s_per_100k']:.2f} | {ratios[0]} | {ratios[1]} | {shown(row['undisturbed_cpu_s_per_100k'])} | {ratios[2]} | {ratios[3]} |"


def pairs(facts):
    if not facts.get("pairs"):
        return
    yield "\n| at one rate, in turn | requests/s | p50 ms | p99 ms | p99.9 ms | p99, ours / theirs (19 times in 20) | undisturbed p99 ms | ours / theirs (19 times in 20) |"
    yield "|---|---|---|---|---|---|---|---|"
    for pair in facts["pairs"]:
        both = lambda key, of=pair: f"{shown(of['ours'][key], of['saturated'])} / {shown(of['theirs'][key], of['saturated'])}"
        cells = [both("p50_ms"), both("p99_ms"), both("p999_ms"), within(pair, "p99_ratio"), both("undisturbed_p99_ms"), within(pair, "undisturbed_p99_ratio")]
        yield f"| portcullis-allowed-1000-rs256 / {pair['peer']} | {pair['rate']:,} | {' | '.join(cells)} |"


def reloads(facts):
    if not facts.get("reload"):
        return
    report = facts["reload"]
    yield f"\n| 10,000 policies at {report['rate']:,}/s | p50 ms | p99 ms | p99.9 ms | longest ms |"
    yield "|---|---|---|---|---|"
    for name, text in {"quiet": "left alone", "reloading": f"with {report['reloads']} reloads, {report['reload_s']:.2f} s each until they serve"}.items():
        yield f"| {text} | " + " | ".join(shown(report[name][key]) for key in ("p50_ms", "p99_ms", "p999_ms", "max_ms")) + " |"


def memory(facts):
    if not facts.get("memory"):
        return
    report = facts["memory"]
    yield f"\n| memory with 10,000 policies | resident MiB | peak MiB |"
    yield "|---|---|---|"
    for key, text in {"started": "started", "with_tokens": f"after {report['tokens']:,} tokens of {report['token_bytes']} bytes, {report['bytes_per_token']:,} bytes each",
                      "after_4_reloads": "after four reloads", "with_tokens_again": "and all tokens once more"}.items():
        yield f"| {text} | {report[key]['rss_mb']:.0f} | {report[key]['peak_mb']:.0f} |"


def tables(facts):
    parts = [rows(facts) if facts["rows"] else [], undisturbed(facts), beside(facts), pairs(facts), reloads(facts), memory(facts)]
    return "\n".join(line for part in parts for line in part) + "\n"


def bars(facts, key, title):
    rows = [row for row in facts["rows"] if row.get(key) is not None]
    rows.sort(key=lambda row: row[key])
    top = max((row[key] for row in rows), default=1) or 1
    left, width, step = 300, 520, 26
    height = 50 + step * len(rows)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + width + 90}" height="{height}" viewBox="0 0 {left + width + 90} {height}" '
        f'font-family="system-ui,sans-serif" font-size="13"><rect width="100%" height="100%" fill="#fff"/>',
        f'<text x="12" y="24" font-size="15" font-weight="600">{html.escape(title)}</text>',
    ]
    for number, row in enumerate(rows):
        y = 40 + number * step
        ours = row["name"].startswith("portcullis")
        baseline = row["name"].startswith("pingora")
        colour = "#1f4f86" if ours else "#7a8794" if baseline else "#c0c7cf"
        length = max(row[key] / top * width, 1)
        parts.append(f'<text x="{left - 8}" y="{y + 14}" text-anchor="end">{html.escape(row["name"])}</text>')
        parts.append(f'<rect x="{left}" y="{y + 2}" width="{length:.1f}" height="16" fill="{colour}"/>')
        parts.append(f'<text x="{left + length + 6:.1f}" y="{y + 14}">{row[key]:.2f}</text>')
    return "".join(parts) + "</svg>\n"


def lines(samples, series, marks, marks_mean):
    """Each series above its own zero, over the same seconds."""
    left, width, height, step = 60, 760, 110, 150
    end = samples[-1]["at"] or 1
    total = 40 + step * len(series)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + width + 40}" height="{total}" viewBox="0 0 {left + width + 40} {total}" '
        f'font-family="system-ui,sans-serif" font-size="13"><rect width="100%" height="100%" fill="#fff"/>'
    ]
    for number, (key, title) in enumerate(series.items()):
        base = 30 + step * number + height
        top = max(one[key] for one in samples) * 1.1 or 1
        dots = " ".join(f"{left + one['at'] / end * width:.1f},{base - one[key] / top * height:.1f}" for one in samples)
        parts += [f'<line x1="{left + at / end * width:.1f}" x2="{left + at / end * width:.1f}" y1="{base - height}" y2="{base}" stroke="#e3c9a8"/>' for at in marks]
        parts.append(f'<text x="{left}" y="{base - height - 6}" font-weight="600">{html.escape(title)}</text>')
        parts.append(f'<text x="{left - 6}" y="{base + 4}" text-anchor="end">0</text><text x="{left - 6}" y="{base - height + 12}" text-anchor="end">{top:.0f}</text>')
        parts.append(f'<line x1="{left}" x2="{left + width}" y1="{base}" y2="{base}" stroke="#7a8794"/><polyline points="{dots}" fill="none" stroke="#1f4f86" stroke-width="1.5"/>')
    parts.append(f'<text x="{left}" y="{total - 4}" fill="#7a8794">{end / 60:.0f} minutes; vertical lines: {html.escape(marks_mean)}</text>')
    return "".join(parts) + "</svg>\n"
