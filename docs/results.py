"""Draw docs/burda.svg: our held-out bounds by epoch, beside the published ends.

    python -m docs.results

Reads docs/results/burda-k1.csv and burda-k5.csv, the history.csv of the two runs.
"""

import csv
import math
from pathlib import Path

HERE = Path(__file__).parent
WIDTH, HEIGHT = 760, 380
LEFT, RIGHT, TOP, BOTTOM = 60, 210, 24, 48
LAST_EPOCH = 3280
LOWEST, HIGHEST = 84.0, 130.0  # nats
CURVES = (  # file, label, colour, published NLL
    ("burda-k1.csv", "VAE, k = 1", "#5790fc", 86.76),
    ("burda-k5.csv", "IWAE, k = 5", "#e42536", 85.54),
)


def place(epoch: float, nats: float) -> tuple[float, float]:
    """Where a point goes, in pixels; the epochs' axis is logarithmic."""
    across = math.log(epoch) / math.log(LAST_EPOCH)
    up = (min(nats, HIGHEST) - LOWEST) / (HIGHEST - LOWEST)
    return LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)


def text(x: float, y: float, words: str, anchor: str = "start", colour: str = "#777") -> str:
    """A label."""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">{words}</text>'


def draw_axes() -> list[str]:
    """Grid, ticks and titles."""
    parts = []
    for epoch in (1, 3, 10, 30, 100, 300, 1000, 3000):
        x, bottom = place(epoch, LOWEST)
        parts.append(f'<path d="M{x:.1f} {TOP}V{bottom:.1f}" stroke="#8884"/>')
        parts.append(text(x, bottom + 18, f"{epoch:,}", "middle"))
    for nats in range(90, 131, 10):
        x, y = place(1, nats)
        parts.append(f'<path d="M{x:.1f} {y:.1f}H{WIDTH - RIGHT}" stroke="#8884"/>')
        parts.append(text(x - 8, y + 4, str(nats), "end"))
    parts.append(text(LEFT, HEIGHT - 8, "epochs"))
    parts.append(text(8, 14, "nats per held-out image"))
    return parts


def draw_curve(name: str, label: str, colour: str, published: float) -> list[str]:
    """One run's held-out loss, its end named, and the published end."""
    with (HERE / "results" / name).open(newline="") as file:
        rows = [(int(row["epoch"]), float(row["held_out_loss"])) for row in csv.DictReader(file)]
    points = [place(epoch, nats) for epoch, nats in rows if nats <= HIGHEST]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    epoch, nats = rows[-1]
    x, y = place(LAST_EPOCH, published)
    return [
        f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>',
        f'<circle cx="{points[-1][0]:.1f}" cy="{points[-1][1]:.1f}" r="3.5" fill="{colour}"/>',
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.5" fill="none" stroke="{colour}" '
        'stroke-width="2"/>',
        f"<title>{label}: {nats:.2f} after {epoch} epochs; published NLL {published}</title>",
    ]


def main() -> None:
    """Write the drawing."""
    parts = draw_axes()
    for number, (name, label, colour, published) in enumerate(CURVES):
        parts += draw_curve(name, label, colour, published)
        x, y = WIDTH - RIGHT + 16, TOP + 40 + 44 * number
        parts.append(text(x, y, f"● {label}: our bound", colour=colour))
        parts.append(text(x, y + 18, f"○ published NLL: {published}", colour=colour))
    body = "\n".join(parts)
    (HERE / "burda.svg").write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'font-family="sans-serif" font-size="13">\n{body}\n</svg>\n',
        encoding="utf-8",
    )
    print(f"Wrote {HERE / 'burda.svg'}.")


if __name__ == "__main__":
    main()
