// SPDX-License-Identifier: GPL-2.0-only
/*
 * inkernel.c: is somebody at home already?
 *
 * The only file that sees the kernel's own Xen headers; their include guards
 * collide with those of Xen's public headers, so it includes nothing of ours.
 * Without CONFIG_XEN xen_domain() is the constant false.
 */
#include <linux/types.h>
#include <xen/xen.h>

bool inkernel_xen_active(void);

/**
 * inkernel_xen_active() - is the kernel's built-in Xen support in use?
 *
 * Context: any.
 * Return: true when it drives this guest (it would fight over shared info,
 * event channels and xenstore with us); false when it was compiled out or
 * told to stay away by nopv or xen_nopv.
 */
bool inkernel_xen_active(void)
{
	return xen_domain();
}
