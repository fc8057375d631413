// SPDX-License-Identifier: GPL-2.0-only
/* hypercall.c: is Xen there, and how to call it. */
#include "platform.h"

#include <asm/cpuid/api.h>
#include <asm/msr.h>
#include <asm/nospec-branch.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/objtool.h>
#include <linux/vmalloc.h>
#include <xen-public/arch-x86/cpuid.h>

#include "hypercall.h"

/* Where other hypervisors' signatures may sit before Xen's. */
#define LEAF_STEP	0x100
#define LEAF_END	(XEN_CPUID_FIRST_LEAF + 0x10000)

/* A stub for each hypercall number, 32 bytes wide (xen-x86_64.h). */
#define STUB_SHIFT	5

DEFINE_STATIC_KEY_FALSE(hypercall_use_page);

static char *hypercall_mode = "direct";
module_param_named(hypercall, hypercall_mode, charp, 0444);
MODULE_PARM_DESC(hypercall,
		 "How to call Xen: direct (VMCALL, default) or page (hypercall page)");

static u32 leaf_base;
static u32 xen_version;
static u32 xen_features[XENFEAT_NR_SUBMAPS];

/*
 * The hypercall page. A module cannot get executable memory but its own text,
 * so the page is part of that; Xen writes the stubs past our page tables,
 * hence the mapping may stay read-only.
 */
asm(".pushsection .text, \"ax\"\n"
	".balign 4096\n"
	".type hypercall_stubs, @object\n"
	"hypercall_stubs:\n"
	ANNOTATE_NOENDBR "\n"
	".fill 4096, 1, 0xcc\n"
	".size hypercall_stubs, 4096\n"
	".popsection\n");

/**
 * hypercall_by_page() - call Xen through the hypercall page
 * @nr: __HYPERVISOR_*
 * @a1: first argument
 * @a2: second
 * @a3: third
 *
 * Out of line: it is the exception.
 */
noinline long hypercall_by_page(unsigned long nr, unsigned long a1,
				unsigned long a2, unsigned long a3)
{
	unsigned long stub = (unsigned long)hypercall_stubs;
	long ret;

	/* Only the page's start is known to objtool as a place to call. */
	OPTIMIZER_HIDE_VAR(stub);
	stub += nr << STUB_SHIFT;
	asm volatile(CALL_NOSPEC
		     : "=a" (ret), "+D" (a1), "+S" (a2), "+d" (a3),
		       ASM_CALL_CONSTRAINT
		     : THUNK_TARGET(stub)
		     : "rcx", "r8", "r10", "r11", "memory", "cc");
	return ret;
}

/* What is called was written by Xen: there is no type to check. */
ANNOTATE_NOCFI_SYM(hypercall_by_page);

/**
 * hypercall_detect() - look for Xen's CPUID leaves
 *
 * Context: any. Return: true when this is a Xen guest.
 */
bool hypercall_detect(void)
{
	u32 base, eax, ebx, ecx, edx;

	if (!boot_cpu_has(X86_FEATURE_HYPERVISOR))
		return false;
	for (base = XEN_CPUID_FIRST_LEAF; base < LEAF_END; base += LEAF_STEP) {
		cpuid(base, &eax, &ebx, &ecx, &edx);
		if (ebx == XEN_CPUID_SIGNATURE_EBX &&
		    ecx == XEN_CPUID_SIGNATURE_ECX &&
		    edx == XEN_CPUID_SIGNATURE_EDX && eax >= base + 2) {
			leaf_base = base;
			return true;
		}
	}
	return false;
}

/**
 * hypercall_leaf() - number of one of Xen's CPUID leaves
 * @offset: distance from the signature leaf, see xen/arch-x86/cpuid.h
 *
 * Return: the leaf, or 0 when this Xen does not have it.
 */
u32 hypercall_leaf(unsigned int offset)
{
	return cpuid_eax(leaf_base) >= leaf_base + offset ?
		leaf_base + offset : 0;
}

