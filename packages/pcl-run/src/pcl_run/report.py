"""The report of a run: one HTML file without anything from outside."""

import base64
import html
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pcl_run.files import atomic_write, read_json
from pcl_run.metrics import read_metrics
from pcl_run.run_folder import read_environment

WIDTH, HEIGHT, MARGIN = 340, 170, 56  # pixels of a chart
MAX_POINTS = 400  # of a curve
COLORS = ("#2f6fb0", "#d9722b", "#3f9b57", "#b0457f", "#7a63c2", "#7d7d7d", "#a98500", "#279aa8")
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #22262b; background: #fff;
       max-width: 1120px; margin: 2.5rem auto; padding: 0 1.5rem; }
h1 { font-size: 1.6rem; margin: 0; } h2 { font-size: 1.1rem; margin: 2.2rem 0 .6rem; }
.muted { color: #6b737c; } .row { display: flex; flex-wrap: wrap; gap: 1rem; }
.fact { border: 1px solid #e3e6ea; border-radius: 8px; padding: .5rem .9rem; }
.fact b { display: block; font-size: 1.2rem; font-weight: 600; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .8rem; text-align: right; border-bottom: 1px solid #e9ecef; }
th { font-weight: 600; color: #4a525a; } .scroll { overflow-x: auto; }
figure { margin: 0; } figcaption { font-size: .85rem; color: #4a525a; margin-bottom: .2rem; }
img { max-width: 100%; border: 1px solid #e3e6ea; border-radius: 6px; }
pre { background: #f6f7f9; padding: 1rem; border-radius: 8px; overflow-x: auto; font-size: 13px; }
svg text { font: 11px system-ui, sans-serif; fill: #6b737c; } summary { cursor: pointer; }
.legend span { margin-right: 1.2rem; } .legend i { display: inline-block; width: 14px;
  height: 3px; vertical-align: middle; margin-right: .4rem; }
"""


def write_report(run_folder: Path) -> Path:
    """Write `report/index.html` from what the run folder holds so far.

    Numbers and lists of rows of `summary.json`, curves of `metrics.jsonl`, every PNG in `report/`,
    the configuration and the environment.

    Returns:
        the path of the file.

    Raises:
        ValueError: if `run_folder` is no run folder, or naming the file of it that is damaged.
    """
    env = read_environment(run_folder)
    if env is None:
        raise ValueError(f"run_folder must be a run folder, got {run_folder}")
    summary_file, config_file = run_folder / "summary.json", run_folder / "config.yaml"
    summary = read_json(summary_file) if summary_file.exists() else {}
    config = config_file.read_text("utf-8", "replace") if config_file.exists() else "missing"
    name = html.escape(run_folder.resolve().name)
    argv = env.get("argv")
    command = " ".join(map(str, argv)) if isinstance(argv, list) else "unknown"
    parts = [
        f"<h1>{name}</h1><p class=muted>started {_text(env.get('started'))} · "
        f"{html.escape(command)}</p>",
        "" if summary else "<p>No summary.json yet: the run has not finished.</p>",
        _facts(summary),
        *(_section(key, _table(rows)) for key, rows in summary.items() if _is_table(rows)),
        _section("Curves", _charts(read_metrics(run_folder))),
        _section("Pictures", _pictures(run_folder / "report")),
        _details("Configuration", config),
        _details("Environment", json.dumps(env, indent=2)),
    ]
    page = (
        "<!doctype html><html lang=en><head><meta charset=utf-8>"
        '<meta name=viewport content="width=device-width">'
        f"<title>{name}</title><style>{STYLE}</style></head>"
        f"<body>{''.join(parts)}</body></html>\n"
    )
    path = run_folder / "report" / "index.html"
    path.parent.mkdir(exist_ok=True)
    with atomic_write(path) as handle:
        handle.write(page)
    return path


def _section(title: str, body: str) -> str:
    return f"<h2>{html.escape(title.replace('_', ' ').capitalize())}</h2>{body}" if body else ""


def _details(title: str, text: str) -> str:
    return (
        f"<h2>{title}</h2><details><summary>show</summary><pre>{html.escape(text)}</pre></details>"
    )


def _facts(summary: Mapping[str, Any]) -> str:
    single = {key: value for key, value in summary.items() if isinstance(value, str | int | float)}
    facts = (
        f"<div class=fact><b>{_text(_readable(key, value))}</b>{_text(key.replace('_', ' '))}</div>"
        for key, value in single.items()
    )
    return f"<p></p><div class=row>{''.join(facts)}</div>" if single else ""


def _readable(key: str, value: Any) -> Any:
    """Bytes as MiB, everything else as it is."""
    is_size = key.endswith("_bytes") and _is_number(value)
    return f"{value / 2**20:,.0f} MiB" if is_size else value


def _is_number(value: Any) -> bool:
    """Whether a value of JSON can be drawn."""
    return isinstance(value, int | float) and abs(value) < 1e300  # NaN is not less


def _is_table(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(row, dict) for row in value)


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    columns = list(dict.fromkeys(key for row in rows for key in row))
    head = "".join(f"<th>{_text(column.replace('_', ' '))}</th>" for column in columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{_text(row.get(column))}</td>" for column in columns) + "</tr>"
        for row in rows
    )
    return f"<div class=scroll><table><tr>{head}</tr>{body}</table></div>"


def _text(value: Any) -> str:
    if value is None:
        return "\N{EN DASH}"
    return html.escape(f"{value:.4g}" if isinstance(value, float) else str(value))


def _charts(rows: Iterable[Mapping[str, Any]]) -> str:
    """One small chart a metric, one curve a stage."""
    curves: dict[str, dict[str, list[tuple[float, float]]]] = {}
    colors: dict[str, str] = {}
    for row in rows:
        stage = row["stage"]
        colors.setdefault(stage, COLORS[len(colors) % len(COLORS)])
        for key, value in row.items():
            if key not in ("stage", "step", "time") and _is_number(value):
                curves.setdefault(key, {}).setdefault(stage, []).append(
                    (float(row["step"]), float(value))
                )
    if not curves:
        return ""
    legend = "".join(
        f'<span><i style="background:{color}"></i>{_text(stage)}</span>'
        for stage, color in colors.items()
    )
    figures = "".join(
        f"<figure><figcaption>{_text(key)}</figcaption>{_chart(by_stage, colors)}</figure>"
        for key, by_stage in curves.items()
    )
    return f"<p class=legend>{legend}</p><div class=row>{figures}</div>"


def _chart(by_stage: Mapping[str, list[tuple[float, float]]], colors: Mapping[str, str]) -> str:
    points = [point for curve in by_stage.values() for point in curve]
    left, right = min(x for x, _ in points), max(x for x, _ in points)
    low, high = min(y for _, y in points), max(y for _, y in points)

    def place(x: float, y: float) -> tuple[float, float]:
        across = (x - left) / (right - left) if right > left else 0.5
        up = (y - low) / (high - low) if high > low else 0.5
        return MARGIN + across * (WIDTH - MARGIN - 10), HEIGHT - 20 - up * (HEIGHT - 30)

    lines = "".join(
        _curve([place(*point) for point in _thin(curve)], colors[stage], stage)
        for stage, curve in by_stage.items()
    )
    bottom, top = HEIGHT - 20, 10
    frame = "".join(
        f'<line x1="{MARGIN}" x2="{WIDTH - 10}" y1="{y}" y2="{y}" stroke="#e3e6ea"/>'
        f'<text x="{MARGIN - 5}" y="{y + 4}" text-anchor="end">{label}</text>'
        for y, label in ((bottom, _short(low)), (top, _short(high)))
    )
    ticks = (
        f'<text x="{MARGIN}" y="{HEIGHT - 4}">{_short(left)}</text>'
        f'<text x="{WIDTH - 10}" y="{HEIGHT - 4}" text-anchor="end">step {_short(right)}</text>'
    )
    size = f'width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}"'
    return f'<svg {size} role="img">{frame}{lines}{ticks}</svg>'


def _curve(points: Sequence[tuple[float, float]], color: str, stage: str) -> str:
    title = f"<title>{_text(stage)}</title>"
    if len(points) == 1:
        x, y = points[0]
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{color}">{title}</circle>'
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    look = f'fill="none" stroke="{color}" stroke-width="1.6"'
    return f'<polyline points="{path}" {look}>{title}</polyline>'


def _thin(curve: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """At most about `MAX_POINTS` of a curve, always with its last."""
    stride = -(-len(curve) // MAX_POINTS)
    return [*curve[:-1:stride], curve[-1]]


def _short(value: float) -> str:
    """At most about six characters: 0.25, 1500, 3.4M."""
    for size, letter in ((1e9, "G"), (1e6, "M")):
        if abs(value) >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _pictures(folder: Path) -> str:
    figures = (
        f"<figure><figcaption>{_text(path.stem.replace('_', ' '))}</figcaption>"
        f'<img alt="{_text(path.stem)}" src="data:image/png;base64,'
        f'{base64.b64encode(path.read_bytes()).decode()}"></figure>'
        for path in sorted(folder.rglob("*.png"))
    )
    return f"<div class=row>{body}</div>" if (body := "".join(figures)) else ""
