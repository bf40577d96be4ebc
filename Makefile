# The short commands. Each works first after a clone: the environment is made when it is missing.
# make book [PROFILE=toy] [TASKS="cola mrpc"] [JOBS=2] [GLUE_DIR=folder] [ENCODER=minilm] [SEEDS="0 1"]
#           [LEARNING_RATES="1e-4 3e-4"] [INTERMEDIATE=mnli] [COMPRESS="cola mrpc"] [GPU=cuda] [GPUS=1] [DEVICE=cpu] [CLUSTER=slurm]
PYTHON ?= python3
PROFILE ?= toy
TASKS ?= cola sst2 mrpc stsb qqp mnli qnli rte wnli
CORES := $(shell getconf _NPROCESSORS_ONLN)
CLUSTER ?=
JOBS ?= $(if $(CLUSTER),20,$(CORES))
SEEDS ?= 0
LEARNING_RATES ?=
COMPRESS ?=
GLUE_DIR ?=
ENCODER ?=
# the task whose run RTE, MRPC and STS-B begin with, such as mnli
INTERMEDIATE ?=
DEVICE ?=
# an NVIDIA GPU wants the CUDA builds; GPU=none leaves them out
GPU ?= $(if $(shell nvidia-smi --list-gpus 2> /dev/null | grep '^GPU'),cuda,none)
GPUS ?= 1
ifeq ($(filter cuda none,$(GPU)),)
$(error GPU is $(GPU); give cuda, for the packages of an NVIDIA GPU, or none)
endif
ifneq ($(filter book pdf reference bundled-runs,$(MAKECMDGOALS)),)
ifneq ($(shell echo '$(JOBS)' | grep -cE '^[1-9][0-9]*$$'),1)
$(error JOBS is $(JOBS); give one number, 1 or more)
endif
endif
# the folder of the environment: another for another Python (make book PYTHON=python3.13 ENV=.venv-3.13)
ifneq ($(origin ENV),command line) # a server often has such a variable of its own
ENV := .venv
endif
BIN := $(ENV)/bin
# the same from the root; a folder may have a space in its name, which make's own functions split at
HERE = $(if $(filter /%,$(BIN)),$(BIN),$(CURDIR)/$(BIN))
LOCKS := requirements.lock $(if $(filter cuda,$(GPU)),requirements-cuda.lock)
READY := $(ENV)/ready$(if $(filter cuda,$(GPU)),-cuda)

.PHONY: help environment book pdf reproduce reference bundled-runs bench bench-prediction mutants test test-whole test-peers test-colab colab-lists newest-python lint format lock texts address tpu-check clean
.DEFAULT_GOAL := $(if $(filter command,$(firstword $(origin GPU))),environment,help)

help:
	@echo "make book    run every task that is not done yet and build book/_build/html/index.html"
	@echo "             PROFILE=toy|glue|laptop|tuned|full  TASKS=\"cola mrpc\"  JOBS=$(JOBS)  SEEDS=0  GLUE_DIR=...  ENCODER=..."
	@echo "             LEARNING_RATES=\"1e-4 3e-4\"  COMPRESS=\"cola mrpc\" (or none)  CLUSTER=slurm (fill in params/clusters/slurm first)"
	@echo "             GPU=cuda (the packages of an NVIDIA GPU; by itself where nvidia-smi finds one)  GPUS=1 (of a run; or all)"
	@echo "             INTERMEDIATE=mnli (whose run RTE, MRPC and STS-B begin with)"
	@echo "             DEVICE=cpu (leave the accelerator alone)"
	@echo "make pdf     the same, and the book as one PDF (it needs a Chromium: apt install chromium, or CHROMIUM=...)"
	@echo "make reproduce RUN=runs/...  repeat a finished run from its record, and compare"
	@echo "make reference  the reference run, MiniLM on real GLUE: make the units that are not kept yet (GLUE_DIR=folder; hours)"
	@echo "                UNITS=\"final/rte-0\" (these alone)  LIST=yes (which there are)  AGAIN=rate/wnli-0.0001 (repeat one, and compare)"
	@echo "make bundled-runs  fine-tune the bundled encoder, pre-trained and randomly initialized, on real GLUE (GLUE_DIR=folder; hours)"
	@echo "make bench   race Hugging Face's Trainer, hub.KerasLayer and this project (GLUE_DIR=folder; hours)"
	@echo "make bench-prediction  race transformers, ONNX Runtime and this project in prediction (GLUE_DIR=folder; an hour)"
	@echo "             either: BENCH=\"--only bundled --rows 64\" tries it in a minute"
	@echo "make test    run the tests (GLUE_DIR=folder lets them read real GLUE files; FAST=1 leaves the slow ones out)"
	@echo "make test-whole  run books, notebooks and a SLURM whole, as README promises them (a Chromium and slurm-wlm are used where they are)"
	@echo "make test-peers  hold outputs, losses and exports to transformers and PyTorch, in an environment of their own (1 GB)"
	@echo "make test-colab  run the notebooks whole in the packages of Colab's CPU, GPU and TPU images (Python 3.13);"
	@echo "                 make colab-lists LISTS=folder  derive these packages from the lists that Colab publishes"
	@echo "make mutants  make small wrong changes one at a time, and count those that the tests notice (PACKAGES=\"data\" COUNT=60; hours)"
	@echo "make tpu-check  compile the training step with the TPU's compiler, without a TPU (ENCODER=base: BERT-base)"
	@echo "make lint    check the code's style, and that each package imports only from those below it;  make format  mend the style"
	@echo "make lock    pin requirements.lock anew;  make address  carry the repository's address around"
	@echo "make texts   write what follows from code and records: README scores, two guides, the encoder's card, a class"
	@echo "make clean   remove what the commands made (runs, the built book); what took hours stays (.venv, runs/pretraining, runs/reference, runs/bundled*)"

