# make run     a working service network on this machine, from config/demo
# make test    install what the tests need, run them all
# make check   what CI and reviewers expect: lint, types, layers, tests
# make bench   tables of ratios against other servers, measured in the same run
.PHONY: run test check lint types layers bench format

BIN := .venv/bin
export PYTHONPATH := $(CURDIR)
export PATH := $(PATH):/usr/sbin:/sbin

run:
	@tools/setup
	@exec $(BIN)/svcdns up $(ARGS)

test:
	@tools/setup --dev
	$(BIN)/python -m pytest -q $(ARGS)

check: lint types layers test

lint:
	@tools/setup --dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types:
	@tools/setup --dev
	$(BIN)/mypy

layers:
	@tools/setup --dev
	$(BIN)/lint-imports

format:
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench:
	@tools/setup --bench
	@$(BIN)/python -m benchmarks
