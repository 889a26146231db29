# Every target sets itself up, in .venv if it does not say otherwise, on a machine that has Python 3.11 or newer, make and git.

PYTHON ?=
CONSTRAINTS ?=
export PYTHON CONSTRAINTS

py := .venv/bin/python
ready := sh tools/venv.sh .venv

.PHONY: help demo demo-serve test differential fire crowds fuzz mutants mutants-sample lint docs bench layer
.PHONY: test-lowest test-frameworks test-browser test-without-ecdsa dist reproducible constraints surface format clean

help:
	@echo 'make demo         a user pool on this machine, a user, and the CostCalculator API that only registered users may call'
	@echo 'make demo-serve   the same pool and API, left running, with AWS CLI and curl lines to try'
	@echo 'make test         the test suite with branch coverage, then the built wheel in a bare environment'
	@echo 'make differential some 200,000 good and bad tokens through this library, PyJWT and joserfc: who accepts what'
	@echo 'make mutants      every small change to the core code, one at a time: whether a test notices (an hour or more)'
	@echo 'make mutants-sample  a minute of the same'
	@echo 'make lint         ruff, mypy --strict, and which room may import which'
	@echo 'make docs         the manual as a site, in build/docs; any warning or broken link fails it'
	@echo 'make bench        the figures of the manual, measured on this machine'
	@echo 'make fire         the key endpoint under fire: some sixty ways to misbehave, with real deadlines'
	@echo 'make crowds       64 threads, 200 tasks, forks and a jumping clock on one verifier, for a minute'
	@echo 'make fuzz         the parsers under a fuzzer, 10 minutes each (FUZZ_SECONDS=60: a minute); see tests/attacks/fuzz'
	@echo 'make layer        a Lambda layer for each runtime and architecture, in build/layer'
	@echo 'make test-lowest  the test suite with the oldest run-time dependencies that pyproject.toml allows'
	@echo 'make test-frameworks  the integrations with the current major version of each framework, and the one before'
	@echo 'make test-browser  the log-in of FastAPI'\''s docs page, in Chromium (CHROMIUM=/path/to/it where it has another name)'
	@echo 'make surface      accept the public surface as it is now: tests/public_surface.txt'
	@echo 'make test-without-ecdsa  the test suite with ecdsa, rsa and pyasn1 uninstalled, which python-jose names and we never import'
	@echo 'make dist         wheel, sdist, SBOM and VEX of the last commit, in dist'
	@echo 'make reproducible the same in two clones that differ in all but the commit: every byte must be the same'
	@echo 'make constraints  constraints.txt anew: the newest versions that pyproject.toml allows'
	@echo 'make format       put the code into the format that lint asks for'
	@echo 'make clean        remove everything that these made'
	@echo
	@echo 'Needs Python 3.11 or newer. To choose one: make PYTHON=python3.12 test'
	@echo 'Installs the versions in constraints.txt (test-lowest, test-frameworks: their own). The newest: make CONSTRAINTS=/dev/null test'

demo:
	@$(ready) lab
	@$(py) examples/cost_calculator/lab.py

demo-serve:
	@$(ready) lab
	@$(py) examples/cost_calculator/lab.py --serve

test:
	@$(ready) dev lab docs
	@$(py) -m coverage erase
	$(py) tools/suite.py
	@$(py) -m coverage combine --quiet
	$(py) -m coverage report
	$(py) tools/check_wheel.py

differential:
	@$(ready) dev
	ATTACKS=long $(py) -m pytest -q -s tests/attacks/test_differential.py

# Goes on where it was interrupted; build/mutants holds what is known. `make mutants MUTANTS=keys` is one room alone,
# `MUTANTS=--again` runs what was not killed once more, with the tests as they are now.
mutants:
	@$(ready) dev mutants
	@ATTACKS=long $(py) -m tests.attacks.mutants $(MUTANTS)

mutants-sample:
	@$(ready) dev mutants
	@$(py) -m tests.attacks.mutants

lint:
	@$(ready) dev
	$(py) -m ruff check
	$(py) -m ruff format --check
	$(py) -m mypy
	$(py) -m pytest -q tests/test_rooms.py

