// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unit tests of blkfront/vdev.h: every device number decodes to what the
 * toolstack meant, or to nothing; names are what users know.
 */
#include <stdio.h>
#include <string.h>

#include "blkfront/vdev.h"

static unsigned int test_nr, failed;

static void ok(bool good, const char *name)
{
	printf("%sok %u - %s\n", good ? "" : "not ", ++test_nr, name);
	failed += !good;
}

struct sample {
	uint32_t number;
	enum blkf_bus bus;
	unsigned int disk, part;
	const char *name;
};

static const struct sample samples[] = {
	{ 768, BLKF_BUS_HD, 0, 0, "xvda" },
	{ 769, BLKF_BUS_HD, 0, 1, "xvda1" },
	{ 831, BLKF_BUS_HD, 0, 63, "xvda63" },
	{ 832, BLKF_BUS_HD, 1, 0, "xvdb" },
	{ 5632, BLKF_BUS_HD, 2, 0, "xvdc" },
	{ 5696, BLKF_BUS_HD, 3, 0, "xvdd" },
	{ 2048, BLKF_BUS_SD, 0, 0, "xvda" },
	{ 2065, BLKF_BUS_SD, 1, 1, "xvdb1" },
	{ 2288, BLKF_BUS_SD, 15, 0, "xvdp" },
	{ 51712, BLKF_BUS_XVD, 0, 0, "xvda" },
	{ 51713, BLKF_BUS_XVD, 0, 1, "xvda1" },
	{ 51728, BLKF_BUS_XVD, 1, 0, "xvdb" },
	{ 51952, BLKF_BUS_XVD, 15, 0, "xvdp" },
	{ 51967, BLKF_BUS_XVD, 15, 15, "xvdp15" },
	{ 268439552, BLKF_BUS_XVD, 16, 0, "xvdq" },
	{ 268435456 + (25 << 8), BLKF_BUS_XVD, 25, 0, "xvdz" },
	{ 268435456 + (26 << 8), BLKF_BUS_XVD, 26, 0, "xvdaa" },
	{ 268435456 + (701 << 8), BLKF_BUS_XVD, 701, 0, "xvdzz" },
	{ 268435456 + (702 << 8), BLKF_BUS_XVD, 702, 0, "xvdaaa" },
	{ 268435456 + (702 << 8) + 255, BLKF_BUS_XVD, 702, 255, "xvdaaa255" },
};

static void test_samples(void)
{
	char name[BLKF_NAME_SIZE], text[80];
	struct blkf_vdev v;
	unsigned int i;

	for (i = 0; i < sizeof(samples) / sizeof(*samples); i++) {
		const struct sample *s = &samples[i];
		bool good = !blkf_vdev_decode(s->number, &v) &&
			    v.bus == s->bus && v.disk == s->disk &&
			    v.part == s->part;

		if (good) {
			blkf_vdev_name(&v, name);
			good = !strcmp(name, s->name);
		}
		snprintf(text, sizeof(text), "%u is %s", s->number, s->name);
		ok(good, text);
	}
}

static void test_refused(void)
{
	static const uint32_t bad[] = {
		0, 1, 255, 767, 896, 1023, 5760, 5887, 2304, 51968, 0x10000,
		0x20000000, 0x80000000, 0xffffffff, 0x30000000,
		0x10000000 | BLKF_DISKS_MAX << 8, 0x1fffffff,
	};
	struct blkf_vdev v = { BLKF_BUS_SD, 77, 7 };
	unsigned int i, taken = 0;

	for (i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		taken += blkf_vdev_decode(bad[i], &v) != -ENODEV;
	ok(!taken, "numbers that stand for nothing are refused");
	ok(v.disk == 77 && v.part == 7, "and leave the result alone");
}

/* All numbers that fit: in bounds, name in bounds, names differ per bus. */
static void test_all(void)
{
	unsigned int bad = 0, known = 0;
	char name[BLKF_NAME_SIZE];
	struct blkf_vdev v;
	uint64_t n;

	for (n = 0; n <= 0xffffffff; n += n < 0x20000 ? 1 : 251) {
		if (blkf_vdev_decode((uint32_t)n, &v))
			continue;
		known++;
		memset(name, 'x', sizeof(name));
		blkf_vdev_name(&v, name);
		bad += v.disk >= BLKF_DISKS_MAX || v.part > 255 ||
		       !memchr(name, 0, sizeof(name)) ||
		       strlen(name) < 4 ||
		       v.disk * BLKF_MINORS + BLKF_MINORS > 1u << 20;
	}
	ok(!bad, "no number leads out of bounds");
	ok(known > 256, "and many are known");
	blkf_vdev_set(&v, BLKF_BUS_XVD, BLKF_DISKS_MAX - 1, 255);
	blkf_vdev_name(&v, name);
	ok(!strcmp(name, "xvdcrxp255"), "the longest name fits");
}

static void test_twins(void)
{
	struct blkf_vdev v;

	blkf_vdev_set(&v, BLKF_BUS_HD, 3, 0);
	ok(blkf_vdev_has_twin(&v, 4), "hdd is emulated");
	blkf_vdev_set(&v, BLKF_BUS_SD, 7, 0);
	ok(blkf_vdev_has_twin(&v, 4), "sdh is emulated");
	blkf_vdev_set(&v, BLKF_BUS_XVD, 0, 0);
	ok(blkf_vdev_has_twin(&v, 4), "xvda is emulated, too");
	blkf_vdev_set(&v, BLKF_BUS_XVD, 3, 0);
	ok(blkf_vdev_has_twin(&v, 4), "so is xvdd");
	blkf_vdev_set(&v, BLKF_BUS_XVD, 4, 0);
	ok(!blkf_vdev_has_twin(&v, 4), "xvde is not, on IDE");
	ok(blkf_vdev_has_twin(&v, 6), "but on AHCI");
	blkf_vdev_set(&v, BLKF_BUS_XVD, 6, 0);
	ok(!blkf_vdev_has_twin(&v, 6), "xvdg is on neither");
}

int main(void)
{
	test_samples();
	test_refused();
	test_all();
	test_twins();
	printf("1..%u\n", test_nr);
	return failed != 0;
}
