# make run          install what the app needs, start it and open the browser
# make test         install what the tests need, Chromium included, and run every check and test
# make test-fast    the tests that take no browser and no training
# make check        lint, format, types and import rules
# make bench        the benchmarks, each beside a named baseline of the same run
# make gallery      train what is missing of the checkpoints in pretrained/ (hours; go on any time)
# make screenshots  take the README's screenshots again
#
# Settings: PORT=8600 for another port, TORCH=cpu for PyTorch's small CPU build on Linux,
# PYTHON=python3.12 for a Python of your choice (3.11 or newer).

PORT ?=
TORCH ?=
PYTHON ?=

MAKEFLAGS += --no-print-directory

bin := .venv/bin
pythons := $(or $(PYTHON),python3 python3.14 python3.13 python3.12 python3.11)
pip_install := $(bin)/python -m pip install --disable-pip-version-check
ifeq ($(TORCH)-$(shell uname -s),cpu-Linux)
pip_install += --extra-index-url https://download.pytorch.org/whl/cpu
endif

.PHONY: run test test-fast check bench gallery screenshots install install-dev help

help:
	@sed -n 's/^# \{0,1\}//p' Makefile | sed -n '1,10p'

# Each stamp is younger than what it was made from, so that nothing is installed twice.
.venv/made:
	@found=; \
	for python in $(pythons); do \
	  if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    found=$$python; break; \
	  fi; \
	done; \
	if [ -z "$$found" ]; then \
	  echo "Latent Explorer needs Python 3.11 or newer; there is none among: $(pythons)." \
	    "Install one, or name yours: make PYTHON=/path/to/python3.12" >&2; \
	  exit 1; \
	fi; \
	$$found -m venv .venv
	@touch $@

.venv/installed: .venv/made requirements.txt pyproject.toml
	$(pip_install) -r requirements.txt
	@touch $@

.venv/installed-dev: .venv/installed requirements-dev.txt
	$(pip_install) -r requirements-dev.txt
	@touch $@

# For the benchmarks alone: what ours is set beside.
.venv/installed-bench: .venv/installed-dev requirements-bench.txt
	$(pip_install) --no-deps -r requirements-bench.txt
	@touch $@

install: .venv/installed

install-dev: .venv/installed-dev

# The app opens the browser itself, once its server answers.
run: .venv/installed
	@$(bin)/python -m streamlit run explorer/app.py $(if $(PORT),--server.port $(PORT))

test:
	@bash .ci/run

test-fast: .venv/installed-dev
	$(bin)/python -m pytest -m "not slow"

check: .venv/installed-dev
	$(bin)/ruff check
	$(bin)/ruff format --check
	$(bin)/mypy
	$(bin)/lint-imports

bench: .venv/installed-bench
	$(bin)/python tests/browser/chromium.py --install
	$(bin)/python -m benchmarks.cold_start
	$(bin)/python -m benchmarks.drag
	$(bin)/python -m benchmarks.map
	$(bin)/python -m benchmarks.clients
	$(bin)/python -m benchmarks.floods
	$(bin)/python -m benchmarks.browsers
	$(bin)/python -m benchmarks.compare
	$(bin)/python -m benchmarks.drawing
	$(bin)/python -m benchmarks.regularity
	$(bin)/python -m benchmarks.photos
	$(bin)/python -m benchmarks.familiarity
	$(bin)/python -m benchmarks.directions
	$(bin)/python -m benchmarks.inverse
	$(bin)/python -m benchmarks.repair
	$(bin)/python -m benchmarks.training

gallery: .venv/installed
	$(bin)/python train_vae.py gallery

screenshots: .venv/installed-dev
	$(bin)/python tests/browser/chromium.py --install
	$(bin)/python -m docs.screenshots
