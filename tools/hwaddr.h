/* SPDX-License-Identifier: GPL-2.0-only */
/* hwaddr.h: an interface's own address, which a bond or bridge may hide. */
#ifndef PVHVM_HWADDR_H
#define PVHVM_HWADDR_H

/**
 * hwaddr_permanent() - the address the hardware came with
 * @mac: lower case with colons; the one in use if there is no permanent one
 */
void hwaddr_permanent(const char *ifname, char mac[18]);

#endif
