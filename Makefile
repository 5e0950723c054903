# Needs make, Python >= 3.11 and the package registries, nothing else.

IS_NEW_ENOUGH := 'import sys; sys.exit(sys.version_info < (3, 11))'
PYTHON ?= $(or $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	if $$python -c $(IS_NEW_ENOUGH) 2>/dev/null; then echo $$python; break; fi; done),python3)
ARGS ?=
NAME ?=
FUZZ_EXAMPLES ?= 300
FAULT_SECONDS ?= 20
FAULT_SEED ?= 1
FAULTS_MUTATION ?=

VENV := .venv
IN_VENV := $(VENV)/bin/python
STACK := $(IN_VENV) -m compose.embedded
PYTHON_PACKAGES := $(VENV)/.installed
NODE_PACKAGES := compose/embedded/node_modules/.installed
TRANSLATIONS := helpdesk/locale/es/LC_MESSAGES/django.mo
CONTAINER_TOOLS := $(VENV)/.installed-containers
AUDIT_TOOLS := $(VENV)/.installed-audit
READY := $(PYTHON_PACKAGES) $(TRANSLATIONS)

export FUZZ_EXAMPLES
# Each command knows its own; one from the shell would run the tests with the wrong settings.
unexport DJANGO_SETTINGS_MODULE

.DEFAULT_GOAL := help
.PHONY: help up production test check format manage shell backup backups restore reset bench fuzz faults containers locks audit

help: ## Show the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/\1|\2/p' $(firstword $(MAKEFILE_LIST)) | awk -F'|' '{printf "make %-10s %s\n", $$1, $$2}'

up: $(READY) $(NODE_PACKAGES) ## Run the whole stack in the foreground, Ctrl-C stops it (PORT=8000 MAIL_PORT=8025 FLOWER_PORT=5555 DATA_DIR=.data)
	@$(STACK) up

production: $(READY) $(NODE_PACKAGES) $(CONTAINER_TOOLS) ## Run the topology of production behind its proxy, Ctrl-C stops it (PRODUCTION_PORT=8443 PRODUCTION_DATA_DIR=.data-production)
	@$(STACK) production

test: $(READY) $(CONTAINER_TOOLS) ## Run the tests with servers of their own (ARGS="helpdesk/users -k login")
	@$(STACK) run -- $(IN_VENV) -m pytest -n auto --maxprocesses 4 $(ARGS)

check: $(PYTHON_PACKAGES) $(CONTAINER_TOOLS) ## Check style, types, imports, migrations, API schema, templates, scripts, container files and lock files
	@$(STACK) run -- $(IN_VENV) -m compose.embedded.checks

format: $(PYTHON_PACKAGES) ## Format the code, and fix what can be fixed safely
	@$(IN_VENV) -m ruff check --fix-only --quiet .
	@$(IN_VENV) -m ruff format --quiet .

manage: $(READY) ## Run a management command on the stack's database (ARGS="generate_fake_data --tickets=5000")
	@$(STACK) exec -- $(IN_VENV) manage.py $(ARGS)

shell: $(READY) ## Open a Django shell on the stack's database, whether the stack runs or not
	@$(STACK) exec -- $(IN_VENV) manage.py shell $(ARGS)

backup: $(PYTHON_PACKAGES) ## Back up the stack's database into DATA_DIR/backups, whether the stack runs or not
	@$(STACK) backup

backups: $(PYTHON_PACKAGES) ## List the backups, the newest first
	@$(STACK) backups

restore: $(PYTHON_PACKAGES) ## Put a backup in the place of the database, while the stack does not run (NAME=backup_….dump)
	@$(STACK) restore "$(NAME)"

reset: $(PYTHON_PACKAGES) ## Empty the data folder, but for the backups (DATA_DIR=.data)
	@$(STACK) reset

bench: $(READY) ## Measure what docs/performance.md quotes, with servers of its own
	@$(STACK) run -- $(IN_VENV) -m benchmarks $(ARGS)

fuzz: $(READY) ## Send generated requests to the whole API (FUZZ_EXAMPLES=300 for each operation)
	@$(STACK) run -- $(IN_VENV) -m pytest -m fuzz $(ARGS)

faults: $(READY) ## Break a stack of its own in every way that it should survive (FAULT_SECONDS=20 FAULT_SEED=1 FAULTS_MUTATION=no_lease)
	@FAULT_SECONDS=$(FAULT_SECONDS) FAULT_SEED=$(FAULT_SEED) FAULTS_MUTATION=$(FAULTS_MUTATION) \
		$(STACK) run -- $(IN_VENV) -m pytest faults -n auto --maxprocesses 4 --timeout 600 --verbose $(ARGS)

containers: $(READY) $(CONTAINER_TOOLS) ## Build the stacks of the compose files in real containers, try them, take them down (needs a Docker engine)
	@docker info >/dev/null 2>&1 || { echo "No Docker engine answers: no container was tried."; exit 1; }
	@$(STACK) run -- $(IN_VENV) -m pytest --containers -m "" -p no:randomly --timeout 1800 --verbose \
		compose/tests/test_production_contract.py compose/tests/test_containers.py compose/tests/test_local_containers.py $(ARGS)

locks: $(PYTHON_PACKAGES) ## Pin requirements/*.in and compose/embedded/package.json anew (ARGS=--upgrade for newer versions)
	@for name in base local production containers node audit; do \
		$(IN_VENV) -m uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-emit-index-url \
			--custom-compile-command "make locks" $(ARGS) requirements/$$name.in -o requirements/$$name.txt || exit 1; \
	done

audit: $(AUDIT_TOOLS) $(NODE_PACKAGES) ## Ask PyPI and npm for known vulnerabilities of what the lock files pin
	@$(IN_VENV) -m compose.embedded.audit

$(PYTHON_PACKAGES): requirements/local.txt
	@$(PYTHON) compose/embedded/install.py

%.mo: %.po $(PYTHON_PACKAGES)
	@$(IN_VENV) -m babel.messages.frontend --quiet compile --input-file $< --output-file $@

$(CONTAINER_TOOLS): $(PYTHON_PACKAGES) requirements/containers.txt
	@$(PYTHON) compose/embedded/install.py containers

$(AUDIT_TOOLS): $(PYTHON_PACKAGES) requirements/audit.txt
	@$(PYTHON) compose/embedded/install.py audit

$(NODE_PACKAGES): $(PYTHON_PACKAGES) requirements/node.txt compose/embedded/package-lock.json
	@$(IN_VENV) -m compose.embedded.node
