# SPDX-License-Identifier: GPL-2.0-only
# Finds out what the given kernel offers and puts compat/ before its headers.
#
# Each probes/X.c asks the kernel's headers one question, with the kernel's own
# flags: it compiles, or it does not. compat/config.h gets one HAVE_X line for
# each. Two canaries keep the method honest: with wrong flags everything fails
# to compile and every HAVE_X would quietly be missing.

# What make was given when it started here, for the range in ../KERNELS.
include $(src)/KERNELS
pvhvm-series := $(VERSION).$(PATCHLEVEL)
pvhvm-sorted := $(shell printf '%s\n' $(KERNEL_MIN) $(pvhvm-series) $(KERNEL_MAX) | sort -V)
ifneq ($(word 2,$(pvhvm-sorted)),$(pvhvm-series))
$(warning pvhvm is tested on Linux $(KERNEL_MIN) to $(KERNEL_MAX); this is $(pvhvm-series))
endif

pvhvm-probe-src := $(wildcard $(src)/compat/probes/*.c)
pvhvm-probes := $(patsubst $(src)/%.c,$(obj)/%.probe,$(pvhvm-probe-src))
pvhvm-config := $(obj)/compat/config.h
pvhvm-objects := $(foreach m,$(obj-m:.o=-y),$(addprefix $(obj)/,$($(m))))

# Probes see the kernel's headers, not the shadows, which need the answers.
$(pvhvm-probes): LINUXINCLUDE := $(LINUXINCLUDE)
LINUXINCLUDE := -I$(src)/compat $(LINUXINCLUDE)

quiet_cmd_pvhvm_probe = PROBE   $(notdir $*)
      cmd_pvhvm_probe = mkdir -p $(dir $@); \
	name=HAVE_$$(basename $* | tr a-z A-Z); \
	if $(CC) $(filter-out -Wp$(comma)-MMD%,$(c_flags)) -Werror \
		-fsyntax-only $< 2>$@.log; \
	then echo "\#define $$name 1"; \
	else echo "/* no $$name */"; fi > $@

$(pvhvm-probes): $(obj)/%.probe: $(src)/%.c
	$(call cmd,pvhvm_probe)

quiet_cmd_pvhvm_config = CONFIG  compat/config.h
      cmd_pvhvm_config = \
	grep -q define $(obj)/compat/probes/canary_pass.probe || { \
		cat $(obj)/compat/probes/canary_pass.probe.log >&2; \
		echo "pvhvm: cannot compile against $(objtree):" \
			"the reason is above" >&2; exit 1; }; \
	if grep -q define $(obj)/compat/probes/canary_fail.probe; then \
		echo "pvhvm: the compiler accepts what is wrong;" \
			"compat/probes cannot tell kernels apart" >&2; \
		exit 1; fi; \
	{ echo "/* SPDX-License-Identifier: GPL-2.0-only */"; \
	  echo "/* Made by compat/probe.mk for $(KERNELRELEASE) */"; \
	  cat $(sort $(pvhvm-probes)); } > $@

$(pvhvm-config): $(pvhvm-probes)
	$(call cmd,pvhvm_config)

$(pvhvm-objects): $(pvhvm-config)

clean-files += compat/config.h compat/probes/*.probe compat/probes/*.log
