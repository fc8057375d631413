// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unit tests of blkfront/vpd.h: serial numbers as toolstacks tell them, and
 * whatever else may stand there.
 */
#include <stdio.h>
#include <stdlib.h>

#include "blkfront/vpd.h"

static unsigned int test_nr, failed;

static void ok(bool good, const char *name)
{
	printf("%sok %u - %s\n", good ? "" : "not ", ++test_nr, name);
	failed += !good;
}

static bool decodes(const char *text, const char *want)
{
	uint8_t out[32];
	int n = blkf_base64_decode(text, out, sizeof(out));

	return n == (int)strlen(want) && !memcmp(out, want, n);
}

static void test_base64(void)
{
	uint8_t out[2];

	ok(decodes("", ""), "nothing");
	ok(decodes("Zg==", "f") && decodes("Zm8=", "fo") &&
	   decodes("Zm9v", "foo") && decodes("Zm9vYmFy", "foobar"),
	   "RFC 4648's samples");
	ok(blkf_base64_decode("Zm9vYmFy", out, sizeof(out)) == 2 &&
	   out[0] == 'f' && out[1] == 'o', "cut off at the room there is");
	ok(blkf_base64_decode("Zm9v YmFy", out, sizeof(out)) == -EINVAL,
	   "a blank is refused");
	ok(blkf_base64_decode("\xff", out, sizeof(out)) == -EINVAL,
	   "so is a byte above 127");
}

static bool cleans(const char *from, unsigned int len, const char *want)
{
	char serial[BLKF_SERIAL_SIZE];

	blkf_serial_clean((const uint8_t *)from, len, serial);
	return !strcmp(serial, want);
}

static void test_clean(void)
{
	char many[200];

	ok(cleans("  abc  ", 7, "abc"), "blanks around it go");
	ok(cleans("a b", 3, "a_b"), "those within do not stay blanks");
	ok(cleans("a/b\\c\n", 6, "a_b_c_"), "nothing that a path minds");
	ok(cleans("ab\0cd", 5, "ab"), "up to a NUL");
	ok(cleans("", 0, "") && cleans("   ", 3, ""), "nothing at all");
	memset(many, 'x', sizeof(many));
	{
		char serial[BLKF_SERIAL_SIZE];

		blkf_serial_clean((uint8_t *)many, sizeof(many), serial);
		ok(strlen(serial) == BLKF_SERIAL_SIZE - 1, "cut off");
	}
}

static void test_vpd(void)
{
	static const uint8_t page[] = { 0, 0x80, 0, 6, ' ', 'S', '1', '2', '3',
					' ', 'x' };
	char serial[BLKF_SERIAL_SIZE] = "before";

	ok(!blkf_vpd_serial(page, sizeof(page), serial) &&
	   !strcmp(serial, "S123"), "a page as it should be");
	ok(!blkf_vpd_serial(page, 7, serial) && !strcmp(serial, "S1"),
	   "a page shorter than it says");
	strcpy(serial, "before");
	ok(blkf_vpd_serial(page, 3, serial) == -EINVAL &&
	   !strcmp(serial, "before"), "no page");
	ok(blkf_vpd_serial(page + 1, 6, serial) == -EINVAL, "another page");
}

static bool names(const uint8_t *page, unsigned int len, const char *want)
{
	char wwid[BLKF_WWID_SIZE] = "before";

	return !blkf_vpd_wwid(page, len, wwid) && !strcmp(wwid, want);
}

static void test_wwid(void)
{
	static const uint8_t page[] = {
		0, 0x83, 0, 38,
		2, 0x01, 0, 6, 'X', 'E', 'N', ' ', '1', ' ',
		1, 0x13, 0, 8, 0x50, 1, 2, 3, 4, 5, 6, 7,
		1, 0x03, 0, 8, 0x60, 0x0a, 0xbc, 0xde, 0xf0, 0, 0, 0x01,
		1, 0x02, 0, 0,
	};
	uint8_t eui[] = { 0, 0x83, 0, 12, 1, 0x02, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8 };
	char wwid[BLKF_WWID_SIZE] = "before";

	ok(names(page, sizeof(page), "naa.600abcdef0000001"),
	   "the logical unit's NAA name before others, not the port's");
	ok(names(page, 14, "t10.XEN_1"), "a page cut short names what it can");
	ok(names(eui, sizeof(eui), "eui.0102030405060708"), "an EUI-64");
	eui[7] = 9;
	ok(blkf_vpd_wwid(eui, sizeof(eui), wwid) == -ENOENT &&
	   !strcmp(wwid, "before"), "a designator longer than the page");
	eui[7] = 0;
	eui[9] = 0x12;
	ok(blkf_vpd_wwid(eui, sizeof(eui), wwid) == -ENOENT,
	   "one of no length, then rubbish");
	ok(blkf_vpd_wwid(page, 3, wwid) == -EINVAL &&
	   blkf_vpd_wwid(page + 1, 20, wwid) == -EINVAL, "no such page");
}

static void test_random(void)
{
	unsigned int i, j, bad = 0;
	char serial[BLKF_SERIAL_SIZE], wwid[BLKF_WWID_SIZE];

	srand(4711);
	for (i = 0; i < 50000; i++) {
		unsigned int len = rand() % 120;
		uint8_t *page = malloc(len + 1);
		char *text = malloc(len + 1);
		uint8_t out[40];

		for (j = 0; j < len; j++) {
			page[j] = rand();
			text[j] = "Ab9+/=\x01~"[rand() % (rand() % 20 ? 6 : 8)];
		}
		text[len] = '\0';
		if (len > 1 && rand() % 2)
			page[1] = BLKF_VPD_PAGE_SERIAL;
		bad += blkf_base64_decode(text, out, rand() % 41) > 40;
		if (!blkf_vpd_serial(page, len, serial)) {
			bad += strlen(serial) >= BLKF_SERIAL_SIZE;
			for (j = 0; serial[j]; j++)
				bad += serial[j] <= ' ' || serial[j] > '~' ||
				       serial[j] == '/';
		}
		if (len > 1 && rand() % 2)
			page[1] = BLKF_VPD_PAGE_ID;
		if (!blkf_vpd_wwid(page, len, wwid)) {
			bad += !memchr(wwid, 0, sizeof(wwid));
			for (j = 0; wwid[j]; j++)
				bad += wwid[j] <= ' ' || wwid[j] > '~' ||
				       wwid[j] == '/';
		}
		free(page);
		free(text);
	}
	ok(!bad, "random pages and texts");
}

int main(void)
{
	test_base64();
	test_clean();
	test_vpd();
	test_wwid();
	test_random();
	printf("1..%u\n", test_nr);
	return failed != 0;
}
