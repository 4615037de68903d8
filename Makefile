PYTHON ?= python3
CARGO ?= cargo
STACK := $(PYTHON) local/stack.py

# Local runs use the stand-in for the providers' APIs; only `make up` may be pointed at Flex itself.
OFFLINE := env -u FLEX_API_KEY -u FLEX_API_BASE_URL -u FLEX_WEBHOOK_SECRET

.PHONY: help demo test encrypted flint simulate up down status send invoke fmt lint wall tools examples withheld fuzz storm faults backlog mutants audit sbom bench bench-check till

help:  ## Show what can be made
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST)

demo: tools  ## Play a checkout from webhook to receipt on a stack of its own
	$(CARGO) build --locked --package tests --bin demo
	@$(OFFLINE) $(STACK) run -- $${CARGO_TARGET_DIR:-target}/debug/demo

test: tools examples  ## Check everything, as CI does; cheap checks first
	$(CARGO) fmt --all --check
	$(MAKE) --no-print-directory wall
	$(STACK) lint
	$(PYTHON) benches/costs.py --check
	$(MAKE) --no-print-directory audit
	$(MAKE) --no-print-directory lint
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --workspace --no-deps --document-private-items
	$(CARGO) test --locked --workspace --no-run
	$(OFFLINE) $(STACK) run --every-permission -- $(CARGO) test --locked --workspace
	$(MAKE) --no-print-directory faults
	$(MAKE) --no-print-directory encrypted
	$(MAKE) --no-print-directory flint
	$(MAKE) --no-print-directory bench-check

encrypted: tools  ## Deploy with a key of one's own and no secrets, set the stack up with `till`, and sell something
	$(OFFLINE) $(STACK) run --bare --parameter KmsKeyArn=new -- sh -c '\
		$(CARGO) test --locked --package till --test it -- --ignored first_order && \
		$(CARGO) test --locked --package till --test it -- --ignored --skip first_order --test-threads 1 && \
		$(CARGO) test --locked --package tests --test it -- encryption:: flow::a_paid_checkout'

flint: tools  ## Deploy a stack that serves Flint only, and deliver every sample
	$(OFFLINE) $(STACK) run --parameter Provider=flint -- $(CARGO) test --locked --package tests --test it -- flint::samples::

simulate: SEEDS ?= 1000
simulate:  ## Run the seeded simulation: make simulate SEEDS=100000, or EVENTS=100000
	$(CARGO) run --locked --quiet --package simulation --bin simulate -- $(if $(EVENTS),--events $(EVENTS),--seeds $(SEEDS))

withheld: tools  ## Withhold permissions one at a time and expect the test that needs each to fail
	$(OFFLINE) $(STACK) run --expect-refusals -- $(PYTHON) local/withheld.py

# The two tests that try all orders take most of the time. The second run has only the changes that the other tests miss.
mutants: export PROPTEST_CASES ?= 16
mutants: export INSTA_UPDATE = no
mutants: export CARGO_PROFILE_DEV_DEBUG = 0
mutants: MUTANTS = PATH="$(CURDIR)/.local/tools/mutants/bin:$$PATH" $(CARGO) mutants --package domain --jobs 2 --output .local/mutants $(OPTIONS)
mutants:  ## Change the rules one by one and expect a test to notice each: some hours
	$(CARGO) install --locked --quiet --root .local/tools/mutants --version 27.1.0 cargo-mutants
	-$(MUTANTS) -- -- --skip a_short_history
	$(MUTANTS) --iterate

backlog: WAITING ?= 100000
backlog:  ## Let a backlog drain, in virtual time: make backlog WAITING=100000
	WAITING=$(WAITING) $(CARGO) test --locked --package simulation --test it -- backlog::what_waits --nocapture

storm: EVENTS ?= 5000
storm: tools  ## Deliver a day's events while processes are killed and AWS restarts: make storm EVENTS=5000 SEED=1
	$(CARGO) build --locked --quiet --package simulation --bin storm
	@$(OFFLINE) $(STACK) run -- $${CARGO_TARGET_DIR:-target}/debug/storm --events $(EVENTS) $(if $(SEED),--seed $(SEED)) $(OPTIONS)