# A cluster's name for a GPU, which the runs of PROFILE=full ask for: gpu:1, gpu:a100:1, ...
GRES ?= gpu:1
# What is fetched on the submitting machine has to be seen by the nodes.
ifneq ($(CLUSTER),)
export TFHUB_CACHE_DIR ?= $(CURDIR)/runs/cache/tfhub
export TFDS_DATA_DIR ?= $(CURDIR)/runs/cache/tfds
endif
# On a cluster each run has a node of its own; here they share the processors, and never an accelerator.
WHERE := $(if $(CLUSTER),--profile params/clusters/$(CLUSTER) --jobs $(JOBS),--cores $(CORES) --resources accelerator=840 run=$(JOBS))

# Every rule moves what it made to its place when it is whole, so nothing incomplete is there for Snakemake to look for,
# nor to remove: on a cluster that would be the finished run that a failed one was to replace.
# A run is made again where its parameters changed, never for a file's time or a changed rule (see the Snakefile).
# Our own lock, since Snakemake's outlives a killed make; its caches lie here where nobody may write at home.
CACHE := $(shell [ -w "$${HOME:-/nowhere}" ] || echo "XDG_CACHE_HOME='$(CURDIR)/.snakemake/cache'")
SNAKEMAKE = $(CACHE) PATH="$(HERE):$$PATH" "$(HERE)"/python -m bertglue.tools.lock .snakemake \
  "$(HERE)"/python -m snakemake $(WHERE) --nolock --quiet host progress reason --ignore-incomplete --keep-incomplete --rerun-triggers mtime params --keep-going
# a GLUE_DIR of the environment is for the profiles that read files; one that was typed for another is refused
FILES_OF = $(if $(filter environment,$(firstword $(origin GLUE_DIR))),$(if $(filter toy full tuned,$(PROFILE)),,$(GLUE_DIR)),$(GLUE_DIR))
CONFIG = tasks="$(TASKS)" jobs="$(JOBS)" seeds="$(SEEDS)" learning_rates="$(LEARNING_RATES)" glue_dir="$(FILES_OF)" \
  encoder="$(ENCODER)" intermediate="$(INTERMEDIATE)" compress="$(COMPRESS)" device="$(DEVICE)" gpus="$(GPUS)" cluster="$(CLUSTER)" gres="$(GRES)"

# Snakemake passes over whatever depends on a job that it runs, and does not come back to it where the dependency is
# `ancient`: that parameters changed there too, such as those of a run after a download or after the intermediate task,
# it sees when it looks again.
NOTHING_LEFT = grep -q "Nothing to be done" "$$(ls -t .snakemake/log/*.log | head -n 1)"
# Where no run was finished before, there was nothing to pass over.
RECORDS = $$(find runs/$(PROFILE) \( -name record.json -o -name compression.json \) 2> /dev/null | head -n 1)

