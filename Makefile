# The two commands most people need: `make run` and `make test`. `make help` lists the rest.
# Nothing here calls sudo or apt: what is missing is named, with the one line that installs it.

SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# The first interpreter that is new enough and can make virtual environments.
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	"$$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& { echo "$$python"; break; }; done)
GIT_OK := $(shell git --version 2>/dev/null | { IFS=' .' read -r _ _ major minor _; \
	[ "$${major:-0}" -gt 2 ] || { [ "$${major:-0}" -eq 2 ] && [ "$${minor:-0}" -ge 39 ]; } && echo yes; })
# What was installed: the locked set, this package's metadata, and the interpreter.
WANTED = $(shell { cat requirements.lock pyproject.toml; $(PYTHON) -V; } | sha256sum | cut -c 1-64)

.DEFAULT_GOAL := help
.PHONY: help run test check bench fuzz crash figures format lock setup needs

help:  ## show this list
	@echo "Guts: a git forge replicated by BFT agreement"
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 16

run: setup  ## start or resume a network of four validators in .guts-devnet/; Ctrl-C stops it
	@exec $(BIN)/guts devnet start --dir .guts-devnet $(ARGS)

test: setup  ## run every test (ARGS="tests/core -k codec" narrows it)
	@$(BIN)/python -m pytest $(ARGS)

check: setup  ## lint, format, types and import contracts
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: setup  ## measure, print a table, write JSON; exits 1 when a bar is missed
	@$(BIN)/python -m benchmarks $(ARGS)

# The fuzzer in an environment of its own, over the packages of the other: it is no dependency of anybody.
FUZZ_BIN := .fuzz/venv/bin
FUZZERS := $(filter-out __init__,$(basename $(notdir $(wildcard tests/fuzz/targets/*.py))))
fuzz: setup  ## run one fuzz target for a while: make fuzz T=codec M=5 (without T: their names)
	@if [ -z "$(filter $(T),$(FUZZERS))" ]; then echo "make fuzz T=name M=minutes, name one of:"; printf '  %s\n' $(FUZZERS); exit 2; fi
	@if [ ! -x $(FUZZ_BIN)/python ]; then \
		$(BIN)/python -m venv .fuzz/venv \
		&& $(BIN)/python -c 'import site; print(site.getsitepackages()[0])' \
			>"$$($(FUZZ_BIN)/python -c 'import site; print(site.getsitepackages()[0])')/guts.pth" \
		&& $(FUZZ_BIN)/python -m pip install --quiet "atheris==$$($(BIN)/python -c \
			'import sys; print("3.0.0" if sys.version_info < (3, 12) else "3.1.0")')" \
		|| { rm -rf .fuzz/venv; exit 1; }; \
	fi
	@$(FUZZ_BIN)/python -m tests.fuzz.run $(T) $(or $(M),2)

crash: setup  ## cut the power everywhere, in every variant (minutes; ARGS="'vote log'" narrows it)
	@$(BIN)/python -m tests.crash.run $(ARGS)

FIGURES := .figures.jsonl
figures: setup  ## run the tests on all cores and write docs/quality/figures.md from what they told
	@rm -f $(FIGURES)
	@$(BIN)/python -m pytest -n auto --figures $(FIGURES) $(ARGS); status=$$?; \
		$(BIN)/python -m tests.figures $(FIGURES) --write && exit $$status

format: setup  ## rewrite the code as the formatter wants it
	@$(BIN)/ruff format .

lock: setup  ## resolve requirements.lock again (needs uv)
	@uv pip compile --upgrade --universal --generate-hashes --python-version 3.11 --group dev pyproject.toml \
		--no-emit-index-url --no-emit-find-links --no-annotate --no-header --quiet --output-file requirements.lock

# Quiet when there is nothing to do: one comparison of a hash.
setup: needs
	@if [ "$$(cat $(STAMP) 2>/dev/null)" != "$(WANTED)" ]; then \
		printf 'Setting up %s (about a minute, once) ... ' $(VENV); \
		{ [ -x $(BIN)/python ] && $(BIN)/python -c 'import pip, sys; sys.exit(sys.version_info < (3, 11))' \
			|| $(PYTHON) -m venv --clear $(VENV); } >$(VENV).log 2>&1 \
		&& $(BIN)/python -m pip install --quiet --require-hashes -r requirements.lock >>$(VENV).log 2>&1 \
		&& $(BIN)/python -m pip install --quiet --no-build-isolation --no-deps --editable . >>$(VENV).log 2>&1 \
		|| { echo failed; tail -n 20 $(VENV).log; exit 1; }; \
		rm -f $(VENV).log; echo "$(WANTED)" >$(STAMP); echo done; \
	fi

needs:
	@if [ -z "$(PYTHON)" ] || [ -z "$(GIT_OK)" ]; then \
		echo "Guts needs Python 3.11 or newer with venv, and git 2.39 or newer. On Debian and Ubuntu:" >&2; \
		echo "  sudo apt install python3 python3-venv git make" >&2; \
		exit 2; \
	fi
