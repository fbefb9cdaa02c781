"""What the first page may cost."""

import subprocess
import sys
from pathlib import Path

APP = Path(__file__).parents[2] / "explorer" / "app.py"

SCRIPT = f"""
import sys
from streamlit.testing.v1 import AppTest
app = AppTest.from_file({str(APP)!r}, default_timeout=120).run()
assert not app.exception, app.exception
assert app.selectbox(key="model").value == "mnist-vae-16"
heavy = ("torch", "umap", "numba", "sklearn", "scipy")
print([name for name in heavy if name in sys.modules])
"""


def test_the_first_page_needs_neither_torch_nor_umap_nor_a_fit():
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().splitlines()[-1] == "[]"
