# The front door. `make run` goes from a bare Debian to a shell in a machine.

SWIFT ?= swift
PREFIX ?= /usr/local
# Where images are kept; the tests use the same store.
VOLARY_DATA ?= $(if $(XDG_DATA_HOME),$(XDG_DATA_HOME),$(HOME)/.local/share)/volary
IMAGE ?= debian/13
# How long `make fuzz` runs.
SECONDS ?= 60
# How long `make soak` lets a guest rewrite its own code, in seconds; rounds of each litmus test; instructions of
# gcc in lockstep; minutes of stress.
SOAK_SECONDS ?= 3600
LITMUS_ROUNDS ?= 2000000
GCC_INSTRUCTIONS ?= 1000000000
STRESS_MINUTES ?= 10

programs := volary volaryd volary-machine volary-nat
built := .build/release
tests = VOLARY_TEST_DATA=$(VOLARY_DATA) \
  VOLARY_TEST_KERNEL=$(VOLARY_DATA)/images/debian_13_riscv64/kernel \
  VOLARY_TEST_INITRD=$(VOLARY_DATA)/images/debian_13_riscv64/initrd

.PHONY: run build image install test page-test client-test lockstep golden fuzz check soak bench bench-translator format lint clean

## run: a shell in a Debian 13 machine; where input is no terminal, a short command in one.
run: build
	@scripts/install-packages image
	@scripts/run-machine "$(IMAGE)"

## build: the programs, in dist/bin.
build:
	@scripts/require-swift "$(SWIFT)"
	@scripts/install-packages build
	$(SWIFT) build -c release --product volary
	$(SWIFT) build -c release --product volaryd
	$(SWIFT) build -c release --product volary-machine
	$(SWIFT) build -c release --product volary-nat
	@mkdir -p dist/bin
	@for program in $(programs); do \
	  install -m 755 $(built)/$$program dist/bin/ && strip --strip-debug dist/bin/$$program; done
	@SWIFT="$(SWIFT)" scripts/build-agent dist/bin
	@scripts/fetch-page-parts dist/share/volary/page || true
	@echo "dist/bin: $(programs)"

## image: the image that the tests use, unless it is there.
image: build
	@scripts/install-packages image
	@VOLARY_DATA=$(VOLARY_DATA) scripts/require-image "$(IMAGE)" --arch riscv64

## install: the programs, below PREFIX. Under sudo, which seldom knows Swift, those that are built.
install:
	@if [ ! -x dist/bin/volary ] || command -v "$(SWIFT)" >/dev/null 2>&1; then $(MAKE) build; fi
	@scripts/install-programs dist/bin "$(PREFIX)" "$(DESTDIR)"

## test: everything that `make test` needs is installed, built and run.
test: image
	@scripts/install-packages test
	$(SWIFT) build -c release --build-tests
	@SWIFT="$(SWIFT)" scripts/build-agent $(built)
	$(tests) scripts/run-tests $(SWIFT) test -c release --skip-build

## page-test: the web page in a headless Chromium, with a daemon and a guest of its own.
page-test: image
	@scripts/install-packages page
	Tests/Page/page --programs dist/bin --data $(VOLARY_DATA) $(if $(SCREENSHOTS),--screenshots $(SCREENSHOTS))

## client-test: Debian's incus client, Prometheus and cloud-init, with a daemon and guests of their own.
client-test: image
	@scripts/install-packages client
	Tests/Clients/cloud-init --programs dist/bin --data $(VOLARY_DATA)
	Tests/Clients/incus --programs dist/bin --data $(VOLARY_DATA)
	Tests/Clients/prometheus --programs dist/bin --data $(VOLARY_DATA)

## lockstep: interpreter and translator side by side, on random programs and a boot.
lockstep: image
	$(SWIFT) build -c release --build-tests
	$(tests) scripts/run-tests $(SWIFT) test -c release --skip-build --filter Lockstep

## golden: the kept listings of generated code written anew, for whoever changes what is generated to look at.
golden:
	$(SWIFT) build -c release --build-tests
	VOLARY_WRITE_GOLDEN=1 $(SWIFT) test -c release --skip-build --filter GoldenTests
	@git --no-pager diff --stat -- Tests/Golden

## fuzz: random and structured input for all that reads what guests and files say. SECONDS=600 for long.
fuzz:
	@scripts/require-swift "$(SWIFT)"
	@scripts/install-packages build
	$(SWIFT) build -c release --product volary-fuzz
	$(built)/volary-fuzz --seconds $(SECONDS)

## check: what has to be right before a change goes in.
check: lint test

## soak: the long runs, hours in all. SOAK_SECONDS=60 LITMUS_ROUNDS=100000 STRESS_MINUTES=1 for a short one.
soak: image
	@scripts/install-packages test
	$(SWIFT) build -c release --build-tests
	$(tests) VOLARY_SOAK_SECONDS=$(SOAK_SECONDS) $(SWIFT) test -c release --skip-build --filter ChurnTests
	VOLARY_LITMUS_ROUNDS=$(LITMUS_ROUNDS) $(SWIFT) test -c release --skip-build --filter LitmusTests
	VOLARY_DATA=$(VOLARY_DATA) $(built)/volary image build debian/13 --arch riscv64 --name soak/gcc --package gcc --if-missing
	Tests/Soak/gcc-initrd $(VOLARY_DATA)/images/soak_gcc_riscv64 $(built)/gcc-initrd
	$(tests) VOLARY_TEST_GCC_INITRD=$(CURDIR)/$(built)/gcc-initrd VOLARY_LOCKSTEP_INSTRUCTIONS=$(GCC_INSTRUCTIONS) \
	  $(SWIFT) test -c release --skip-build --filter LockstepCompiler
	$(tests) VOLARY_SOAK=1 $(SWIFT) test -c release --skip-build --filter 'Lockstep|Shared'
	Tests/Soak/crash --programs $(built) --data $(VOLARY_DATA) --operations 2000
	Tests/Soak/snapshots --programs $(built) --rounds 500
	Tests/Soak/backups --programs $(built) --seconds 600
	Tests/Soak/kept --programs $(built) --data $(VOLARY_DATA) --rounds 200
	Tests/Soak/kept-load --programs $(built) --data $(VOLARY_DATA) --rounds 50
	Tests/Soak/api $(built) 200
	Tests/Soak/http --programs $(built) --seconds 600
	VOLARY_BIN=$(built) VOLARY_DATA=$(VOLARY_DATA) Tests/Soak/stress.sh $(STRESS_MINUTES)

## bench: figures beside QEMU's, as a table. As root, or memory cannot be read.
bench: image
	@scripts/install-packages test
	VOLARY_BIN=$(built) VOLARY_DATA=$(VOLARY_DATA) Benchmarks/boot --rounds 5

## bench-translator: programs beside QEMU and the host's own processor; the tables go into docs/performance.md.
bench-translator: build
	@scripts/install-packages bench
	VOLARY_BIN=$(built) Benchmarks/translator --rounds 3 --write

format:
	$(SWIFT) format -i -r Package.swift Sources Tests Fuzz Guests

lint:
	@scripts/require-swift "$(SWIFT)"
	$(SWIFT) format lint --strict -r Package.swift Sources Tests Fuzz Guests

clean:
	rm -rf .build dist
