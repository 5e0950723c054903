# Needs make, Python >= 3.11 and the package registries, nothing else.

IS_NEW_ENOUGH := 'import sys; sys.exit(sys.version_info < (3, 11))'
PYTHON ?= $(or $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	if $$python -c $(IS_NEW_ENOUGH) 2>/dev/null; then echo $$python; break; fi; done),python3)
ARGS ?=
NAME ?=
FAULT_SECONDS ?= 20
FAULT_SEED ?= 1
FAULTS_MUTATION ?=

VENV := .venv
MAINTENANCE := compose/production/postgres/maintenance
IN_VENV := $(VENV)/bin/python
INSTALL := $(IN_VENV) -m pip install --disable-pip-version-check --require-hashes --requirement
STACK := $(IN_VENV) -m compose.embedded
NPM := $(IN_VENV) -m compose.embedded.node
CHECKS := types schema migrations settings imports style templates scripts containers proxy locks
PYTHON_PACKAGES := $(VENV)/.installed
NODE_PACKAGES := compose/embedded/node_modules/.installed
TRANSLATIONS := helpdesk/locale/es/LC_MESSAGES/django.mo
CONTAINER_TOOLS := $(VENV)/.installed-containers
AUDIT_TOOLS := $(VENV)/.installed-audit
READY := $(PYTHON_PACKAGES) $(TRANSLATIONS)

# Each command sets its own; one from the shell would run the tests with the wrong settings.
unexport DJANGO_SETTINGS_MODULE

.DEFAULT_GOAL := help
.PHONY: help up production test check $(CHECKS:%=check-%) format manage shell backup backups restore reset bench fuzz faults containers locks audit

help: ## Show the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/\1|\2/p' $(firstword $(MAKEFILE_LIST)) | awk -F'|' '{printf "make %-10s %s\n", $$1, $$2}'

up: $(READY) $(NODE_PACKAGES) ## Run the whole stack in the foreground, Ctrl-C stops it (PORT=8000 MAIL_PORT=8025 FLOWER_PORT=5555 DATA_DIR=.data)
	@$(STACK) up

production: $(READY) $(NODE_PACKAGES) $(CONTAINER_TOOLS) ## Run the topology of production behind its proxy, Ctrl-C stops it (PRODUCTION_PORT=8443 PRODUCTION_DATA_DIR=.data-production)
	@$(STACK) production

test: $(READY) $(CONTAINER_TOOLS) ## Run the tests with servers of their own (ARGS="helpdesk/users -k login")
	@$(STACK) run -- $(IN_VENV) -m pytest -n auto --maxprocesses 4 $(ARGS)

check: $(PYTHON_PACKAGES) $(CONTAINER_TOOLS) ## Check style, types, imports, migrations, API schema, templates, scripts, container files and lock files
	@$(MAKE) --no-print-directory --keep-going --jobs=4 $(CHECKS:%=check-%)

check-%: export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
# No check needs a server.
check-%: export DJANGO_SECRET_KEY := 0123456789-abcdefghijklmnopqrstuvwxyz-0123456789-abc
check-%: export DATABASE_URL := postgres://nobody@127.0.0.1:1/none
check-%: export REDIS_URL := redis://none
check-%: export CELERY_BROKER_URL :=
check-%: export SITE_URL := https://helpdesk.example.com

check-types:
	mypy

check-schema:
	python manage.py spectacular --validate --fail-on-warn --file /dev/null

check-migrations:
	python -W ignore manage.py makemigrations --check --dry-run

check-settings:
	python manage.py check --fail-level WARNING
	DJANGO_SETTINGS_MODULE=config.settings.production DJANGO_ALLOWED_HOSTS=helpdesk.example.com EMAIL_HOST=smtp.example.com \
		python manage.py check --deploy --fail-level WARNING

check-imports:
	lint-imports

check-style:
	ruff check --quiet
	ruff format --check --quiet

check-templates:
	djade --check --target-version 5.2 $$(find config helpdesk -path '*/templates/*' -name '*.html')

check-scripts:
	shellcheck --external-sources $$(grep -rlE '^#!.*[/ ](ba)?sh$$' .ci compose --exclude-dir=node_modules)

