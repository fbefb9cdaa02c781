"""What docs/ENCODE.md says is so."""

import json
import re
import shlex
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from explorer.encode.__main__ import build_parser as build_encode_parser
from explorer.encode.codes import Codes
from explorer.encode.effects import TraitEffect, signed
from explorer.encode.familiarity import build_parser as build_familiarity_parser
from explorer.images.batch import MAX_ARCHIVE_BYTES, MAX_ENTRIES, MAX_EXPANDED_BYTES
from explorer.images.decoding import FEWER_PIXELS, MAX_PIXELS
from explorer.images.intake import MAX_BYTES, MAX_FRAMES
from explorer.training.flags import parse_flags

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGE = (DOCS / "ENCODE.md").read_text(encoding="utf-8")
NAMES = {"Fashion-MNIST": "fashion-mnist", "MNIST": "mnist"}


def rows_below(heading):
    part = PAGE[PAGE.index(heading) :]
    lines = part[part.index("\n|") + 1 :].splitlines()
    rows = []
    for line in lines[2:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip(" *`") for cell in line.strip("|").split("|")])
    return rows


def test_the_rates_are_those_that_were_measured():
    found = json.loads((DOCS / "results" / "familiarity.json").read_text())
    rows, model = rows_below("### How often it is right"), ""
    assert len(rows) == sum(len(figures["rates"]) for figures in found["models"].values())
    for name, given, *cells in rows:
        model = name or model
        rates = found["models"][model]["rates"][NAMES.get(given, given)]
        assert cells == [f"{value:.3f}" for value in rates.values()], (model, given)
    (interval,) = {tuple(one["nominal_interval"]) for one in found["models"].values()}
    assert f"within {interval[0]:.3f} to {interval[1]:.3f}" in PAGE
    smallest = min(min(one["kolmogorov_smirnov_p"].values()) for one in found["models"].values())
    assert f"the smallest p is {smallest:.2f}" in PAGE


def test_what_is_said_of_mirrored_digits_and_letters_is_so():
    rates = {
        name: figures["rates"]
        for name, figures in json.loads((DOCS / "results" / "familiarity.json").read_text())[
            "models"
        ].items()
        if name.startswith("mnist")
    }
    assert "in the two VAEs of\n  digits, and fewer in the autoencoder" in PAGE
    for name, kinds in rates.items():
        mirrored = kinds["mirrored"]
        assert (mirrored["bound alone"] > mirrored["all four scores"]) == ("vae" in name), name
        assert kinds["letters"]["bound - complexity"] <= 0.002, name


def test_false_alarms_are_within_what_chance_allows_and_percentiles_uniform():
    found = json.loads((DOCS / "results" / "familiarity.json").read_text())
    assert found["met"]
    for figures in found["models"].values():
        low, high = figures["nominal_interval"]
        assert low <= figures["rates"]["held-out images"]["all four scores"] <= high
        assert min(figures["kolmogorov_smirnov_p"].values()) > 0.05


def test_the_photographs_are_those_that_were_measured():
    rows = rows_below("### Photographs")
    for seed, row in enumerate(rows[:2]):
        inputs = json.loads((DOCS / "results" / f"photos-seed{seed}.json").read_text())["inputs"]
        assert row[1].startswith(f"{inputs['photographs, k = 1']['ratio']:.3f}")
    plain = json.loads((DOCS / "results" / "photos-seed0.json").read_text())["inputs"]
    assert rows[2][1].startswith(f"{plain['photographs, plain intake, k = 1']['ratio']:.3f}")


def test_the_directions_are_those_that_were_measured():
    found = json.loads((DOCS / "results" / "directions.json").read_text())["models"]
    rows, model = rows_below("## Directions"), ""
    assert len(rows) == len(found["mnist-vae-16"]) + len(found["faces-vae-16"])
    for name, target, effect, random, moves, beside in rows:
        model = name or model
        own = found[model][target]["own"]
        trait = TraitEffect(**own)
        told = f"{signed(own['effect'])} ({signed(own['low'])} to {signed(own['high'])})"
        assert (effect, random) == (told, f"{own['random']:.2f}"), target
        assert moves == ("yes" if trait.moves and trait.effect > 0 else "no"), target
        others = found[model][target]["beside"][:4]
        assert beside == ", ".join(f"{one['name']} {signed(one['effect'])}" for one in others)
    assert f"({signed(found['faces-ae-16']['gaze']['own']['effect'])})" in PAGE


def test_the_repairs_are_those_that_were_measured():
    found = json.loads((DOCS / "results" / "repair.json").read_text())
    assert found["met"]
    assert f"Over {found['count']:,} held-out digits" in PAGE
    rows = rows_below("## Repair")
    assert len(rows) == len(found["repairs"])
    for (name, damage, *cells), one in zip(rows, found["repairs"], strict=True):
        assert (name, damage) == (one["checkpoint"], one["damage"])
        assert cells == [
            f"{one[pictures][key][0]:.{digits}f} ± {one[pictures][key][1]:.{digits}f}"
            for key, digits in (("psnr", 2), ("ssim", 3))
            for pictures in ("damaged", "repaired")
        ], damage


def test_the_limits_are_the_intakes():
    for told in (
        f"{MAX_BYTES // 2**20} MiB a file",
        f"{MAX_PIXELS // 10**6}\nmillion pixels",
        f"({FEWER_PIXELS['WEBP'] // 10**6} million of WebP and AVIF)",
        f"{MAX_FRAMES:,} frames",
        f"{MAX_ARCHIVE_BYTES // 2**20} MiB and {MAX_ENTRIES} entries an archive",
        f"{MAX_EXPANDED_BYTES // 2**20} MiB of what comes out",
    ):
        assert told in PAGE, told


def test_every_command_is_understood():
    commands = [
        shlex.split(line)
        for block in re.findall(r"```\n(.*?)```", PAGE, re.DOTALL)
        for line in block.strip().splitlines()
    ]
    assert len(commands) == 10
    for words in commands:
        if "train_vae.py" in words:
            parse_flags(words[2:])
            continue
        words = words[words.index("-m") + 1 :]
        if words[0] == "explorer.encode":
            build_encode_parser().parse_args(words[1:])
        elif words[0] == "explorer.encode.familiarity":
            build_familiarity_parser().parse_args(words[1:])
        else:
            assert (ROOT / f"{words[0].replace('.', '/')}.py").is_file(), words


def test_the_columns_are_those_of_the_table():
    known = set(Codes.__dataclass_fields__) | {"negative_elbo"}
    told = PAGE[PAGE.index("A row a picture:") : PAGE.index("The trainer writes the scores")]
    names = {name.removesuffix("_*") for name in re.findall(r"`([a-z_*]+)`", told)}
    assert names == known


def test_every_link_leads_somewhere():
    for target in re.findall(r"\]\((?!http)(.*?)\)", PAGE):
        assert (DOCS / target).resolve().is_file(), target


@pytest.mark.slow
def test_the_python_on_the_page_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pretrained").symlink_to(ROOT / "pretrained")
    Image.new("L", (60, 40), 255).save("seven.jpg")
    with zipfile.ZipFile("scans.zip", "w") as archive:
        archive.write("seven.jpg", "one.jpg")
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(compile(code, "ENCODE.md", "exec"), {})
    assert len(Path("codes.csv").read_text().splitlines()) == 3
    assert "unlike" in capsys.readouterr().out
