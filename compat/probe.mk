# SPDX-License-Identifier: GPL-2.0-only
# Finds out what the given kernel offers and puts compat/ before its headers.
#
# Each probes/X.c asks the kernel's headers one question, with the kernel's own
# flags: it has an error, or it has none and compat/config.h gets HAVE_X. All
# are compiled in one go, because reading the headers is what takes time: in an
# emulated guest most of a minute for each. So a probe
#  * names what it defines pvhvm_probe;
#  * asks for a header with __has_include, as a missing one ends the compiler.
# Two canaries keep the method honest: with wrong flags everything has errors,
# and every HAVE_X would quietly be missing.

# What make was given when it started here, for the range in ../KERNELS.
include $(src)/KERNELS
pvhvm-series := $(VERSION).$(PATCHLEVEL)
pvhvm-sorted := $(shell printf '%s\n' $(KERNEL_MIN) $(pvhvm-series) $(KERNEL_MAX) | sort -V)
# Said once: kbuild reads this for modpost, too.
ifneq ($(filter %/Makefile.build,$(MAKEFILE_LIST)),)
ifneq ($(word 2,$(pvhvm-sorted)),$(pvhvm-series))
$(warning pvhvm is tested on Linux $(KERNEL_MIN) to $(KERNEL_MAX); this is $(pvhvm-series))
endif
endif

pvhvm-config := $(obj)/compat/config.h
# The canary that must pass comes last: it also tells that nothing before it
# has confused the compiler beyond its own end.
pvhvm-questions := $(sort $(filter-out canary_pass,$(patsubst \
	$(src)/compat/probes/%.c,%,$(wildcard $(src)/compat/probes/*.c)))) canary_pass
pvhvm-objects := $(foreach m,$(obj-m:.o=-y),$(addprefix $(obj)/,$($(m))))

# Probes see the kernel's headers, not the shadows, which need the answers.
$(pvhvm-config): LINUXINCLUDE := $(LINUXINCLUDE)
LINUXINCLUDE := -I$(src)/compat $(LINUXINCLUDE)

# Errors belong to the probe that uses a macro, not to the macro's header; and
# only what would be a misuse is one, whatever W= asks for.
pvhvm-flags = $(filter-out -Wp$(comma)-MMD%,$(c_flags)) -fsyntax-only -Wno-error \
	-Werror=implicit-function-declaration -Werror=incompatible-pointer-types \
	-Werror=int-conversion \
	$(call cc-option,-ftrack-macro-expansion=0) $(call cc-option,-ferror-limit=0)

quiet_cmd_pvhvm_config = PROBE   compat/config.h
      cmd_pvhvm_config = mkdir -p $(dir $@); \
	for name in $(pvhvm-questions); do \
		printf '\#define pvhvm_probe pvhvm_probe_%s\n\#include "probes/%s.c"\n\#undef pvhvm_probe\n' \
			$$name $$name; \
	done >$(@D)/questions.c; \
	LC_ALL=C $(CC) $(pvhvm-flags) $(@D)/questions.c 2>$(@D)/questions.log || :; \
	sh $(src)/compat/answers $(@D)/questions.log $(pvhvm-questions) >$@ || { rm -f $@; exit 1; }

# anew, too, when the kernel's headers are others under the same name
$(pvhvm-config): $(src)/compat/answers $(wildcard $(src)/compat/probes/*.c) \
		$(wildcard $(addprefix $(objtree)/include/generated/,autoconf.h utsrelease.h))
	$(call cmd,pvhvm_config)

$(pvhvm-objects): $(pvhvm-config)

clean-files += compat/config.h compat/questions.c compat/questions.log