# Where runs fail, the book is built from the others, says so, and make ends with an error that names them. Where none
# finished, a book that is there stays. Their states are gathered anew: what they follow from are logs, no inputs of a rule.
BUILD = $(SNAKEMAKE) $@ --config profile="$(PROFILE)" $(CONFIG)
STATUS = "$(BIN)"/python -m bertglue.runs.status runs/$(PROFILE)/status.json
GATHER = $(SNAKEMAKE) runs/$(PROFILE)/status.json --forcerun results --config profile="$(PROFILE)" $(CONFIG) partial=1
BUILD_REST = $(GATHER) && $(STATUS) --before $(BOOK) && echo "some of it failed; building from what is there" && $(BUILD) partial=1
book pdf: $(READY)
	@if [ -n "$(CLUSTER)" ] && echo "$(HERE)" | grep -q ' '; then echo "error: $(HERE) has a space, which jobs on a cluster cannot start from; clone into a folder without" >&2; exit 1; fi
	@[ -z "$(CLUSTER)" ] || "$(HERE)"/python -m bertglue.tools.slurm "$(CURDIR)"
	@[ $@ = book ] || "$(BIN)"/python -m bertglue.report.build_pdf --check
	@before="$(RECORDS)"; $(BUILD) && { [ -z "$$before" ] || $(NOTHING_LEFT) || $(BUILD); } || { [ $$? -ne 2 ] && $(BUILD_REST); }
	@echo "$(MADE_$@)"
	@echo "its scores: $(BIN)/bertglue results runs/$(PROFILE)"
	@$(STATUS)
BOOK = book/_build/html/index.html
MADE_book = the book: $(BOOK)
MADE_pdf = the book as a paper: book/_build/pdf/bertglue.pdf

# A finished run, repeated from its record and held to it.
RUN ?=
reproduce: $(READY)
	@test -n "$(RUN)" || { echo "give the folder of a finished run: make reproduce RUN=runs/toy/rte/lr0.0003-seed0"; exit 1; }
	@PATH="$(HERE):$$PATH" "$(BIN)"/bertglue reproduce "$(RUN)"

# MiniLM on real GLUE, in units that are kept in the repository one by one; a unit that is kept is not run again. On two
# cores two units on a thread each are a fifth faster than one on two. What follows from the kept ones is computed where
# others fail, too; not where another make has the checkout (2).
UNITS ?=
LIST ?=
AGAIN ?=
reference: $(READY)
	@if [ -n "$(LIST)" ]; then exec "$(BIN)"/python -m bertglue.tools.reference_plan list; fi; \
	test -n "$(GLUE_DIR)" || { echo "give the folder of the GLUE files: make reference GLUE_DIR=..." >&2; exit 1; }; \
	case "$(GLUE_DIR)" in "~/"*) echo "GLUE_DIR is $(GLUE_DIR), which this shell does not expand; write \$$HOME for ~" >&2; exit 1; esac; \
	test -d "$(GLUE_DIR)" || { echo "GLUE_DIR is $(GLUE_DIR), and there is no such folder; name the one that holds CoLA/, MRPC/, ..." >&2; exit 1; }; \
	if [ -n "$(AGAIN)" ]; then exec env PATH="$(HERE):$$PATH" "$(BIN)"/python -m bertglue.tools.reference_plan again "$(AGAIN)" "$(GLUE_DIR)"; fi; \
	$(SNAKEMAKE) --snakefile benchmarks/reference.smk --config glue_dir="$(GLUE_DIR)" units="$(UNITS)" jobs="$(JOBS)"; status=$$?; \
	[ $$status -eq 2 ] || { "$(BIN)"/python -m bertglue.tools.reference_statistics "$(GLUE_DIR)" && \
	"$(BIN)"/python -m bertglue.tools.reference_submission; } && exit $$status

# The bundled encoder, pre-trained and randomly initialized, on real GLUE; hours on two cores. What is there is not run again.
bundled-runs: SEEDS = 0 1 2
bundled-runs: LEARNING_RATES = 1e-4 3e-4 1e-3
bundled-runs: TASKS = cola sst2 mrpc qqp mnli qnli
bundled-runs: COMPRESS = none
bundled-runs: $(READY)
	@for profile in bundled bundled-random; do \
	  $(SNAKEMAKE) runs/$$profile/results.json --config profile=$$profile $(CONFIG) || exit 1; done
	@smaller=$$("$(BIN)"/python -m bertglue.report.bundled_runs runs/bundled/results.json --to-compress) && \
	  $(SNAKEMAKE) $$smaller --config profile=bundled $(CONFIG) && \
	  "$(BIN)"/python -m bertglue.report.bundled_runs runs/bundled/results.json runs/bundled-random/results.json --compressions $$smaller