check-containers:
	check-jsonschema --builtin-schema vendor.compose-spec docker-compose.local.yml docker-compose.production.yml
	hadolint compose/*/*/Dockerfile
	kubernetes-validate --strict --quiet -k 1.33 compose/production/kubernetes/*.yaml

check-proxy:
	caddy validate --config compose/production/proxy/Caddyfile
	caddy fmt --diff compose/production/proxy/Caddyfile >/dev/null

check-locks:
	.ci/check-locks

format: $(PYTHON_PACKAGES) ## Format the code, and fix what can be fixed safely
	@$(IN_VENV) -m ruff check --fix-only --quiet .
	@$(IN_VENV) -m ruff format --quiet .

manage: $(READY) ## Run a management command on the stack's database (ARGS="generate_fake_data --tickets=5000")
	@$(STACK) exec -- $(IN_VENV) manage.py $(ARGS)

shell: $(READY) ## Open a Django shell on the stack's database, whether the stack runs or not
	@$(STACK) exec -- $(IN_VENV) manage.py shell $(ARGS)

backup: $(PYTHON_PACKAGES) ## Back up the stack's database into DATA_DIR/backups, whether the stack runs or not
	@$(STACK) exec -- $(MAINTENANCE)/backup

backups: ## List the backups, the newest first
	@BACKUP_DIR="$${DATA_DIR:-.data}/backups" $(MAINTENANCE)/backups

restore: $(PYTHON_PACKAGES) ## Put a backup in the place of the database, while the stack does not run (NAME=backup_….dump)
	@$(STACK) restore "$(NAME)"

reset: $(PYTHON_PACKAGES) ## Empty the data folder, but for the backups (DATA_DIR=.data)
	@$(STACK) reset

bench: $(READY) $(CONTAINER_TOOLS) ## Measure what docs/performance.md quotes, with servers of its own
	@$(STACK) run -- $(IN_VENV) -m benchmarks $(ARGS)

fuzz: export FUZZ_EXAMPLES ?= 300
fuzz: $(READY) ## Send generated requests to the whole API (FUZZ_EXAMPLES=300 for each operation)
	@$(STACK) run -- $(IN_VENV) -m pytest --timeout 0 config/tests/test_schema_fuzz.py $(ARGS)

faults: $(READY) $(CONTAINER_TOOLS) ## Break a stack of its own in every way that it should survive (FAULT_SECONDS=20 FAULT_SEED=1 FAULTS_MUTATION=no_lease)
	@FAULT_SECONDS=$(FAULT_SECONDS) FAULT_SEED=$(FAULT_SEED) FAULTS_MUTATION=$(FAULTS_MUTATION) \
		$(STACK) run -- $(IN_VENV) -m pytest faults compose/tests/test_production_stops.py -m "" -n auto --maxprocesses 4 --timeout 600 --verbose $(ARGS)

containers: $(READY) $(CONTAINER_TOOLS) ## Build the stacks of the compose files in real containers, try them, take them down (needs a Docker engine)
	@docker info >/dev/null 2>&1 || { echo "No Docker engine answers: no container was tried."; exit 1; }
	@$(STACK) run -- $(IN_VENV) -m pytest --containers -m "" -p no:randomly --timeout 1800 --verbose \
		compose/tests/test_production_contract.py compose/tests/test_containers.py compose/tests/test_local_containers.py $(ARGS)

locks: $(PYTHON_PACKAGES) ## Pin what requirements/*.in ask for (ARGS=--upgrade for newer versions)
	@for name in base local production containers node audit; do \
		$(IN_VENV) -m uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-emit-index-url \
			--custom-compile-command "make locks" $(ARGS) requirements/$$name.in -o requirements/$$name.txt || exit 1; \
	done

audit: $(AUDIT_TOOLS) $(NODE_PACKAGES) ## Ask PyPI and npm for known vulnerabilities of what the lock files pin
	@status=0; for lock in requirements/*.txt; do \
		$(IN_VENV) -m pip_audit --strict --require-hashes --disable-pip --progress-spinner off --requirement $$lock || status=1; \
	done; $(NPM) audit --package-lock-only || status=1; exit $$status

$(PYTHON_PACKAGES): requirements/local.txt
	@$(PYTHON) -c $(IS_NEW_ENOUGH) || { echo "Python 3.11 or newer is needed: run \`make up PYTHON=/path/to/a/newer/python3\`."; exit 1; }
	@$(IN_VENV) -c 'import pip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || $(PYTHON) -m venv --clear $(VENV)
	@$(INSTALL) $<
	@touch $@

%.mo: %.po $(PYTHON_PACKAGES)
	@$(IN_VENV) -m babel.messages.frontend --quiet compile --input-file $< --output-file $@

$(CONTAINER_TOOLS): $(PYTHON_PACKAGES) requirements/containers.txt
	@$(INSTALL) requirements/containers.txt
	@touch $@

$(AUDIT_TOOLS): $(PYTHON_PACKAGES) requirements/audit.txt
	@$(INSTALL) requirements/audit.txt
	@touch $@

$(NODE_PACKAGES): $(PYTHON_PACKAGES) requirements/node.txt compose/embedded/package-lock.json
	@$(NPM) ci --ignore-scripts --loglevel=error
	@touch $@
