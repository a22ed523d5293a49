# The two commands a newcomer needs: `make demo` and `make test`. Each sets up what it needs.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

# One thread a test process: two processes of two threads each fight for two cores.
# Byte code is kept, even where the environment says not to: hundreds of processes would each compile the same files.
TEST_WITH := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE=

.PHONY: demo test tests lint types nightly soak docs setup format clean

setup: $(READY)

$(READY): pyproject.toml src/betanas/_version.py
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
	touch $(READY)

# A digit classifier, from the images to a checked model: three minutes, on any machine.
demo: $(READY)
	rm -rf runs/demo
	$(BIN)/betanas find digits --time 3m --to runs/demo

# Types are checked beside the tests: the last of those leave a core idle.
test: $(READY)
	$(MAKE) --no-print-directory --jobs 2 lint types tests

tests: $(READY)
	$(TEST_WITH) $(BIN)/python -m pytest -n 2 --dist worksteal -m "not soak and not nightly"

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy

# Every page of the documentation and the example scripts, command by command: what changes seldom and takes minutes.
nightly: $(READY)
	$(TEST_WITH) $(BIN)/python -m pytest -n 2 --dist worksteal -m nightly

# Long tests: kills at random moments, thousands of trials.
soak: $(READY)
	$(TEST_WITH) $(BIN)/python -m pytest -n 1 -m soak

# The documentation site, in site/; a broken link fails.
docs: $(READY)
	$(BIN)/python -m mkdocs build --strict

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) build dist site .mypy_cache .pytest_cache .ruff_cache .hypothesis