# Two files of tests at a time; each takes about 2 GB. FAST=1 is for the inner loop, and leaves the slow files out.
TEST_JOBS ?= 2
FAST ?=
test: $(READY)
	GLUE_DIR="$(GLUE_DIR)" "$(BIN)"/python -m pytest -n $(TEST_JOBS) --max-worker-restart 2 --dist loadfile --durations 20 \
	  -m "not whole$(if $(FAST), and not slow)"

# Books, notebooks and a cluster from the first line to the last, as their user types it.
test-whole: $(READY)
	@$(MAKE) --no-print-directory .colab/tpu/ready || echo "without Colab's TPU image, whose tests are skipped"
	"$(BIN)"/python -m pytest -n $(TEST_JOBS) --max-worker-restart 2 --dist loadfile -o faulthandler_timeout=1500 -m "whole and not colab"

# Beside PyTorch and transformers: outputs, losses, exports; on both backends. They are no part of the project's packages.
test-peers: $(READY)
	@$(MAKE) --no-print-directory .peers/ready
	@for backend in tensorflow jax; do echo "KERAS_BACKEND=$$backend"; \
	  KERAS_BACKEND=$$backend GLUE_DIR="$(GLUE_DIR)" .peers/bin/python -m pytest tests/peers || exit 1; done

# Small wrong changes, made one at a time: which do the tests notice? PACKAGES="evaluation data" COUNT=60
PACKAGES ?=
COUNT ?= 60
mutants: $(READY)
	"$(BIN)"/python -m pip install --quiet --disable-pip-version-check "$$("$(BIN)"/python -c \
	  'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["dependency-groups"]["mutants"])')"
	PYTHONPATH=tests "$(BIN)"/python tests/mutants.py --count $(COUNT) $(PACKAGES)

# What people would use instead, beside this project.
VOCABULARY ?=
bench:
	@test -n "$(GLUE_DIR)" || { echo "give the folder that holds SST-2/, MRPC/, RTE/ and CoLA/: make bench GLUE_DIR=..."; exit 1; }
	@$(MAKE) --no-print-directory .peers/ready
	@TF_CPP_MIN_LOG_LEVEL=3 .peers/bin/python benchmarks/training.py --glue-dir "$(GLUE_DIR)" \
	  $(if $(VOCABULARY),--vocabulary "$(VOCABULARY)") $(BENCH)

bench-prediction:
	@test -n "$(GLUE_DIR)" || { echo "give the folder that holds SST-2/ and MRPC/: make bench-prediction GLUE_DIR=..."; exit 1; }
	@$(MAKE) --no-print-directory .peers/ready
	@TF_CPP_MIN_LOG_LEVEL=3 .peers/bin/python benchmarks/prediction.py --glue-dir "$(GLUE_DIR)" $(BENCH)

# It sees the packages of the project's own environment too.
.peers/ready: $(READY) pyproject.toml
	rm -rf .peers
	"$(BIN)"/python -m venv .peers
	echo "import site; site.addsitedir('$$(echo "$(HERE)"/../lib/python3*/site-packages)')" \
	  > "$$(echo .peers/lib/python3*/site-packages)/venv.pth"
	"$(BIN)"/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["dependency-groups"]["peers"], sep="\n")' \
	  > .peers/requirements.txt
	.peers/bin/python -m pip install --quiet --disable-pip-version-check -r .peers/requirements.txt
	@touch $@

# The notebooks in the packages of Colab's three images (tests/tools/colab_packages) and their Python.
PYTHONS_313 = python3.13 $(wildcard $(HOME)/.pyenv/versions/3.13*/bin/python)
COLAB_PYTHON ?= $(shell for one in $(PYTHONS_313); do $$one -c "" 2> /dev/null && echo $$one && break; done)
newest-python:
	@echo "$(COLAB_PYTHON)"