faults: EVENTS ?= 250
faults: SEED ?= 1
faults: tools  ## Deliver events while AWS throttles, fails and loses answers: make faults EVENTS=250 SEED=1
	$(CARGO) build --locked --quiet --package simulation --bin storm
	@$(OFFLINE) $(STACK) run --faults $(SEED) -- $${CARGO_TARGET_DIR:-target}/debug/storm --weather faults --events $(EVENTS) --seed $(SEED) $(OPTIONS)

# In 4 GB of addresses: what takes all memory there is fails here and not on a small function.
fuzz: CASES ?= 100000
fuzz: export CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS = true
fuzz: export CARGO_PROFILE_RELEASE_LTO = off
fuzz:  ## Feed mutated samples to every parser and the templates: make fuzz CASES=1000000
	$(CARGO) test --locked --release --package tests --test it --no-run
	ulimit -v 4000000 && PROPTEST_CASES=$(CASES) $(CARGO) test --locked --release --package tests --test it -- fuzz::

# Instructions are counted where valgrind is installed. OPTIONS="--tls", "--latency-ms 10" or "--help".
# OPTIONS="--load 100000 --shelf 10000" adds the whole flow and the hot shelf: ten minutes more.
bench:  ## Measure the functions, and intake beside a bare one, Node.js and Python; writes out/bench.{md,json,svg}
	$(PYTHON) benches/prepare.py
	$${CARGO_TARGET_DIR:-target}/release/harness $(if $(shell command -v valgrind),--instructions) $(OPTIONS)
	$${CARGO_TARGET_DIR:-target}/release/micro

bench-check: tools  ## Compare calls, sizes and processor time with benches/budgets.json; part of `make test`
	$(PYTHON) benches/check.py

up: tools  ## Start the local stack and leave it running
	@$(STACK) up

down:  ## Stop the local stack
	@$(STACK) down

status:  ## Say whether the local stack runs, and where
	@$(STACK) status

send: EVENT ?= events/flex/checkout.session.completed.json
send:  ## Post a signed event to the local stack: make send EVENT=events/flex/….json
	@$(STACK) send $(EVENT)

invoke: FUNCTION ?= IntakeFunction
invoke:  ## Run one function on a sample: make invoke FUNCTION=IntakeFunction EVENT=events/intake.json
	@$(STACK) invoke $(FUNCTION) $(EVENT)

till:  ## Build the command line: target/debug/till
	$(CARGO) build --locked --package till

fmt:  ## Format the Rust code
	$(CARGO) fmt --all

lint:  ## Run clippy
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings

audit:  ## Audit template, permissions, dependencies, workflows; ONLINE=1 fails without the databases
	$(STACK) audit $(if $(ONLINE),--online)

# cargo-cyclonedx writes beside each Cargo.toml of the workspace; only the functions are shipped.
sbom:  ## List what each function is made of: CycloneDX files in out/sbom (the first run builds the tool for minutes)
	$(CARGO) install --locked --quiet --root .local/tools/sbom --version 0.5.9 cargo-cyclonedx
	rm -rf out/sbom && mkdir -p out/sbom
	PATH="$(CURDIR)/.local/tools/sbom/bin:$$PATH" $(CARGO) cyclonedx --quiet --format json --spec-version 1.5 --target aarch64-unknown-linux-gnu
	mv functions/*/*.cdx.json out/sbom/
	find shared tests simulation examples benches -name '*.cdx.json' -delete

# The rules know nothing of AWS, HTTP or an async runtime, and no function contains code for tests; Cargo's own list is
# the proof.
wall:
	@crates=$$($(CARGO) tree --locked --package domain --edges normal --prefix none) || exit 1; \
	if echo "$$crates" | cut -d' ' -f1 | grep -E 'aws|lambda|hyper|tokio|reqwest|http'; then \
		echo "shared/domain must not depend on these"; exit 1; \
	fi
	@features=$$($(CARGO) tree --locked --edges normal,features --prefix none) || exit 1; \
	if echo "$$features" | grep -E 'domain feature "(schema|testing)"'; then \
		echo "no function may contain the tables and schemas of the tests"; exit 1; \
	fi

tools:
	@command -v $(PYTHON) >/dev/null || { \
		echo "missing on this machine: Python 3.10 or newer, https://www.python.org/downloads"; exit 1; }
	@$(STACK) tools

# What the examples run on that are not in Rust; the Rust one is built by `cargo test`.
examples: tools
	@$(STACK) examples
