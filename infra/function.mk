# Makes one function's folder: its bootstrap, and for workers the ONNX Runtime library and its models beside it.
#
# `sam build` calls it (BuildMethod makefile in template.yaml) as `make build-<LogicalId>` with ARTIFACTS_DIR set; tests
# call it themselves with a quicker kind of build:
#
#   AI_MESH_CARGO_PROFILE  release (the default) or dev
#   AI_MESH_BUILD          lambda: cargo-lambda, which links against Lambda's glibc (the default for release)
#                          cargo: plain cargo and this machine's linker, sharing target/ with all other work (for dev)
#   AI_MESH_FEATURES       features of the functions: faults, for the tests that inject them. Never with cargo-lambda
#   AI_MESH_ASSETS         where the library and the models are (.local/assets by default)
#
# The including Makefile sets `package`, `logical_id` and `assets` (paths in there).

# Absolute, since `sam build` may run make in a copy of the function's folder.
root := $(abspath $(dir $(lastword $(MAKEFILE_LIST)))/..)
assets_from := $(or $(AI_MESH_ASSETS),$(root)/.local/assets)
built := $(or $(CARGO_TARGET_DIR),$(root)/target)

AI_MESH_CARGO_PROFILE ?= release
AI_MESH_BUILD ?= $(if $(filter release,$(AI_MESH_CARGO_PROFILE)),lambda,cargo)

# All functions in one go whichever is asked for: cargo unites the features of what is built together, so one at a time
# would compile the shared dependencies anew for each. The dev profile is for tests, so there it is the whole workspace,
# and the dependencies are the tests' own.
members := api audio-worker event-stream image-worker sweeper language-worker reactor text-worker
packages := $(if $(filter dev,$(AI_MESH_CARGO_PROFILE)),--workspace --exclude xtask,$(foreach member,$(members),--package $(member)))
comma := ,
features := $(foreach feature,$(subst $(comma), ,$(AI_MESH_FEATURES)),$(foreach member,$(members),$(member)/$(feature)))
cargo_options := $(packages) $(if $(features),--features "$(features)")

ifeq ($(AI_MESH_BUILD),lambda)
bootstrap := $(built)/lambda/$(package)/bootstrap
compile := cargo lambda build --profile $(AI_MESH_CARGO_PROFILE) --x86-64 --locked $(cargo_options)
else
bootstrap := $(built)/$(if $(filter dev,$(AI_MESH_CARGO_PROFILE)),debug,$(AI_MESH_CARGO_PROFILE))/$(package)
compile := cargo build --profile $(AI_MESH_CARGO_PROFILE) $(cargo_options)
endif

.PHONY: build-$(logical_id)
build-$(logical_id): check
	cd "$(root)" && $(compile)
	@rm -rf "$(ARTIFACTS_DIR)/bootstrap" "$(ARTIFACTS_DIR)/lib" "$(ARTIFACTS_DIR)/models"
	@mkdir -p "$(ARTIFACTS_DIR)"
	@cp "$(bootstrap)" "$(ARTIFACTS_DIR)/bootstrap"
	@for asset in $(assets); do \
		mkdir -p "$(ARTIFACTS_DIR)/$$(dirname $$asset)" && \
		cp -RL "$(assets_from)/$$asset" "$(ARTIFACTS_DIR)/$$asset" || exit 1; \
	done

.PHONY: check
check:
	@test -n "$(ARTIFACTS_DIR)" || { echo "error: set ARTIFACTS_DIR to the folder to fill, or run sam build" >&2; exit 1; }
	@for asset in $(assets); do test -e "$(assets_from)/$$asset" || { \
		echo "error: $(assets_from)/$$asset is missing: run cargo xtask models, which fetches and builds it" >&2; \
		exit 1; }; done
ifeq ($(AI_MESH_BUILD),lambda)
	@test -z "$(filter faults,$(subst $(comma), ,$(AI_MESH_FEATURES)))" || { \
		echo "error: injected faults don't belong in what is deployed: build them with AI_MESH_BUILD=cargo" >&2; exit 1; }
	@command -v cargo-lambda >/dev/null || { \
		echo "error: cargo-lambda is missing: install infra/requirements.txt into a venv and put its bin on PATH" >&2; \
		exit 1; }
endif
