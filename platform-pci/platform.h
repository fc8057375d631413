/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * platform.h: what the files of pvhvm_platform share.
 *
 * Included first everywhere, because it names the module in the log.
 */
#ifndef PVHVM_PLATFORM_H
#define PVHVM_PLATFORM_H

#undef pr_fmt
#define pr_fmt(fmt) "pvhvm_platform: " fmt

#include <linux/pci.h>
#include <linux/printk.h>
#include <linux/types.h>

#include <pvhvm/abi.h>
#include <pvhvm/evtchn.h>
#include <pvhvm/export.h>
#include <pvhvm/grant.h>
#include <pvhvm/hvm.h>
#include <pvhvm/suspend.h>
#include <pvhvm/unplug.h>

/* The one platform device; valid between the first and the last step. */
extern struct pci_dev *platform_pdev;

/* inkernel.c: is the kernel's own Xen support active? */
bool inkernel_xen_active(void);

/* physmap.c: pages of ours that Xen's take the place of, and back again */
int physmap_init(void);
void physmap_exit(void);
int physmap_place(unsigned int space, unsigned long idx, struct page *page);
int physmap_place_again(unsigned int space, unsigned long idx, struct page *page);
int physmap_renew(struct page *page);
void physmap_restore(unsigned int space, unsigned long idx, struct page *page);
void physmap_settle(void);
void physmap_free(struct page *page);
unsigned int physmap_lost(void);

/* shared_info.c */

#define NOTE_VCPU_PAGES	4

/**
 * struct shared_info_note - what has to outlive the module
 * @magic: the note is there
 * @vcpu_page: frames of vcpu_info.c's pages, 0 for none
 * @unplugged: classes unplugged, a mask of 1 << enum pvhvm_class
 * @check: over the rest
 *
 * The shared info page belongs to the domain, not to a kernel: it stays across
 * module reload and kexec, and starts as zeros whenever the guest is reset.
 * That is as long as an unplug lasts, about which the host cannot be asked. So
 * the note sits at that page's end, which struct shared_info leaves unused.
 */
struct shared_info_note {
	u64 magic;
	u64 vcpu_page[NOTE_VCPU_PAGES];
	u32 unplugged;
	u32 check;
};

extern struct shared_info *platform_shared_info;
int shared_info_init(void);
void shared_info_exit(void);
void shared_info_abandon(void);
void shared_info_suspend(void);
void shared_info_resume(void);
void shared_info_note_get(struct shared_info_note *copy);
void shared_info_note_unplugged(u32 mask);
void shared_info_note_vcpu_page(unsigned int index, u64 pfn);

/* gnttab.c */
struct gnttab_usage {
	unsigned int used, parked, free, max;
};

int gnttab_init(void);
void gnttab_exit(void);
void gnttab_abandon(void);
bool gnttab_is_quiet(void);
void gnttab_resume(void);
void gnttab_usage(struct gnttab_usage *usage);

/* clock.c */
int clock_init(void);
void clock_exit(void);
void clock_hold(void);
void clock_release(void);
void clock_suspend(void);
void clock_resume(void);
void clock_settle(void);
u64 clock_xen_time(void);

/* timer.c: the clock event device */
struct timer_use {
	u64 told;	/* hypercalls */
	u64 saved;	/* changes that needed none */
	u64 early;	/* events for nothing */
};

int timer_init(void);
void timer_exit(void);
int timer_withdraw(void);
void timer_cpu_up(unsigned int cpu);
int timer_cpu_down(unsigned int cpu);
void timer_usage(struct timer_use *sum);

/* ipi.c: interrupts between CPUs */
struct ipi_use {
	u64 events;	/* sent as one */
	u64 native;	/* calls sent by the local APIC */
	u64 again;	/* events that found their CPU at something else */
};

int ipi_init(void);
void ipi_exit(void);
void ipi_cpu_up(unsigned int cpu);
void ipi_cpu_down(unsigned int cpu);
void ipi_usage(struct ipi_use *sum);

/* hibernation.c */
int hibernation_init(void);
void hibernation_exit(void);

/* unplug.c */
int unplug_init(void);
void unplug_exit(void);
bool unplug_is_quiet(void);
void unplug_resume(void);
ssize_t unplug_show(char *buf);
int unplug_store(const char *name);

/* unplug_ide.c */
/**
 * struct unplug_ide_regs - of the emulated IDE controller's PCI function
 * @command: what it decodes, and whether it may be bus master
 * @bar: where
 */
struct unplug_ide_regs {
	u16 command;
	u32 bar[PCI_STD_NUM_BARS];
};

void unplug_ide_hold(struct pci_dev *pdev);
void unplug_ide_drop(void);
void unplug_ide_save(struct unplug_ide_regs *regs);
void unplug_ide_restore(const struct unplug_ide_regs *regs);

/* suspend.c */
int suspend_init(void);
void suspend_exit(void);
void suspend_abandon(void);
unsigned int suspend_count(void);

/* sysfs.c */
int platform_sysfs_init(void);
void platform_sysfs_exit(void);

#endif /* PVHVM_PLATFORM_H */
