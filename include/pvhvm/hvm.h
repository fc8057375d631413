/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * hvm.h: what the hypervisor says about this guest. Offered by pvhvm_platform.
 */
#ifndef PVHVM_HVM_H
#define PVHVM_HVM_H

#include <linux/types.h>

/**
 * pvhvm_hvm_param_get() - read one of the guest's HVM parameters
 * @index: HVM_PARAM_*, see xen/hvm/params.h
 * @value: where the value goes; untouched on failure
 *
 * Context: any; one hypercall, does not sleep.
 * Return: 0, or the hypervisor's answer as a negative errno.
 */
int pvhvm_hvm_param_get(u32 index, u64 *value);

/**
 * pvhvm_xen_version() - the hypervisor's version
 *
 * Context: any, once pvhvm_platform is loaded.
 * Return: major << 16 | minor, from XENVER_version (xen/version.h).
 */
u32 pvhvm_xen_version(void);

/**
 * pvhvm_platform_ready() - has the Xen platform device been bound?
 *
 * pvhvm_platform may be loaded without having found its PCI device. Modules
 * above call this first in their init and give -ENODEV when it is false.
 *
 * Context: any.
 */
bool pvhvm_platform_ready(void);

/**
 * pvhvm_platform_get() / pvhvm_platform_put() - pin the platform device
 *
 * Between get and put the PCI device cannot be unbound through sysfs:
 * its driver's remove would pull interrupts and grants from under the users.
 *
 * Context: process; may sleep.
 * Return: 0, or -ENODEV when the device is not bound.
 */
int pvhvm_platform_get(void);
void pvhvm_platform_put(void);

/**
 * pvhvm_vcpu_to_cpu() - Linux's number of one of Xen's vCPUs
 * @vcpu: Xen's number
 *
 * Known from the first time on that it is online with pvhvm_platform loaded.
 * Context: any. Return: the CPU, or -ENODEV.
 */
int pvhvm_vcpu_to_cpu(unsigned int vcpu);

#endif /* PVHVM_HVM_H */
