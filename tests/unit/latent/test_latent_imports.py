"""The app's first paint must not wait for heavy libraries."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    "module",
    [
        "alignment",
        "axes",
        "codes",
        "corners",
        "density",
        "directions",
        "fitting",
        "interpolation",
        "mapcache",
        "metrics",
        "neighbours",
        "placement",
        "planes",
        "posterior",
        "prior",
        "projection",
        "ranking",
        "selection",
        "spots",
    ],
)
def test_importing_takes_numpy_alone(module):
    heavy = ["umap", "sklearn", "scipy", "numba", "torch", "streamlit", "pandas"]
    code = (
        f"import sys, explorer.latent.{module}\n"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
