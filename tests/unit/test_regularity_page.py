"""What docs/REGULARITY.md says is what the gallery's reports say."""

import re
from pathlib import Path

from docs.regularity_pictures import table_headline
from explorer.regularity.definitions import AS_BUILT
from explorer.regularity.report import load_report

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "REGULARITY.md").read_text(encoding="utf-8")


def test_the_headline_table_is_that_of_the_reports():
    assert "\n".join(table_headline()) in PAGE


def test_the_frechet_table_is_that_of_the_reports():
    table = PAGE.split("<!-- frechet -->")[1].split("<!-- end of frechet -->")[0]
    rows = [line.split(" | ") for line in table.strip().split("\n")[2:]]
    assert rows
    for row in rows:
        report = load_report(ROOT / "pretrained" / row[0].strip("|` ") / "regularity.json")
        found = report.measure("frechet_distance", AS_BUILT)
        assert (row[1], row[3]) == (f"{found.null:.3g}", f"{found.value:.3g}")


def test_every_picture_is_there_and_small():
    names = re.findall(r"!\[[^]]+\]\((regularity/[a-z-]+\.png)\)", PAGE)
    assert names
    for name in names:
        assert 0 < (ROOT / "docs" / name).stat().st_size < 100_000, name
    assert {Path(name).name for name in names} == {
        path.name for path in (ROOT / "docs" / "regularity").iterdir()
    }


def test_every_measure_of_the_gallery_is_explained():
    titles = {
        "reconstruction_nll": "Reconstruction error",
        "knn_accuracy": "Class of the neighbours",
        "prior_match": "Distance from the prior",
        "hole_rate": "Holes",
        "coverage_ratio": "Variety of random draws",
        "midpoint_realism": "midpoints",
        "class_kept": "Class kept",
        "active_units": "Active axes",
        "total_correlation": "Total correlation",
        "mmd": "MMD",
        "frechet_distance": "Fréchet",
        "linear_probe": "Linear probe",
        "cycle_error": "There and back",
        "perceptual_path_length": "Evenness of the way",
        "mig": "MIG",
    }
    report = load_report(ROOT / "pretrained" / "sprites-vae-10" / "regularity.json")
    keys = {one.key for one in report.measures}
    for key, words in titles.items():
        assert key in keys, key
        assert words in PAGE, words
