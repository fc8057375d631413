/* SPDX-License-Identifier: GPL-2.0-only */
/* upcall_vector.h: vectors for upcalls, from the kernel's vector allocator. */
#ifndef PVHVM_UPCALL_VECTOR_H
#define PVHVM_UPCALL_VECTOR_H

#include <linux/types.h>

int upcall_vector_init(bool one_for_all);
void upcall_vector_exit(void);
unsigned int upcall_vector_get(unsigned int cpu);
void upcall_vector_put(unsigned int cpu);
u8 upcall_vector_of(unsigned int irq);
u8 upcall_vector_shared(void);
void upcall_vector_at_apic(void);

#endif /* PVHVM_UPCALL_VECTOR_H */
