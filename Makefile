PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DATA ?= ../shared/data/photos
# The models of the page in the browser.
PAGE_MODELS := photo-denoise lnca-denoise latent-nafca-denoise latent-vitca-denoise latent-nafca-deblur latent-vitca-deblur
PAGE_TILED := photo-denoise
PAGE := src/lnca/web/index.html
KERNELS := $(wildcard src/lnca/runtime/cpu/*) hatch_build.py

.PHONY: setup demo test test-slow test-light test-ray test-gpu bench-gpu faults fuzz load lock lock-check sbom audit lint types format quality
.PHONY: gallery docs release-check wheels web test-web bench-web screenshots clean

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

# In a process for every core; each takes tests from another that has some left.
PARALLEL := -n auto --dist worksteal

test: setup
	$(BIN)/pytest $(PARALLEL)

test-slow: setup
	$(BIN)/pytest $(PARALLEL) -m slow

# Bulk restoring on a Ray cluster of two nodes, from one server that speaks S3 to another. In an environment of its own,
# since a library beneath s3fs wants an older python-dateutil than constraints.txt has.
RAY_BIN := $(VENV)-ray/bin
$(VENV)-ray/done: pyproject.toml constraints.txt $(KERNELS)
	$(PYTHON) -m venv $(VENV)-ray
	$(RAY_BIN)/pip install --quiet --disable-pip-version-check $$(grep '^torch==' constraints.txt)
	$(RAY_BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[ray,train]' pytest
	$(RAY_BIN)/pip install --quiet --disable-pip-version-check s3fs==2026.9.0 aiobotocore==3.10.0 'moto[server]==5.2.5'
	touch $@

test-ray: $(VENV)-ray/done
	$(RAY_BIN)/pytest tests/restoration/test_cluster.py

# Without torch: restoring, corrupting, comparing, the service and the page, in an environment of their own.
LIGHT_BIN := $(VENV)-light/bin
$(VENV)-light/done: pyproject.toml constraints.txt $(KERNELS)
	$(PYTHON) -m venv $(VENV)-light
	$(LIGHT_BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[serve]' pytest
	touch $@

test-light: $(VENV)-light/done
	$(LIGHT_BIN)/pytest -c tests/light/pytest.ini tests/light

test-gpu: setup
	$(BIN)/pytest -m gpu

# Measures everything that needs a GPU; PARTS chooses: check blocks frames inference train-memory train-latency backward.
bench-gpu: setup
	$(BIN)/python benchmarks/gpu.py $(PARTS)

# Kills lnca a hundred times at random moments, and looks at what is left.
faults: setup
	$(BIN)/python benchmarks/faults.py

# Broken and hostile input to the figures in docs/reliability.md; goes on with what the report holds. A smaller run:
# make fuzz FUZZ="--pictures 1000" REPORT=/tmp/fuzz.json
FUZZ ?= --pictures 100000 --weights 100000 --checkpoints 100000 --recipes 10000 --command-lines 10000 --seed 1000
REPORT ?= benchmarks/results/fuzz.json
fuzz: setup
	PYTHONPATH=benchmarks OMP_NUM_THREADS=1 $(BIN)/python -m fuzz $(FUZZ) --out $(REPORT)

# Two hundred clients against lnca serve.
MINUTES ?= 10
load: setup
	$(BIN)/python benchmarks/load.py --minutes $(MINUTES) --out benchmarks/results/load.json

# What lnca is made of: tools/supply.py.
$(VENV)/supply: $(VENV)/done
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt uv pip-audit cyclonedx-bom
	touch $@

lock: $(VENV)/supply
	$(BIN)/python tools/supply.py lock

lock-check: $(VENV)/supply
	$(BIN)/python tools/supply.py check

sbom: $(VENV)/supply
	$(BIN)/python tools/supply.py sbom

audit: $(VENV)/supply
	$(BIN)/python tools/supply.py audit

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

# Draws docs/gallery.md and its pictures again.
gallery: setup
	$(BIN)/python benchmarks/gallery.py

# The documents as a site, in build/site; a page that would fetch something from elsewhere is an error.
docs: setup
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	! grep -rlE '<(script|link|img|iframe)[^>]*(src|href)="https?:' build/site --include='*.html'

# Wheels of every platform into dist/, and which of them were run; apt-get install qemu-user wine64 musl, and for 64-bit
# ARM libc6:arm64 musl:arm64, for those that this machine does not run by itself. TARGETS chooses: musl windows macos.
$(VENV)/wheels: $(VENV)/done
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt build hatchling ziglang
	touch $@

wheels: $(VENV)/wheels
	$(BIN)/python tools/wheels.py $(TARGETS)

# Builds into dist/, and uses the wheel in an empty environment as a new user would.
release-check: setup
	$(BIN)/python tools/release_check.py

# The page in the browser, which `lnca app` serves and a wheel built afterwards contains.
web: $(PAGE)

$(PAGE): web/node_modules/.package-lock.json $(PAGE_MODELS:%=web/public/models/%/model.json) $(shell find web/src web/public/*.* web/scripts/assets.mjs) web/index.html web/vite.config.js
	cd web && npm run --silent build -- --logLevel warn
	touch $@

# What takes a noise level is cut into tiles by the page; the others have one form.
$(PAGE_TILED:%=web/public/models/%/model.json): FORM := --form tiles
web/public/models/%/model.json: src/lnca/weights/%.safetensors $(wildcard src/lnca/exporting/*.py) src/lnca/kernels/graph.py | $(VENV)/done
	$(BIN)/lnca export --model $* --out $(@D) $(FORM) --variants float32 --overwrite

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
	rm -rf $(VENV) $(VENV)-ray $(VENV)-light build dist demo src/lnca/web web/node_modules web/public/models web/public/ort web/public/samples
