"""What docs/REGULARITY.md says is what the gallery's reports say."""

import re
from pathlib import Path

from docs.regularity_pictures import table_headline, table_metrics
from explorer.regularity.definitions import AS_BUILT, DEFINITIONS
from explorer.regularity.report import load_report

HEADLINES = {
    key
    for key, one in DEFINITIONS.items()
    if one.headline_columns and key not in ("escape_rate", "reconstruction_mse")
}
ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "REGULARITY.md").read_text(encoding="utf-8")


def test_the_headline_table_is_that_of_the_reports():
    assert "\n".join(table_headline()) in PAGE


def test_the_table_of_metrics_is_that_of_the_definitions():
    assert "\n".join(table_metrics()) in PAGE


def test_the_frechet_table_is_that_of_the_reports():
    table = PAGE.split("<!-- frechet -->")[1].split("<!-- end of frechet -->")[0]
    rows = [line.split(" | ") for line in table.strip().split("\n")[2:]]
    assert rows
    for row in rows:
        report = load_report(ROOT / "pretrained" / row[0].strip("|` ") / "regularity.json")
        found = report.estimate("frechet_distance", AS_BUILT)
        assert (row[1], row[3]) == (f"{found.ideal:.3g}", f"{found.value:.3g}")


def test_every_picture_is_there_and_small():
    names = re.findall(r"!\[[^]]+\]\((regularity/[a-z-]+\.png)\)", PAGE)
    assert names
    for name in names:
        assert 0 < (ROOT / "docs" / name).stat().st_size < 100_000, name
    assert {Path(name).name for name in names} == {
        path.name for path in (ROOT / "docs" / "regularity").iterdir()
    }


def test_every_headline_metric_is_explained():
    report = load_report(ROOT / "pretrained" / "sprites-vae-10" / "regularity.json")
    keys = {one.key for one in report.estimates}
    assert len(keys) > 25
    prose = PAGE.split("<!-- metrics -->")[0]
    for key in keys & HEADLINES:
        assert f"{DEFINITIONS[key].title}" in prose, key
