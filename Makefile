PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DATA ?= ../shared/data/photos
KERNELS := $(wildcard src/lnca/kernels/cpu/*) hatch_build.py

.PHONY: setup demo test test-slow test-gpu bench-gpu faults lint types format quality clean

setup: $(VENV)/done

# torch comes first and pinned, so that the platform's own build of it is taken. spandrel and deepinv come without torchvision,
# which wants a torch of its own build; the tests of their adapters do without it.
$(VENV)/done: pyproject.toml constraints.txt $(KERNELS)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check $$(grep '^torch==' constraints.txt)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps $$(grep -E '^(spandrel|deepinv)==' constraints.txt)
	touch $@

demo: setup
	$(BIN)/lnca demo --out demo --overwrite

test: setup
	$(BIN)/pytest

test-slow: setup
	$(BIN)/pytest -m slow

test-gpu: setup
	$(BIN)/pytest -m gpu

# Measures everything that needs a GPU; PARTS chooses: check blocks frames inference train-memory train-latency backward.
bench-gpu: setup
	$(BIN)/python benchmarks/gpu.py $(PARTS)

# Kills lnca a hundred times at random moments, and looks at what is left.
faults: setup
	$(BIN)/python benchmarks/faults.py

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup
	$(BIN)/mypy

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Scores the shipped weights on the test split of $(DATA) and writes their cards from the result.
quality: setup
	$(BIN)/python benchmarks/model_cards.py --data $(DATA)

clean:
	rm -rf $(VENV) demo
