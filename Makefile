# make demo        train a small GPT on real English for about two minutes, and read what it writes
# make test        all tests
# make notebooks   the course, in JupyterLab
# make execute     run the course from the top, and save what it prints and draws
# make ptx         compile every CUDA kernel for three generations of GPUs; no GPU is needed
# make gpu         on a machine with one: check every op on it, then time everything
# All make the environment they need first, if it is not there.

PYTHON ?= python3
BIN = .venv/bin
READY = .venv/ready

demo: $(READY)
	@echo "the demo replaces runs/demo"
	@rm -rf runs/demo
	$(BIN)/python -m nanollm train --preset quick --run runs/demo
	$(BIN)/python -m nanollm generate runs/demo --tokens 300 --prompt "The"

test: $(READY)
	$(BIN)/python -m pytest -q

notebooks: $(READY)
	$(BIN)/python -m jupyter lab --LabApp.app_settings_dir=notebooks/.lab \
		--LabApp.default_url=/lab/tree/notebooks

execute: $(READY)
	$(BIN)/python tests/run_notebooks.py --save

$(READY): requirements.txt pyproject.toml
	@echo "setting up .venv: about a minute, 650 MB"
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $(READY)

ptx: .venv-gpu/ready
	.venv-gpu/bin/python tests/ptx.py

gpu: .venv-gpu/ready
	.venv-gpu/bin/python -m nanollm check --backend cuda
	.venv-gpu/bin/python -m nanollm bench all --backend cuda --json bench-cuda.json

.venv-gpu/ready: requirements.txt requirements-gpu.txt pyproject.toml
	@echo "setting up .venv-gpu: CUDA's compiler and libraries, about 800 MB"
	$(PYTHON) -m venv .venv-gpu
	.venv-gpu/bin/python -m pip install --quiet --disable-pip-version-check \
		-r requirements.txt -r requirements-gpu.txt
	@touch .venv-gpu/ready

# PyTorch is an oracle and a rival, never a dependency: it lives in an environment of its own.
torch: .venv-torch/ready
	.venv-torch/bin/python -m pytest -q tests/bench
	.venv-torch/bin/python tests/bench/bench.py

.venv-torch/ready: requirements.txt tests/bench/requirements.txt
	$(PYTHON) -m venv .venv-torch
	.venv-torch/bin/python -m pip install --quiet --disable-pip-version-check \
		-r requirements.txt -r tests/bench/requirements.txt
	@touch .venv-torch/ready

clean:
	rm -rf .venv .venv-gpu .venv-torch runs *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: demo test notebooks execute ptx gpu torch clean
