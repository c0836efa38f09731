# Every target makes sure of the set-up first; when nothing has changed that takes no time.
.PHONY: help setup lock up dev call demo docs check test faults drills drills-calls drills-servers drills-edges drills-providers audit long bench words turns load restarts soak clean

BIN := .venv/bin
# A run that hangs must fail, not wait for ever: a suite takes under 10 minutes, on a slow machine longer; then 30 seconds to end.
LIMIT := timeout --kill-after=30 870

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 24

setup: ## the venv with its locked packages, and livekit-server
	@cli/setup/setup.sh

lock: setup ## resolve the packages anew into requirements.lock
	@PATH="$$PATH:$(CURDIR)/.cache/uv/bin" uv pip compile --quiet --universal --generate-hashes --no-emit-index-url \
		--group dev --custom-compile-command "make lock" pyproject.toml -o requirements.lock

up: setup ## run everything on this machine; Ctrl-C stops it
	@$(BIN)/greenroom up

dev: setup ## like `make up`, but a saved file of agents/ is loaded anew: the next call gets it
	@$(BIN)/greenroom dev

call: setup ## talk to what `make up` runs; WAV=file.wav speaks a recording, ARGS="--json" and so on are passed on
	@$(BIN)/greenroom call $(if $(WAV),--wav "$(WAV)") $(ARGS)

demo: setup ## start everything, place one call, stop; fails unless the agent understood and answered
	@$(BIN)/greenroom demo $(if $(WAV),--wav "$(WAV)")

docs: setup ## docs/api.md and docs/settings.md, from the code and docs/templates
	@$(BIN)/python -m docs.generate

check: setup ## formatting, rules, types, imports, layout, generated pages: no test runs
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/pytest --quiet tests/test_layout.py
	@$(BIN)/python -m docs.generate --check

test: check ## check, and the tests, end to end included, with real servers and real speech; fails below the floor of coverage
	@$(LIMIT) $(BIN)/pytest --ignore=tests/drills -m "not faults" --cov --cov-report=term:skip-covered

faults: setup ## the slower tests: processes that are killed, random orders of all that can happen to a session, long waits
	@$(LIMIT) $(BIN)/pytest --ignore=tests/drills -m faults

drills: drills-calls drills-servers drills-edges drills-providers ## do harm to a real system with real callers, and see that nothing is lost or doubled

drills-calls: setup ## the drills in which agents die, callers vanish, and many starts come at once
	@$(LIMIT) $(BIN)/pytest $(addprefix tests/drills/test_,agent_dies.py caller.py starts.py pool.py)

drills-servers: setup ## the drills in which workers, dispatchers, the store or livekit-server die
	@$(LIMIT) $(BIN)/pytest $(addprefix tests/drills/test_,worker_dies.py dispatcher_dies.py store.py livekit.py)

drills-edges: setup ## the drills of reserved tokens used at a bad time, and of several LiveKit nodes (as root on Linux)
	@$(LIMIT) $(BIN)/pytest $(addprefix tests/drills/test_,reserved_tokens.py nodes.py)

drills-providers: setup ## the drills in which speech and LLM providers die, hang, or answer 429 or garbage, and come back
	@$(LIMIT) $(BIN)/pytest tests/drills/test_providers.py

audit: setup ## known vulnerabilities of the locked packages, by pip-audit; asks the package index
	@.cache/uv/bin/uv tool run --quiet pip-audit==2.10.1 --requirement requirements.lock --disable-pip --no-deps

long: setup ## what repeats, by hand: 2 hours; random orders by new seeds, faults under asyncio's debug mode, 500 starts, soak
	@GREENROOM_NEW_SEEDS=1 $(BIN)/pytest tests/properties
	@PYTHONASYNCIODEBUG=1 $(BIN)/pytest --ignore=tests/drills -m faults
	@$(BIN)/python -m bench.restarts
	@$(BIN)/python -m bench.soak

bench: setup ## measure, side by side with a process per call
	@$(BIN)/python -m bench $(ARGS)

words: setup ## how well the bundled speech-to-text understands humans at 48, 16 and 8 kHz, and what it makes up
	@$(BIN)/python -m bench.words

turns: setup ## how soon and how often too soon human callers are answered, beside Pipecat's own turns
	@$(BIN)/python -m bench.turns $(ARGS)

load: setup ## place real calls and count the lost and doubled; ARGS="--burst 20", "--poisson 6 --minutes 5", "--ramp 30"
	@$(BIN)/python -m bench.load $(if $(ARGS),$(ARGS),--burst 20)

restarts: setup ## start 500 sessions while the worker is restarted again and again; ARGS="--starts 20" for fewer
	@$(BIN)/python -m bench.restarts $(ARGS)

soak: setup ## hold calls for 20 minutes and look whether anything grows; ARGS="--minutes 5" for less
	@$(BIN)/python -m bench.soak $(ARGS)

clean: ## remove what was made here: venv, caches, state (the livekit-server binary is kept in the user's cache)
	rm -rf .venv .cache .greenroom .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
