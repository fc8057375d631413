// SPDX-License-Identifier: GPL-2.0-only
/*
 * xencon.c: a console on Xen's debug port.
 *
 * A kernel without CONFIG_XEN has no driver for it, and the emulated serial
 * port costs a trip to the device model for each byte. What was logged before
 * the module came is printed, too.
 */
#include <linux/console.h>
#include <linux/io.h>
#include <linux/module.h>

#define DEBUG_PORT	0xe9

static void write_out(struct console *con, const char *text, unsigned int count)
{
	outsb(DEBUG_PORT, text, count);
}

static struct console xencon = {
	.name = "xencon",
	.write = write_out,
	.flags = CON_ENABLED | CON_PRINTBUFFER | CON_ANYTIME,
	.index = -1,
};

static int __init xencon_init(void)
{
	register_console(&xencon);
	return 0;
}
module_init(xencon_init);

MODULE_DESCRIPTION("A console on Xen's debug port");
MODULE_LICENSE("GPL");
