# Everything a newcomer needs: make run, make test.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV   ?= .venv
PLUGINS := $(sort $(dir $(wildcard plugins/*/pyproject.toml)))
FOLDERS := $(addprefix -e ./,$(PLUGINS:/=))
# Readers of image files, Arrow and Parquet; by a command of their own, since pip finds a local distribution that is
# named only with its extras for none of the others.
OPTIONAL := -e './plugins/dvid_voxels[load]' -e './plugins/dvid_neuronjson[arrow]' -e './plugins/dvid_annotation[arrow]'
# Compile the kernels once, so that the first requests need not wait for it.
WARM = $(VENV)/bin/python -c "from dvid_labelmap.compiled import warm; warm()"
PIP = $(VENV)/bin/pip install -q --disable-pip-version-check -c constraints.txt
EXAMPLES := $(sort $(dir $(wildcard examples/*/pyproject.toml)))
SOURCES := pyproject.toml constraints.txt $(wildcard plugins/*/pyproject.toml examples/*/pyproject.toml)

.PHONY: run test lint types bench clean

run: $(VENV)/installed            ## install and start a server with all datatypes
	$(VENV)/bin/dvid serve $(ARGS)

test: $(VENV)/installed-test      ## install and run all tests
	$(VENV)/bin/python -m pytest $(ARGS)

lint: $(VENV)/installed-test      ## style
	$(VENV)/bin/ruff check . && $(VENV)/bin/ruff format --check .

types: $(VENV)/installed-test     ## static types
	MYPYPATH=$(subst $(empty) $(empty),:,$(PLUGINS:/=)) $(VENV)/bin/mypy -p dvid_core $(foreach p,$(PLUGINS),-p $(notdir $(p:/=)))

bench: $(VENV)/installed-test     ## ARGS="--server NAME=URL ..." compares servers
	$(VENV)/bin/python bench/bench.py $(ARGS)

clean:
	rm -rf $(VENV)

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: $(SOURCES) | $(VENV)/bin/python
	$(PIP) -e . $(FOLDERS)
	$(PIP) $(OPTIONAL)
	$(WARM)
	touch $@

$(VENV)/installed-test: $(SOURCES) | $(VENV)/bin/python
	$(PIP) -e '.[test]' $(FOLDERS) $(addprefix -e ./,$(EXAMPLES))
	$(PIP) $(OPTIONAL)
	$(WARM)
	touch $@ $(VENV)/installed
