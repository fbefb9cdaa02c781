"""requirements.txt names what is imported."""

import ast
import re
import sys
from importlib.metadata import packages_distributions, version
from pathlib import Path

ROOT = Path(__file__).parents[2]
OPTIONAL = {"tensorboard"}  # --tensorboard says when it is missing


def requirements():
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    found = [re.match(r"([A-Za-z0-9][A-Za-z0-9_-]*)([^#]*)", line) for line in lines]
    return {one[1].lower(): one[2].strip() for one in found if one is not None}


def imported():
    names = set()
    for path in [*(ROOT / "explorer").rglob("*.py"), ROOT / "train_vae.py"]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                names.add(node.module.split(".")[0])
    return names - set(sys.stdlib_module_names) - {"explorer", "train_vae"}


def test_every_package_that_is_imported_is_named_with_bounds():
    distributions = packages_distributions()
    needed = {distributions[name][0].lower() for name in imported()} - OPTIONAL
    named = requirements()
    assert needed <= set(named)
    for name in needed:
        assert "==" in named[name] or ("<" in named[name] and ">=" in named[name]), name


def test_the_versions_here_lie_within_the_bounds():
    for name, bounds in requirements().items():
        found = tuple(map(int, re.findall(r"\d+", version(name).partition("+")[0])[:2]))
        for sign, bound in re.findall(r"(>=|<)([0-9.]+)", bounds):
            limit = tuple(map(int, bound.split(".")))[:2]
            assert found >= limit if sign == ">=" else found < limit, name
