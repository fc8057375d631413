/* SPDX-License-Identifier: GPL-2.0-only */
/* upcall.h: how Xen interrupts us. */
#ifndef PVHVM_UPCALL_H
#define PVHVM_UPCALL_H

#include "vcpu.h"

int upcall_init(void);
void upcall_exit(void);
bool upcall_by_vector(void);
const char *upcall_name(void);
const char *upcall_other(void);
void upcall_resume(void);
void upcall_vcpu_resume(struct platform_vcpu *v);
int upcall_vcpu_up(struct platform_vcpu *v);
void upcall_vcpu_down(struct platform_vcpu *v);
int upcall_announce(void);
void upcall_renounce(void);
bool upcall_left_over(void);
int upcall_fall_back(void);

#endif /* PVHVM_UPCALL_H */
