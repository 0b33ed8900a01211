# Two commands matter: `make demo` shows the whole job, `make test` proves it. The rest serves those who change the code.
PYTHON ?= python3
BIN := .venv/bin
# Where it is set, each of the many processes that the tests start would compile the whole gateway anew: half its start.
unexport PYTHONDONTWRITEBYTECODE
ifeq ($(MAKELEVEL),0)
MAKEFLAGS += --jobs=2 # what is installed, and the lint, mostly wait for something else
endif

.PHONY: setup demo test unit lint fmt bench scorecard wheelhouse deb image sbom lock clean

setup: .venv/.ready

# The environment is rebuilt when a requirement changes, and only then.
.venv/.ready: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Capgate needs Python 3.11 or later; set PYTHON=python3.11")'
	@$(PYTHON) -c 'import venv, ensurepip' || { echo "python3-venv is missing: apt install python3-venv"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

.venv/.ready-dev: .venv/.ready requirements-dev.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-dev.txt
	@touch $@

# Simulators and masters that others wrote, in an environment of their own: the tests run them as programs.
.venv-peers/.ready: requirements-peers.txt
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-peers.txt
	@touch $@

# Validators and servers from the other registry; no install scripts, for none is needed.
tests/node/node_modules/.ready: tests/node/package.json tests/node/package-lock.json
	npm ci --prefix tests/node --ignore-scripts --silent
	@touch $@

demo: setup
	$(BIN)/capgate demo

# Lint, types, layers, then every test but the long repeats. tests/install-tools brings what pip cannot.
test: .venv/.ready-dev .venv-peers/.ready
	tests/install-tools
	$(MAKE) --no-print-directory tests/node/node_modules/.ready lint
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder

# The inner loop, under a minute: what is pure or small, without the tests that take seconds each.
unit: .venv/.ready-dev
	$(BIN)/pytest -q -n 2 -m "not slow" tests/unit tests/properties

fmt: .venv/.ready-dev
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

lint: .venv/.ready-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/pyright

bench: .venv/.ready-dev
	tests/install-tools
	$(BIN)/python -m tests.bench
	$(BIN)/python -m tests.bench.assessment
	$(BIN)/python -m tests.bench.noise
	$(BIN)/python -m tests.bench.slow_disk
	$(BIN)/python -m tests.bench.drain
	$(BIN)/python -m tests.bench.start
	$(BIN)/python -m tests.bench.audit
	$(BIN)/python -m tests.bench.ledger_size
	$(BIN)/python -m tests.bench.encryption
	$(BIN)/python -m tests.bench.page

# The long repeats of the fault tests, and whether the tests notice planted bugs: about an hour.
scorecard: .venv/.ready-dev .venv-peers/.ready
	tests/install-tools scorecard
	$(MAKE) --no-print-directory tests/node/node_modules/.ready
	$(BIN)/python -m tests.scorecard

# What is handed out, in dist/. For another Python or machine: make wheelhouse FOR="--python 3.13 --machine aarch64".
wheelhouse: .venv/.ready-dev
	$(BIN)/python -m release.wheelhouse $(FOR)

# Needs dpkg-deb, not root. For another machine: make deb FOR="--machine aarch64".
deb: .venv/.ready-dev
	$(BIN)/python -m release.deb $(FOR)

# What run time is made of, as CycloneDX, and the licences in full: both lie in the package and the wheelhouse too.
sbom: .venv/.ready-dev
	$(BIN)/python -m release.sbom

# The gateway as a container, of the Debian package.
image: deb
	buildah bud --format docker --file release/Containerfile --tag capgate .

# Pins every dependency with its hashes; name no index here. What sqlite-utils asks for and only its own command needs stays out:
# installed are exactly these files, without looking at what they ask for.
COMPILE := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header
NOT_NEEDED := --no-emit-package pip --no-emit-package click-default-group --no-emit-package tabulate
lock:
	$(COMPILE) $(NOT_NEEDED) -o requirements.txt pyproject.toml
	$(COMPILE) $(NOT_NEEDED) -o requirements-dev.txt --group dev --extra pdf pyproject.toml
	$(COMPILE) -o requirements-peers.txt requirements-peers.in

clean:
	rm -rf .venv .venv-peers tests/node/node_modules .pytest_cache .ruff_cache .hypothesis dist build
