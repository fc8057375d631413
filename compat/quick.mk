# SPDX-License-Identifier: GPL-2.0-only
# QUICK=y: each module is compiled in one go. Reading the kernel's headers is
# most of the work, and this reads them once for each module instead of once
# for each file: a quarter of the time, which in a small guest is minutes.
#
# Sources in pvhvm-alone keep an object of their own: variants behind one ops
# table, which give the same names to their functions.
pvhvm-alone := platform-pci/evtchn_fifo.o

define pvhvm-one-file
$(1)-alone := $$(filter $$(pvhvm-alone),$$($(1)-y))
$(1)-files := $$(patsubst %.o,%.c,$$(filter-out $$(pvhvm-alone),$$($(1)-y)))
$(1)-y := $(1)_all.o $$($(1)-alone)

$$(obj)/$(1)_all.c: $$(src)/Kbuild $$(src)/compat/quick.mk
	@printf '#include "%s"\n' $$($(1)-files) >$$@

clean-files += $(1)_all.c
endef

$(foreach m,$(obj-m:.o=),$(eval $(call pvhvm-one-file,$(m))))
