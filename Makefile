# make run      install into .venv and run the main job on the embedded default
# make test     install into .venv, then ruff, mypy and the tests but those marked thorough
# make thorough further systems and cases of what make test guards, and its slowest whole jobs
# make quick    the tests of less than seconds each, in about a minute: no whole jobs, no full-size networks
# make gpu      the tests that need a GPU, kept in results/gpu
# make browser  the tests of pages in Chromium, which the distribution has; installs what drives it
# make chaos    kills, damaged and hostile files for MINUTES (60), kept in results/reliability
# make slurm    jobs of a Slurm of this machine alone; installs Slurm from the distribution where it is missing
# make audit    known vulnerabilities of the pinned packages; skipped, with a reason, without pip-audit or network
# make install  only create .venv
PYTHON ?= python3
BIN := .venv/bin
ARGS ?=
MINUTES ?= 60

.PHONY: install warm run test check audit tests thorough quick gpu browser chaos slurm bench clean
install: .venv/installed

.venv/installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[dev,figures,pipelines,slurm,train]'
	touch $@

run: install
	$(BIN)/mmbench run $(ARGS)

test: install
	$(MAKE) --no-print-directory --output-sync -j 2 check warm
	$(SUITE)

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy -p mmbench
	$(BIN)/python scripts/audit.py

audit: install
	$(BIN)/python scripts/audit.py

# numba caches what librosa compiles; two processes that are first at once leave a cache that crashes
warm: install
	$(BIN)/mmbench run -s ground_truth -s independent -m av_align -n 2 --format quiet --out "$$(mktemp -d)/runs"

tests: warm
	$(SUITE)
SUITE = $(BIN)/python -m pytest -n 2 --dist worksteal -m "not thorough" $(ARGS)

thorough: install
	$(BIN)/python -m pytest -n 2 --dist worksteal -m thorough $(ARGS)

quick: install
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not e2e and not gpu and not thorough" $(ARGS)

gpu: install
	$(BIN)/python -m pytest tests/gpu -m gpu -n 0 -v $(ARGS)

browser: install
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[browser]'
	$(BIN)/python -m pytest tests/browser -n 0 $(ARGS)

# Side by side, for much of a trial waits; each says at its end what it tried.
CHAOS := kills-1 kills-2 kills-3 kills-4 test_no_damage test_after_any_fault rest
chaos: warm
	$(MAKE) --no-print-directory --keep-going --output-sync -j $(words $(CHAOS)) $(CHAOS:%=chaos-%)

chaos-kills-%:
	$(ATTACK) tests/chaos/test_kills.py -k fresh_seeds
chaos-test_%:
	$(ATTACK) tests/chaos/test_chaos.py -k $*
chaos-test_after_any_fault: NICE := nice -n 5 # it has no number to reach; kills and mutations have
chaos-rest:
	$(ATTACK) tests/chaos -k "not fresh_seeds and not no_damage and not after_any_fault"
ATTACK = MMBENCH_CHAOS=$(MINUTES) MMBENCH_CHAOS_RECORD=results/reliability/chaos.jsonl \
	$(NICE) $(BIN)/python -m pytest -n 0 $(ARGS)

slurm: install
	command -v slurmctld munged || apt-get install -y --no-install-recommends slurmctld slurmd slurm-client munge
	$(BIN)/python -m pytest tests/slurm -n 0 $(ARGS)

bench: install
	$(BIN)/python -m pytest tests/benchmarks --benchmark-enable --benchmark-only -p no:xdist $(ARGS)

clean:
	rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .benchmarks