/* Have Xen write its stubs into the page. */
static int tell_page(void)
{
	u32 eax, msr, ecx, edx;
	u64 pa = (u64)vmalloc_to_pfn(hypercall_stubs) << PAGE_SHIFT;

	cpuid(hypercall_leaf(2), &eax, &msr, &ecx, &edx);
	if (!eax)
		return -EOPNOTSUPP;
	/* The low bits would select a page, were there more than one. */
	return wrmsrq_safe(msr, pa);
}

static int setup_page(void)
{
	int ret = tell_page();

	if (!ret)
		static_branch_enable(&hypercall_use_page);
	return ret;
}

static int read_features(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(xen_features); i++) {
		struct xen_feature_info info = { .submap_idx = i };
		int ret = hypercall_version(XENVER_get_features, &info);

		if (ret)
			return ret;
		xen_features[i] = info.submap;
	}
	return 0;
}

/**
 * hypercall_feature() - does Xen have a feature?
 * @nr: XENFEAT_*, see xen/features.h
 */
bool hypercall_feature(unsigned int nr)
{
	return xen_features[nr / 32] & (1u << (nr % 32));
}

/**
 * hypercall_features() - all that Xen has, a bit each
 * @submap: below XENFEAT_NR_SUBMAPS: 32 of them
 */
u32 hypercall_features(unsigned int submap)
{
	return xen_features[submap];
}

/**
 * hypercall_init() - choose the way to call Xen, and try it
 *
 * Context: process; may sleep.
 * Return: 0; -EINVAL for a wrong parameter; what Xen said when it refuses.
 */
int hypercall_init(void)
{
	long version;
	int ret;

	if (!strcmp(hypercall_mode, "page")) {
		ret = setup_page();
		if (ret) {
			pr_err("no hypercall page (%d); load with hypercall=direct\n",
			       ret);
			return ret;
		}
	} else if (strcmp(hypercall_mode, "direct")) {
		pr_err("hypercall=%s is neither direct nor page\n",
		       hypercall_mode);
		return -EINVAL;
	}

	version = hypercall_version(XENVER_version, NULL);
	ret = version > 0 ? read_features() : -EOPNOTSUPP;
	if (ret) {
		pr_err("Xen refuses hypercalls (%ld, %d); ask the host's administrator\n",
		       version, ret);
		hypercall_exit();
		return ret;
	}
	xen_version = version;
	return 0;
}

/**
 * hypercall_resume() - another host's Xen may be of another version
 *
 * Context: all other CPUs stand still, interrupts off.
 */
void hypercall_resume(void)
{
	long version;

	hypercall_detect();
	if (static_key_enabled(&hypercall_use_page) && tell_page())
		pr_err("no hypercall page on this host; going on with the old one\n");
	version = hypercall_version(XENVER_version, NULL);
	if (version > 0)
		xen_version = version;
	read_features();
}

/**
 * hypercall_exit() - forget the hypercall page
 *
 * Xen keeps no reference to it: it wrote the stubs once.
 */
void hypercall_exit(void)
{
	static_branch_disable(&hypercall_use_page);
}

/**
 * hvm_param_set() - write one of the guest's HVM parameters
 * @index: HVM_PARAM_*; a guest may write a few only
 * @value: see xen/hvm/params.h
 *
 * Context: any. Return: 0 or negative errno.
 */
int hvm_param_set(u32 index, u64 value)
{
	struct xen_hvm_param param = {
		.domid = DOMID_SELF,
		.index = index,
		.value = value,
	};

	return hypercall_hvm(HVMOP_set_param, &param);
}

int pvhvm_hvm_param_get(u32 index, u64 *value)
{
	struct xen_hvm_param param = {
		.domid = DOMID_SELF,
		.index = index,
	};
	int ret = hypercall_hvm(HVMOP_get_param, &param);

	if (!ret)
		*value = param.value;
	return ret;
}
PVHVM_EXPORT(pvhvm_hvm_param_get);

u32 pvhvm_xen_version(void)
{
	return xen_version;
}
PVHVM_EXPORT(pvhvm_xen_version);
