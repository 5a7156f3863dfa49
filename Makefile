PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DATA ?= ../shared/data/photos
# The models of the page in the browser.
PAGE_MODELS := photo-denoise lnca-denoise lnca-deblur latent-nafca-denoise latent-vitca-denoise latent-nafca-deblur latent-vitca-deblur
PAGE := src/lnca/web/index.html
KERNELS := $(wildcard src/lnca/kernels/cpu/*) hatch_build.py

.PHONY: setup demo test test-slow test-gpu bench-gpu faults lint types format quality web test-web bench-web screenshots clean

setup: $(VENV)/done

# torch comes first and pinned, so that the platform's own build of it is taken.
$(VENV)/done: pyproject.toml constraints.txt $(KERNELS)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check $$(grep '^torch==' constraints.txt)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
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

# The page in the browser, which `lnca app` serves and a wheel built afterwards contains.
web: $(PAGE)

$(PAGE): web/node_modules/.package-lock.json $(PAGE_MODELS:%=web/public/models/%/model.json) $(shell find web/src web/public/*.* web/scripts/assets.mjs) web/index.html web/vite.config.js
	cd web && npm run --silent build -- --logLevel warn
	touch $@

web/public/models/%/model.json: src/lnca/weights/%.safetensors src/lnca/exporting.py src/lnca/kernels/graph.py | $(VENV)/done
	$(BIN)/lnca export --model $* --out $(@D) --variants float32 --overwrite

web/node_modules/.package-lock.json: web/package.json web/package-lock.json
	@command -v npm > /dev/null || { echo "The page needs Node.js 20 or later, with npm"; exit 1; }
	cd web && npm ci --no-audit --no-fund --loglevel=error
	touch $@

# Tests of the page in Chromium.
test-web: web
	cd web && scripts/chromium.sh && npm run --silent lint && npm run --silent test

# Times 64 steps on a picture of 512x512 in the page; writes benchmarks/results/web.json.
bench-web: web
	cd web && scripts/chromium.sh && npm run --silent bench

# Makes the pictures of the page in docs/images.
screenshots: web
	cd web && scripts/chromium.sh && npm run --silent screenshots

clean:
	rm -rf $(VENV) demo src/lnca/web web/node_modules web/public/models web/public/ort web/public/samples
