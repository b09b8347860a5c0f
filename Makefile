# make demo    train a small GPT on real English for about two minutes, and read what it writes
# make test    all tests
# Both make the environment .venv first, if it is not there.

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
	$(BIN)/python -m jupyter lab notebooks

$(READY): requirements.txt pyproject.toml
	@echo "setting up .venv: about a minute, 650 MB"
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $(READY)

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
	rm -rf .venv .venv-torch runs *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: demo test notebooks torch clean
