# SPDX-License-Identifier: GPL-2.0-only
# Builds, packs and tests pvhvm; 'make help' lists what there is to make.
# The modules themselves are described to the kernel's build in Kbuild.

include KERNELS
VERSION := $(shell cat VERSION)
KDIR ?= /lib/modules/$(shell uname -r)/build
# A source archive has its own.
XEN_HEADERS ?= $(firstword $(patsubst %/xen.h,%,$(wildcard \
	$(CURDIR)/include/xen-public/xen.h)) /usr/include/xen)
# as modules bear it; Debian's kernel.release is another
KREL := $(shell sed -n 's/^.define UTS_RELEASE "\(.*\)".*/\1/p' \
	$(KDIR)/include/generated/utsrelease.h 2>/dev/null)
# The kernel's options, as its build has them.
AUTO_CONF ?= $(KDIR)/include/config/auto.conf
comma := ,
LACKING = $(foreach o,$(subst $(comma), ,$(KERNEL_NEEDS)),$(shell \
	grep -qsx 'CONFIG_$o=[ym]' $(AUTO_CONF) || echo CONFIG_$o))
# y for dkms, which strips debug information anyway: none is made (but where
# symbol versions are made from it), each module is compiled in one go, and BTF,
# which needs that information, is left out.
QUICK ?= n
NO_DEBUG = $(shell grep -qsx CONFIG_GENDWARFKSYMS=y $(AUTO_CONF) || echo -g0)
OUT ?= build/modules/$(KREL)
# The kernel that the modules must be for; dkms says which.
FOR ?= $(KREL)

# What a module build takes, nothing else.
MODULE_SOURCES := Kbuild KERNELS VERSION compat include \
	platform-pci xenbus netfront blkfront

.PHONY: all help modules tools deb rpm dist docs demo bench prepare clean \
	test test-static test-unit test-tools test-build-fast test-build \
	test-packages test-packages-all test-vm test-wide test-slow \
	test-debug test-soak test-fuzz \
	test-kernels test-kernel-5.10 test-kernel-6.12 test-kernel-6.12-rt \
	test-kernel-newest test-xen-4.20

all: modules

help:
	@echo "pvhvm $(VERSION): PV drivers for Xen HVM guests, kernels $(KERNEL_MIN) to $(KERNEL_MAX)"
	@echo
	@echo "  make                 the four modules for the running kernel, into build/modules"
	@echo "  make modules KDIR=D  the same for the kernel whose headers are in D"
	@echo "  make tools           the pvhvm command"
	@echo "  make deb             pvhvm-dkms and pvhvm-tools, into build/deb"
	@echo "  make rpm             the same as .rpm, into build/rpm"
	@echo "  make dist            the source archive, into build/dist"
	@echo "  make docs            docs/parameters.md, from the modules' sources"
	@echo "  make test            all tests but those that say otherwise; one line of totals at the end"
	@echo "  make test-static     project rules, lint"
	@echo "  make test-unit       pure code, with sanitizers"
	@echo "  make test-tools      the pvhvm command"
	@echo "  make test-build-fast the modules on every supported kernel series"
	@echo "  make test-build      the same with cloud, rt, clang, sparse; long, not in make test"
	@echo "  make test-packages   what make deb and make dist give"
	@echo "  make test-packages-all  their life in a Debian root, .rpm, Ansible; long, not in make test"
	@echo "  make test-vm         the modules in real Xen guests (testbed/)"
	@echo "  make test-wide       more of them, with machines of their own; not in make test"
	@echo "  make test-slow       VM tests that are long; not in make test"
	@echo "  make test-kernels    the core of the VM tests on Debian's other kernels; not in make test"
	@echo "  make test-xen-4.20   the same core on Xen 4.20 with a Debian 13 dom0; not in make test"
	@echo "  make test-debug      the VM tests on a kernel with KASAN, lockdep, kmemleak; not in make test"
	@echo "  make test-soak       a guest suspended 50 times under load (PVHVM_SOAK_CYCLES); not in make test"
	@echo "  make test-fuzz       backends that lie by chance, an hour (PVHVM_FUZZ_MINUTES); not in make test"
	@echo "  make demo            shows a guest switch from emulated to PV devices"
	@echo "  make bench           emulated, in-kernel and pvhvm drivers compared; bench/bench --help"
	@echo "  make clean           removes build/"
	@echo
	@echo "  XEN_HEADERS=D        Xen's public headers (now $(XEN_HEADERS))"
	@echo "  WERROR=1             warnings are errors"

