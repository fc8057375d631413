/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * vpd.h: a disk's serial number out of what a toolstack may tell.
 *
 * blkif.h has no key for it. The xapi toolstack puts SCSI vital product data
 * below sm-data/scsi/0x12/0x80, in base64; others a plain "serial".
 * Compiles in user space too, see tests/unit/blkfront_vpd.c.
 */
#ifndef PVHVM_BLKFRONT_VPD_H
#define PVHVM_BLKFRONT_VPD_H

#ifdef __KERNEL__
#include <linux/errno.h>
#include <linux/string.h>
#include <linux/types.h>
#else
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#endif

#define BLKF_SERIAL_SIZE	64
#define BLKF_VPD_PAGE_SERIAL	0x80

static inline int blkf_base64_digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/**
 * blkf_base64_decode() - decode up to the padding or the text's end
 * @text: NUL-terminated; white space is not expected
 * @out: where to, @size bytes; more is cut off
 *
 * Return: bytes written; -EINVAL for anything but base64.
 */
static inline int blkf_base64_decode(const char *text, uint8_t *out,
				     unsigned int size)
{
	unsigned int bits = 0, n = 0;
	uint32_t acc = 0;

	for (; *text && *text != '='; text++) {
		int digit = blkf_base64_digit(*text);

		if (digit < 0)
			return -EINVAL;
		acc = acc << 6 | (uint32_t)digit;
		bits += 6;
		if (bits < 8)
			continue;
		bits -= 8;
		if (n < size)
			out[n++] = (uint8_t)(acc >> bits);
	}
	return (int)n;
}

/**
 * blkf_serial_clean() - keep what may stand in a file name
 * @from: any bytes
 * @len: their number; a NUL among them ends them
 * @serial: BLKF_SERIAL_SIZE bytes; blanks at both ends go, others become '_'
 */
static inline void blkf_serial_clean(const uint8_t *from, unsigned int len,
				     char *serial)
{
	unsigned int i, n = 0;

	for (i = 0; i < len && from[i] && n < BLKF_SERIAL_SIZE - 1; i++) {
		if (from[i] == ' ' && !n)
			continue;
		serial[n++] = from[i] > ' ' && from[i] < 0x7f &&
			      from[i] != '/' && from[i] != '\\' ?
			      (char)from[i] : from[i] == ' ' ? ' ' : '_';
	}
	while (n && serial[n - 1] == ' ')
		n--;
	serial[n] = '\0';
	for (i = 0; i < n; i++)
		if (serial[i] == ' ')
			serial[i] = '_';
}

/**
 * blkf_vpd_serial() - the serial number in VPD page 0x80
 * @page: the page's bytes, its four-byte header included
 * @len: their number
 * @serial: BLKF_SERIAL_SIZE bytes; written on success
 *
 * Return: 0; -EINVAL if it is not such a page.
 */
static inline int blkf_vpd_serial(const uint8_t *page, unsigned int len,
				  char *serial)
{
	unsigned int told;

	if (len < 4 || page[1] != BLKF_VPD_PAGE_SERIAL)
		return -EINVAL;
	told = (unsigned int)page[2] << 8 | page[3];
	blkf_serial_clean(page + 4, told < len - 4 ? told : len - 4, serial);
	return 0;
}

#endif /* PVHVM_BLKFRONT_VPD_H */
