/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * vpd.h: a disk's serial number and world wide name out of what a toolstack
 * may tell.
 *
 * blkif.h has no key for them. The xapi toolstack puts SCSI vital product
 * data (SPC-4, 7.8) below sm-data/scsi/0x12/, a page each, in base64; others a
 * plain "serial".
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
#define BLKF_VPD_PAGE_ID	0x83
/* A page with its header is not longer here; more is cut off. */
#define BLKF_VPD_SIZE		260
/* "t10.", an identifier of up to 255 characters, or half as many in hex. */
#define BLKF_WWID_SIZE		264

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

/* Designators of the logical unit that are names, the best one highest. */
enum blkf_designator {
	BLKF_DESIGNATOR_NONE,
	BLKF_DESIGNATOR_T10,
	BLKF_DESIGNATOR_EUI,
	BLKF_DESIGNATOR_NAA,
};

static inline enum blkf_designator blkf_vpd_rank(const uint8_t *d)
{
	/* association: 0 is the logical unit, others its port or target */
	if (d[1] >> 4 & 3)
		return BLKF_DESIGNATOR_NONE;
	switch (d[1] & 15) {
	case 1:
		return BLKF_DESIGNATOR_T10;
	case 2:
		return BLKF_DESIGNATOR_EUI;
	case 3:
		return BLKF_DESIGNATOR_NAA;
	}
	return BLKF_DESIGNATOR_NONE;
}

static inline void blkf_vpd_name(enum blkf_designator rank, const uint8_t *id,
				 unsigned int len, char *wwid)
{
	static const char digits[] = "0123456789abcdef";
	unsigned int i, n = 4;

	memcpy(wwid, rank == BLKF_DESIGNATOR_NAA ? "naa." :
		     rank == BLKF_DESIGNATOR_EUI ? "eui." : "t10.", 4);
	for (i = 0; i < len; i++) {
		if (rank != BLKF_DESIGNATOR_T10) {
			if (n + 2 >= BLKF_WWID_SIZE)
				break;
			wwid[n++] = digits[id[i] >> 4];
			wwid[n++] = digits[id[i] & 15];
			continue;
		}
		if (n + 1 >= BLKF_WWID_SIZE)
			break;
		wwid[n++] = id[i] > ' ' && id[i] < 0x7f && id[i] != '/' &&
			    id[i] != '\\' ? (char)id[i] : '_';
	}
	while (n > 4 && wwid[n - 1] == '_')
		n--;
	wwid[n] = '\0';
}

/**
 * blkf_vpd_wwid() - the logical unit's name in VPD page 0x83
 * @page: the page's bytes, its four-byte header included
 * @len: their number
 * @wwid: BLKF_WWID_SIZE bytes; written on success: naa.HEX, eui.HEX, t10.TEXT
 *
 * Return: 0; -EINVAL if it is not such a page; -ENOENT if it names nothing.
 */
static inline int blkf_vpd_wwid(const uint8_t *page, unsigned int len,
				char *wwid)
{
	enum blkf_designator best = BLKF_DESIGNATOR_NONE;
	unsigned int at, told;

	if (len < 4 || page[1] != BLKF_VPD_PAGE_ID)
		return -EINVAL;
	told = ((unsigned int)page[2] << 8 | page[3]) + 4;
	if (told < len)
		len = told;
	for (at = 4; len - at >= 4; at += 4 + page[at + 3]) {
		enum blkf_designator rank = blkf_vpd_rank(page + at);
		unsigned int size = page[at + 3];

		if (size > len - at - 4)
			break;
		if (!size || rank <= best)
			continue;
		best = rank;
		blkf_vpd_name(rank, page + at + 4, size, wwid);
	}
	return best == BLKF_DESIGNATOR_NONE ? -ENOENT : 0;
}

#endif /* PVHVM_BLKFRONT_VPD_H */
