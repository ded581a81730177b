# `make demo` and `make test` do all set-up by themselves: a virtual environment in .venv, torch, the rest.
#
#   make test VENV=/tmp/venv PYTHON=python3.12     another place, another Python
#   make demo TORCH_INDEX=https://download.pytorch.org/whl/cpu
#                                                  a CPU-only torch (Linux: pip's default brings gigabytes of CUDA)
#   make test PYTEST_ARGS="-k lif -x"              arguments for pytest
#   make bench BENCH=neuron                        one benchmark: neuron, shd, conv or events
#   make bench BENCH=shd BENCH_ARGS='--activity 0.01,0.02,0.05,0.1,0.2'
#                                                  arguments for it

PYTHON ?= python3
VENV ?= .venv
TORCH_INDEX ?=
PYTEST_ARGS ?= -n auto --maxprocesses 8 --dist worksteal
BENCH ?= neuron
BENCH_ARGS ?=
# What the benchmarks measure against comes into an environment of its own: nothing of it is needed otherwise.
PEERS_VENV ?= .venv-peers
# The readers of event files that `make bench BENCH=events` measures against, without spikelab and torch.
EVENTS_PEERS_VENV ?= .venv-events-peers

BIN := $(VENV)/bin
PEERS_BIN := $(PEERS_VENV)/bin
EVENTS_PEERS_BIN := $(EVENTS_PEERS_VENV)/bin
# An environment serves one checkout at a time: the stamp carries the checkout's path as a number.
CHECKOUT := .spikelab-$(shell pwd | cksum | cut -d' ' -f1)
STAMP := $(VENV)/$(CHECKOUT)
PEERS_STAMP := $(PEERS_VENV)/$(CHECKOUT)
EVENTS_PEERS_STAMP := $(EVENTS_PEERS_VENV)/$(CHECKOUT)
# torch goes first and alone: what follows then finds it and does not choose one of its own. With an
# index of its own, that index is the only one asked: a build that it lacks is an error, and never quietly
# PyPI's CUDA build. torchvision comes from there too, because only that one matches (norse declares it).
# --no-deps: what torch itself needs comes from PyPI, with the rest.
TORCH := $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX) --no-deps torch torchvision,torch)
NOTEBOOKS := $(sort $(wildcard notebooks/*.ipynb))

.PHONY: help setup demo test lint format notebooks bench bench-peers bench-events-peers wheel clean

help:
	@echo 'make demo       set up once, then run the demonstration'
	@echo 'make test       set up once, then run tests and doctests'
	@echo 'make lint       ruff, import-linter, mypy (make format mends the layout)'
	@echo 'make notebooks  execute the notebooks'
	@echo 'make bench      measure against peers: BENCH=$(BENCH)'
	@echo 'make bench-peers set up $(PEERS_VENV) with norse, snntorch, spikingjelly, sinabs and spyx for it'
	@echo 'make bench-events-peers set up $(EVENTS_PEERS_VENV) with the readers of event files for BENCH=events'
	@echo 'make wheel      build wheel and sdist; run the demonstration from the wheel in a clean environment'
	@echo 'make setup      only set up; make clean removes what was built, but no environment'

# A new environment in folder $(1), if a Python is there that can make it.
define environment
	@command -v "$(PYTHON)" >/dev/null || \
	  { echo 'spikelab: found no $(PYTHON); expected Python 3.11 or newer; install it, or name it: make PYTHON=/path/to/python3' >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "spikelab: found $$("$(PYTHON)" --version 2>&1) as $(PYTHON); expected Python 3.11 or newer; name another: make PYTHON=python3.12" >&2; exit 1; }
	@rm -f $(1)/.spikelab-*
	@"$(PYTHON)" -m venv $(1) || \
	  { echo 'spikelab: $(PYTHON) -m venv failed; on Debian and Ubuntu: apt-get install python3-venv' >&2; exit 1; }
endef

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	$(call environment,$(VENV))
	$(BIN)/python -m pip install -q -c constraints.txt $(TORCH)
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[dev]'
	@touch $@

demo: $(STAMP)
	$(BIN)/spikelab demo

test: $(STAMP)
	$(BIN)/python -m pytest $(PYTEST_ARGS)

lint: $(STAMP)
	$(BIN)/ruff format --check --output-format concise . || { echo 'run: make format' >&2; exit 1; }
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/mypy

format: $(STAMP)
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

notebooks: $(STAMP)
ifeq ($(NOTEBOOKS),)
	@echo 'no notebooks yet'
else
	$(BIN)/python -m pytest --nbmake --nbmake-timeout=300 $(NOTEBOOKS)
endif

# The peers' own wishes do not go together (constraints-peers.txt says how): three come without what they declare.
bench-peers: $(PEERS_STAMP)

$(PEERS_STAMP): pyproject.toml constraints.txt constraints-peers.txt
	$(call environment,$(PEERS_VENV))
	$(PEERS_BIN)/python -m pip install -q -c constraints.txt $(TORCH)
	$(PEERS_BIN)/python -m pip install -q -c constraints.txt -e '.[baselines]'
	$(PEERS_BIN)/python -m pip install -q -c constraints.txt -c constraints-peers.txt spyx loguru pbr tqdm
	$(PEERS_BIN)/python -m pip install -q -c constraints.txt -c constraints-peers.txt --no-deps sinabs snntorch spikingjelly
	@touch $@

bench-events-peers: $(EVENTS_PEERS_STAMP)

EVENTS_PEERS := aedat dv-processing event_stream evlib evt3 expelliarmus faery h5py hdf5plugin tonic

$(EVENTS_PEERS_STAMP): constraints-events-peers.txt
	$(call environment,$(EVENTS_PEERS_VENV))
	$(EVENTS_PEERS_BIN)/python -m pip install -q -c constraints-events-peers.txt $(EVENTS_PEERS)
	@touch $@

# In the environment of the peers, if there is one; without it the peers are named as not installed.
BENCH_STAMP := $(if $(wildcard $(PEERS_STAMP)),$(PEERS_STAMP),$(STAMP))

# Event files are read by their peers in an environment of their own.
ifeq ($(BENCH),events)
BENCH_STAMP := $(STAMP)
BENCH_PEERS := $(if $(wildcard $(EVENTS_PEERS_STAMP)),--peers $(EVENTS_PEERS_BIN)/python)
endif

bench: $(BENCH_STAMP)
	@mkdir -p bench-results
	$(dir $(BENCH_STAMP))bin/spikelab bench $(BENCH) --json $(BENCH_PEERS) $(BENCH_ARGS) > bench-results/$(BENCH).jsonl.tmp
	@mv bench-results/$(BENCH).jsonl.tmp bench-results/$(BENCH).jsonl
	@cat bench-results/$(BENCH).jsonl

# The wheel must hold spikelab/ whole and nothing else, and run outside the checkout, in an environment
# and a home of its own.
wheel: $(STAMP)
	rm -rf dist
	$(BIN)/python -m build --outdir dist .
	@$(BIN)/python -m zipfile -l dist/*.whl | awk 'NR > 1 {print $$1}' | sort > dist/contents
	@! grep -vE '^spikelab(/|_neuromorphic-[^/]*\.dist-info/)' dist/contents || { echo 'wheel: holds these beside spikelab/' >&2; exit 1; }
	@find spikelab -type f ! -path '*/__pycache__/*' | sort | comm -23 - dist/contents > dist/missing
	@! grep . dist/missing || { echo 'wheel: lacks these files of spikelab/' >&2; exit 1; }
	@rm dist/contents dist/missing
	@set -eu; here=$$PWD; away=$$(mktemp -d); trap 'rm -rf "$$away"' EXIT; mkdir "$$away/home" "$$away/work"; \
	"$(PYTHON)" -m venv "$$away/venv"; \
	echo "wheel: installing into $$away/venv"; \
	"$$away/venv/bin/python" -m pip install -q -c constraints.txt $(TORCH); \
	"$$away/venv/bin/python" -m pip install -q -c constraints.txt dist/*.whl; \
	cd "$$away/work"; unset PYTHONPATH; export HOME="$$away/home"; \
	"$$away/venv/bin/python" -c 'import sys, spikelab; sys.exit(not spikelab.__file__.startswith(sys.prefix))'; \
	"$$away/venv/bin/spikelab" demo; \
	ls -l "$$here"/dist

clean:
	rm -rf dist build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .benchmarks
	find spikelab tests -name __pycache__ -type d -prune -exec rm -rf {} +