docs:
	@$(ready) docs
	@$(py) -m sphinx --fail-on-warning --keep-going --quiet --fresh-env --doctree-dir build/doctrees docs build/docs
	@echo 'build/docs/index.html'

bench:
	@$(ready) bench
	@$(py) -m benchmarks

# The long forms; `make test` runs the short ones.
fire:
	@$(ready) dev
	ATTACKS=long $(py) -m pytest tests/attacks/test_key_endpoint_under_fire.py

crowds:
	@$(ready) dev
	ATTACKS=long $(py) -m pytest -s tests/attacks/test_crowds.py

# ATTACKS=short is what CI runs: 20 s a target, from the kept corpus and a fixed seed.
fuzz:
	@$(ready) dev fuzz
	@ATTACKS=$${ATTACKS:-long} $(py) -m tests.attacks.fuzz

layer:
	@$(ready) dev
	@$(py) tools/layer.py

# An environment of its own, made anew: pip must resolve the lowest versions, not keep what is there.
test-lowest:
	@$(ready) dev
	@rm -rf .venv-lowest && mkdir -p build
	@$(py) tools/lowest.py > build/lowest.txt
	@echo 'chardet<6' >> build/lowest.txt # requests 2.32 warns of newer ones, which cyclonedx-bom brings
	@CONSTRAINTS=build/lowest.txt sh tools/venv.sh .venv-lowest dev lab docs
	@cat build/lowest.txt
	.venv-lowest/bin/python tools/lowest.py --check
	.venv-lowest/bin/python -m pytest

# One environment for each file of version constraints; a framework has a line in each of them.
test-frameworks:
	@set -e; for versions in current previous; do \
		CONSTRAINTS=tests/integrations/versions/$$versions.txt sh tools/venv.sh .venv-$$versions dev lab; \
		.venv-$$versions/bin/python -m pip list | grep -iE "^($$(sed -nE 's/^([A-Za-z0-9-]+).*/\1/p' \
			tests/integrations/versions/$$versions.txt | paste -sd'|' -)) "; \
		.venv-$$versions/bin/python -m pytest tests/integrations; \
	done

# `make test` skips it; here a browser that is not there is a failure.
test-browser:
	@$(ready) dev browser
	CHROMIUM=$${CHROMIUM:-$$(command -v chromium || command -v chromium-browser || command -v google-chrome || echo chromium)} \
	    $(py) -m pytest tests/e2e/test_docs_page_logs_in.py

# Not by redirection: where it fails, the file stays as it was.
surface:
	@$(ready) dev
	@$(py) tools/surface.py --write

# An environment of its own here too. pip does not mind that python-jose then lacks what it names; `pip check` would.
test-without-ecdsa:
	@rm -rf .venv-without-ecdsa
	@sh tools/venv.sh .venv-without-ecdsa dev lab docs
	.venv-without-ecdsa/bin/python -m pip uninstall --quiet --yes ecdsa rsa pyasn1
	! .venv-without-ecdsa/bin/python -c 'import ecdsa' 2>/dev/null
	! .venv-without-ecdsa/bin/python -c 'import rsa' 2>/dev/null
	! .venv-without-ecdsa/bin/python -c 'import pyasn1' 2>/dev/null
	.venv-without-ecdsa/bin/python -m pytest --ignore tests/e2e/test_user_zip.py
	ATTACKS=long .venv-without-ecdsa/bin/python -m pytest tests/e2e/test_user_zip.py

dist:
	@$(ready) dev
	@$(py) tools/dist.py

reproducible:
	@$(ready) dev
	@$(py) tools/dist.py --twice

# For every platform, and every Python from the oldest allowed on: what is for some of them only has a marker.
constraints:
	@CONSTRAINTS=/dev/null $(ready) lock
	@$(py) -m uv pip compile --quiet --upgrade --universal --python-version 3.11 --fork-strategy fewest --all-extras \
	    --no-annotate --custom-compile-command 'make constraints' --output-file constraints.txt pyproject.toml

format:
	@$(ready) dev
	@$(py) -m ruff check --fix-only --quiet
	@$(py) -m ruff format

clean:
	rm -rf .venv .venv-* build dist .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache .benchmarks
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
