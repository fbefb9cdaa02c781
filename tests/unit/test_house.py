"""The import rules of pyproject.toml hold, and notice when they are broken."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LAYERS = "Imports go down only"


def lint_imports(folder):
    """What `make check` runs, on the tree in a folder."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    return subprocess.run(
        command, cwd=folder, env={"PYTHONPATH": str(folder)}, capture_output=True, text=True
    )


@pytest.fixture
def house(tmp_path):
    """A copy of the source tree."""
    shutil.copytree(
        ROOT / "explorer", tmp_path / "explorer", ignore=shutil.ignore_patterns("__pycache__")
    )
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_the_import_rules_hold(house):
    done = lint_imports(house)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("module", "line", "rule"),
    [
        ("latent/codes.py", "from explorer.models import codec", LAYERS),
        ("models/codec.py", "from explorer.latent import codes", LAYERS),
        ("images/dataset.py", "import explorer.ui.state", LAYERS),
        ("plots/palette.py", "import streamlit", "Streamlit is imported by app and ui alone"),
        ("latent/axes.py", "import torch", "torch is imported by models, training and live alone"),
        ("latent/axes.py", "import umap", "umap is imported by latent.projection alone"),
    ],
)
def test_a_planted_import_is_found(module, line, rule, house):
    planted = house / "explorer" / module
    planted.write_text(f"{planted.read_text(encoding='utf-8')}\n{line}\n", encoding="utf-8")
    done = lint_imports(house)
    assert done.returncode == 1
    assert f"{rule} BROKEN" in done.stdout


def test_a_new_package_needs_a_place_among_the_layers(house):
    (house / "explorer" / "utils.py").write_text('"""Nobody\'s place."""\n', encoding="utf-8")
    done = lint_imports(house)
    assert done.returncode == 1
    assert "explorer.utils" in done.stdout