# In a package's source tree include/xen-public is a folder: headers included.
modules:
	@test -e "$(KDIR)/Makefile" || { \
		echo "pvhvm: no kernel headers in $(KDIR):" \
		"install them (Debian: linux-headers-amd64) or give KDIR=" >&2; \
		exit 1; }
	@test -e "$(KDIR)/include/generated/autoconf.h" || { \
		echo "pvhvm: the headers in $(KDIR) are not those of one kernel:" \
		"give the folder that /lib/modules/RELEASE/build leads to" >&2; \
		exit 1; }
	@test -z "$(KREL)" || test "$(FOR)" = "$(KREL)" || { \
		echo "pvhvm: the headers in $(KDIR) are of kernel $(KREL), not of $(FOR):" \
		"install that one's (Debian: linux-headers-$(FOR))" >&2; exit 1; }
	@test -z "$(strip $(LACKING))" || { \
		echo "pvhvm: not for a kernel without $(strip $(LACKING)), as" \
		"$(AUTO_CONF) says" >&2; exit 1; }
	@test -e include/xen-public/xen.h || test -e "$(XEN_HEADERS)/xen.h" || { \
		echo "pvhvm: no Xen headers in $(XEN_HEADERS):" \
		"install libxen-dev or give XEN_HEADERS=" >&2; exit 1; }
ifneq ($(abspath $(OUT)),$(CURDIR))
	@mkdir -p $(OUT)
	@[ ! -L $(OUT)/include/xen-public ] || rm -f $(OUT)/include/xen-public
	@cp -a -u $(MODULE_SOURCES) $(OUT)
endif
	@test -e $(OUT)/include/xen-public/xen.h || \
		ln -sfn $(abspath $(XEN_HEADERS)) $(OUT)/include/xen-public
	+@$(MAKE) -C $(KDIR) M=$(abspath $(OUT)) \
		KCFLAGS='$(strip $(if $(WERROR),-Werror) \
		$(if $(filter y,$(QUICK)),$(NO_DEBUG)) $(KCFLAGS))' QUICK=$(QUICK) \
		$(if $(filter y,$(QUICK)),CONFIG_DEBUG_INFO_BTF_MODULES=) modules

tools:
	+$(MAKE) -C tools

# Packages and archive are made from a copy, complete with the Xen headers, and
# carry the time of the last commit: the same sources give the same bytes.
SOURCE_DATE_EPOCH ?= $(shell { [ "$$(git rev-parse --show-toplevel)" = "$(CURDIR)" ] && \
	git log -1 --format=%ct; } 2>/dev/null || stat -c %Y VERSION)
export SOURCE_DATE_EPOCH
DIST := pvhvm-$(VERSION)

deb:
	@tests/prepare deb
	packaging/build-debs build/deb $(XEN_HEADERS)
	@echo && ls build/deb/*.deb

rpm: dist
	@command -v rpmbuild >/dev/null || { \
		echo "pvhvm: rpmbuild is missing (Debian: apt-get install rpm)" >&2; exit 1; }
	packaging/build-rpms build/rpm build/dist/$(DIST).tar.gz
	@echo && ls build/rpm/*.rpm

dist:
	packaging/stage-source build/dist/$(DIST) $(XEN_HEADERS)
	tar -C build/dist --sort=name --mtime=@$(SOURCE_DATE_EPOCH) \
		--owner=0 --group=0 --numeric-owner --mode=go=rX,u+rw,a-s \
		-c $(DIST) | gzip -9n >build/dist/$(DIST).tar.gz
	@rm -rf build/dist/$(DIST) && echo && ls build/dist/*.tar.gz

# The part of the documents that is made from the sources.
docs:
	docs/make-parameters >docs/parameters.md

# Whatever the targets below need is installed by them when it is missing.
prepare:
	@tests/prepare

test: prepare
	@tests/run

test-static test-unit test-tools test-build-fast test-build: prepare
	@tests/run $(@:test-%=%)

test-packages-all test-slow:
	@tests/prepare all more
	@tests/run $(@:test-%=%)

test-packages test-vm test-wide: prepare
	@tests/run $(@:test-%=%)

test-kernel-5.10 test-kernel-6.12 test-kernel-6.12-rt test-kernel-newest: prepare
	@tests/run $(@:test-%=%)

test-xen-4.20 test-debug test-soak test-fuzz: prepare
	@tests/run $(@:test-%=%)

test-kernels: prepare
	@tests/run kernel-5.10 kernel-6.12 kernel-6.12-rt kernel-newest

demo: prepare
	demo/demo

bench: prepare
	bench/bench

clean:
	rm -rf build
