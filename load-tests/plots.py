"""A results table in Markdown and bar charts in SVG, with nothing but the standard library."""
import html


def table(facts):
    floor = {row["name"]: row["cpu_s_per_100k"] for row in facts["rows"]}
    default, tuned = floor.get("pingora-default"), floor.get("pingora-tuned")
    lines = [
        "| what | CPU s / 100k | × pingora default | × pingora tuned | requests/s | p50 ms | p99 ms | memory MiB | spread |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    ratio = lambda value, base: f"{value / base:.2f}" if base else "–"
    shown = lambda value: "–" if value is None else f"{value:.2f}"
    for row in facts["rows"]:
        cpu = row["cpu_s_per_100k"]
        lines.append(
            f"| {row['name']} | {cpu:.2f} | {ratio(cpu, default)} | {ratio(cpu, tuned)} | {row['rps']:,} | {shown(row['p50_ms'])} | "
            f"{shown(row['p99_ms'])} | {row['rss_mb']:.0f} | {row['spread'] * 100:.0f}% |"
        )
    machine = facts["machine"]
    lines.append("")
    lines.append(
        f"{machine['cpu']}, one core for the server; Linux {machine['kernel']}; {machine['date'][:10]}; median of {facts['rounds']} interleaved rounds of "
        f"{facts['seconds']} s; spread is (max − min) / median of the CPU figure; p50 and p99 at 70% of each row's best rate, from the time when a request was due."
    )
    for name, why in facts["absent"].items():
        lines.append(f"Left out: {name}: {why}.")
    return "\n".join(lines) + "\n"


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
        floor = row["name"].startswith("pingora")
        colour = "#1f4f86" if ours else "#7a8794" if floor else "#c0c7cf"
        length = max(row[key] / top * width, 1)
        parts.append(f'<text x="{left - 8}" y="{y + 14}" text-anchor="end">{html.escape(row["name"])}</text>')
        parts.append(f'<rect x="{left}" y="{y + 2}" width="{length:.1f}" height="16" fill="{colour}"/>')
        parts.append(f'<text x="{left + length + 6:.1f}" y="{y + 14}">{row[key]:.2f}</text>')
    return "".join(parts) + "</svg>\n"
