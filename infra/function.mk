# Builds one function's folder: its bootstrap, and for a worker also the ONNX Runtime library and the models.
#
# `sam build` runs `make build-<LogicalId>` with ARTIFACTS_DIR set (BuildMethod makefile in template.yaml). Tests run it
# themselves, with variables for a faster build:
#
#   AI_MESH_CARGO_PROFILE  release (the default) or dev
#   AI_MESH_BUILD          lambda: cargo-lambda, which links against Lambda's glibc (the default for release)
#                          cargo: plain cargo and this machine's linker, in the shared target/ (the default for dev)
#   AI_MESH_FEATURES       features of the functions, such as faults for the fault tests. Not allowed with cargo-lambda.
#                          In the dev profile, mesh-server gets them too
#   AI_MESH_ASSETS         the folder of the library and the models (.local/assets by default)
#
# The including Makefile sets `package`, `logical_id` and `assets` (paths in AI_MESH_ASSETS).

# Absolute, since `sam build` may run make in a copy of the function's folder.
root := $(abspath $(dir $(lastword $(MAKEFILE_LIST)))/..)
assets_from := $(or $(AI_MESH_ASSETS),$(root)/.local/assets)
built := $(or $(CARGO_TARGET_DIR),$(root)/target)

AI_MESH_CARGO_PROFILE ?= release
AI_MESH_BUILD ?= $(if $(filter release,$(AI_MESH_CARGO_PROFILE)),lambda,cargo)

# Every call builds all functions. Cargo unifies the features of packages that it builds together, so single builds would
# compile the shared dependencies again for each function. The dev profile builds the whole workspace, since the tests need
# the same dependencies.
members := api audio-worker event-stream image-worker language-worker reactor sweeper text-worker
packages := $(if $(filter dev,$(AI_MESH_CARGO_PROFILE)),--workspace --exclude xtask,$(foreach member,$(members),--package $(member)))
comma := ,
featured := $(members) $(if $(filter dev,$(AI_MESH_CARGO_PROFILE)),mesh-server)
features := $(foreach feature,$(subst $(comma), ,$(AI_MESH_FEATURES)),$(foreach member,$(featured),$(member)/$(feature)))
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
	@test -n "$(ARTIFACTS_DIR)" || { echo "error: ARTIFACTS_DIR is not set: set it to the output folder, or run sam build" >&2; exit 1; }
	@for asset in $(assets); do test -e "$(assets_from)/$$asset" || { \
		echo "error: $(assets_from)/$$asset is missing: run cargo xtask models to fetch and build it" >&2; \
		exit 1; }; done
ifeq ($(AI_MESH_BUILD),lambda)
	@test -z "$(filter faults,$(subst $(comma), ,$(AI_MESH_FEATURES)))" || { \
		echo "error: the feature faults must not be deployed: build it with AI_MESH_BUILD=cargo" >&2; exit 1; }
	@command -v cargo-lambda >/dev/null || { \
		echo "error: cargo-lambda is missing: install infra/requirements.txt into a venv and add its bin to PATH" >&2; \
		exit 1; }
endif