test-colab: $(READY) .colab/cpu/ready .colab/gpu/ready .colab/tpu/ready
	"$(BIN)"/python -m pytest -n $(TEST_JOBS) --max-worker-restart 2 --dist loadgroup -o faulthandler_timeout=1500 tests/tools/test_colab_whole.py

.colab/%/ready: tests/tools/colab_packages/%.txt
	@test -n "$(COLAB_PYTHON)" || { echo "Colab has Python 3.13, and none is here: make COLAB_PYTHON=path ..."; exit 1; }
	@echo "making .colab/$*, the packages of Colab's $* image (once)"
	@rm -rf .colab/$*
	@"$(COLAB_PYTHON)" -m venv .colab/$*
	@.colab/$*/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -r $<
	@touch $@

# The same lists from newer ones that Colab published: make colab-lists LISTS=folder
LISTS ?=
colab-lists:
	@test -n "$(LISTS)" || { echo "give the folder of Colab's lists (colab-cpu-DATE.txt, ...): make colab-lists LISTS=..."; exit 1; }
	@"$(COLAB_PYTHON)" tests/tools/colab_packages/renew.py "$(LISTS)"

# The TPU's compiler, in the version that the locked JAX asks for; apart from .venv, for its size (0.7 GB).
TPU_READY := .tpu/ready
$(TPU_READY): $(READY)
	rm -rf .tpu
	"$(BIN)"/python -m pip install --quiet --disable-pip-version-check --no-deps --target .tpu "$$("$(BIN)"/python -c \
	  'from importlib.metadata import requires; print(next(r.split(";")[0] for r in requires("jax") if "libtpu" in r))')"
	@touch $@

tpu-check: $(TPU_READY)
	@PYTHONPATH=.tpu TF_CPP_MIN_LOG_LEVEL=3 "$(BIN)"/python -m bertglue.tools.tpu_compile --encoder $(or $(ENCODER),small)

lint: $(READY)
	"$(BIN)"/ruff check . && "$(BIN)"/ruff format --check . && "$(BIN)"/lint-imports --no-logo

format: $(READY)
	"$(BIN)"/ruff check --fix . ; "$(BIN)"/ruff format .

lock: $(READY)
	"$(BIN)"/python -m pip install --quiet uv
	"$(BIN)"/$(COMPILE) $(EXTRAS) --output-file requirements.lock --upgrade
	"$(BIN)"/$(COMPILE) $(EXTRAS) --extra cuda --output-file requirements-cuda.lock --upgrade \
	  $$(sed -n 's/^\([a-z0-9._-]*\)==.*/--no-emit-package \1/p' requirements.lock) --constraint requirements.lock
COMPILE = uv pip compile --quiet --universal --no-emit-index-url --generate-hashes --no-annotate --no-header pyproject.toml
EXTRAS = --extra tensorflow --extra jax --extra deploy --extra onnx --extra book --group dev

texts: $(READY)
	"$(BIN)"/python -m bertglue.tools.generated_texts

address: $(READY)
	"$(BIN)"/python -m bertglue.tools.sync_address

clean:
	rm -rf book/_build .snakemake .pytest_cache .ruff_cache
	if [ -d runs ]; then find runs -mindepth 1 -maxdepth 1 ! -name pretraining ! -name reference ! -name 'bundled*' -exec rm -rf {} +; fi

environment: $(READY)
	@echo "$(BIN) is ready: $(LOCKS)"

# Two packages have no wheel (promise, connection-pool); they are built with the lock's own setuptools.
PIP = "$(BIN)"/python -m pip install --quiet --disable-pip-version-check --no-deps
BUILD_TOOLS = $(ENV)/build-tools.txt
$(READY): $(LOCKS) pyproject.toml
	@$(PYTHON) lib/bertglue/tools/check_python.py
	@echo "making $(ENV) from $(LOCKS) (once; some minutes, 4 GB$(if $(filter cuda,$(GPU)), and 6 GB of CUDA))"
	$(PYTHON) -m venv "$(ENV)"
	awk '/^[a-z]/ {keep = /^(setuptools|wheel)==/} keep' requirements.lock > $(BUILD_TOOLS)
	$(PIP) --require-hashes -r $(BUILD_TOOLS)
	$(PIP) --require-hashes --no-build-isolation $(addprefix -r ,$(LOCKS))
	$(PIP) --no-build-isolation -e .
	@touch $@
