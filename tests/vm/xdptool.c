// SPDX-License-Identifier: GPL-2.0-only
/*
 * xdptool: puts a tiny XDP program on an interface, in the driver.
 *
 *	xdptool IFACE off | pass | drop | echo | bounce
 *
 * echo answers pings by XDP_TX, bounce by redirecting them to the interface
 * they came from; both pass on everything else. Assembled by hand: neither
 * compiler nor loader library is needed. The program stays when we end.
 */
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define INSN(c, d, s, o, i) \
	((struct bpf_insn){ .code = (c), .dst_reg = (d), .src_reg = (s), \
			    .off = (o), .imm = (i) })
#define MOV(d, s)	INSN(BPF_ALU64 | BPF_MOV | BPF_X, d, s, 0, 0)
#define SET(d, i)	INSN(BPF_ALU64 | BPF_MOV | BPF_K, d, 0, 0, i)
#define ADD(d, s)	INSN(BPF_ALU64 | BPF_ADD | BPF_X, d, s, 0, 0)
#define ADDI(d, i)	INSN(BPF_ALU64 | BPF_ADD | BPF_K, d, 0, 0, i)
#define ANDI(d, i)	INSN(BPF_ALU64 | BPF_AND | BPF_K, d, 0, 0, i)
#define SHRI(d, i)	INSN(BPF_ALU64 | BPF_RSH | BPF_K, d, 0, 0, i)
#define LOAD(sz, d, s, o)	INSN(BPF_LDX | BPF_MEM | (sz), d, s, o, 0)
#define STORE(sz, d, o, s)	INSN(BPF_STX | BPF_MEM | (sz), d, s, o, 0)
#define UNLESS(d, i, o)	INSN(BPF_JMP | BPF_JNE | BPF_K, d, 0, o, i)
#define BEYOND(d, s, o)	INSN(BPF_JMP | BPF_JGT | BPF_X, d, s, o, 0)
#define CALL(f)		INSN(BPF_JMP | BPF_CALL, 0, 0, 0, f)
#define EXIT()		INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)

/* Swap two fields of the packet at r2. */
#define SWAP(sz, a, b) \
	LOAD(sz, 0, 2, a), LOAD(sz, 4, 2, b), \
	STORE(sz, 2, a, 4), STORE(sz, 2, b, 0)

#define MAX_INSNS	64

static unsigned int count;
static struct bpf_insn prog[MAX_INSNS];

static void emit(const struct bpf_insn *insn, unsigned int n)
{
	if (count + n > MAX_INSNS)
		abort();
	memcpy(prog + count, insn, n * sizeof(*insn));
	count += n;
}

#define EMIT(...) do { \
	const struct bpf_insn part_[] = { __VA_ARGS__ }; \
	emit(part_, sizeof(part_) / sizeof(part_[0])); \
} while (0)

/* Turns an ICMP echo request into its reply; what comes next sends it. */
static void emit_reply(void)
{
	unsigned int i, start, end;

	EMIT(LOAD(BPF_W, 2, 1, 0), LOAD(BPF_W, 3, 1, 4),
	     MOV(4, 2), ADDI(4, 42));
	start = count;
	EMIT(BEYOND(4, 3, 0),
	     LOAD(BPF_H, 5, 2, 12), UNLESS(5, 0x0008, 0),	/* IPv4 */
	     LOAD(BPF_B, 5, 2, 23), UNLESS(5, 1, 0),		/* ICMP */
	     LOAD(BPF_B, 5, 2, 34), UNLESS(5, 8, 0));		/* request */
	end = count;
	EMIT(SWAP(BPF_W, 0, 6), SWAP(BPF_H, 4, 10), SWAP(BPF_W, 26, 30));
	/* type 0, and the checksum as much larger as the type is smaller */
	EMIT(SET(0, 0), STORE(BPF_B, 2, 34, 0),
	     LOAD(BPF_H, 0, 2, 36), ADDI(0, 8), MOV(4, 0), SHRI(4, 16),
	     ANDI(0, 0xffff), ADD(0, 4), STORE(BPF_H, 2, 36, 0));
	/* what is no request jumps over all that and over the sending */
	for (i = start; i < end; i++)
		if (BPF_CLASS(prog[i].code) == BPF_JMP)
			prog[i].off = -1;
}

static void emit_pass(void)
{
	unsigned int i;

	for (i = 0; i < count; i++)
		if (BPF_CLASS(prog[i].code) == BPF_JMP && prog[i].off == -1)
			prog[i].off = (int16_t)(count - i - 1);
	EMIT(SET(0, XDP_PASS), EXIT());
}

static int load(void)
{
	static char log[65536];
	union bpf_attr attr = {
		.prog_type = BPF_PROG_TYPE_XDP,
		.insns = (uintptr_t)prog,
		.insn_cnt = count,
		.license = (uintptr_t)"GPL",
		.log_buf = (uintptr_t)log,
		.log_size = sizeof(log),
		.log_level = 1,
	};
	int fd = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr));

	if (fd < 0) {
		perror("bpf");
		fputs(log, stderr);
		exit(1);
	}
	return fd;
}

static void attach(int ifindex, int fd)
{
	struct {
		struct nlmsghdr nh;
		struct ifinfomsg ifi;
		struct nlattr xdp;
		struct nlattr fd_attr;
		int32_t fd;
		struct nlattr flags_attr;
		uint32_t flags;
	} req = {
		.nh = { .nlmsg_len = sizeof(req), .nlmsg_type = RTM_SETLINK,
			.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK },
		.ifi = { .ifi_family = AF_UNSPEC, .ifi_index = ifindex },
		.xdp = { .nla_len = 20, .nla_type = IFLA_XDP | NLA_F_NESTED },
		.fd_attr = { .nla_len = 8, .nla_type = IFLA_XDP_FD },
		.fd = fd,
		.flags_attr = { .nla_len = 8, .nla_type = IFLA_XDP_FLAGS },
		.flags = XDP_FLAGS_DRV_MODE,
	};
	struct {
		struct nlmsghdr nh;
		struct nlmsgerr err;
		char rest[1024];
	} answer;
	int sock = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);

	if (sock < 0 || send(sock, &req, sizeof(req), 0) != sizeof(req) ||
	    recv(sock, &answer, sizeof(answer), 0) < (ssize_t)sizeof(answer.nh) +
	    (ssize_t)sizeof(answer.err.error)) {
		perror("netlink");
		exit(1);
	}
	if (answer.nh.nlmsg_type != NLMSG_ERROR || answer.err.error) {
		fprintf(stderr, "attach: %s\n", strerror(-answer.err.error));
		exit(1);
	}
}

int main(int argc, char **argv)
{
	int ifindex = argc == 3 ? (int)if_nametoindex(argv[1]) : 0;
	const char *what = argc == 3 ? argv[2] : "";

	if (!ifindex) {
		fprintf(stderr, "usage: xdptool IFACE off|pass|drop|echo|bounce\n");
		return 2;
	}
	if (!strcmp(what, "off")) {
		attach(ifindex, -1);
		return 0;
	}
	if (!strcmp(what, "drop")) {
		EMIT(SET(0, XDP_DROP), EXIT());
	} else if (!strcmp(what, "echo")) {
		emit_reply();
		EMIT(SET(0, XDP_TX), EXIT());
		emit_pass();
	} else if (!strcmp(what, "bounce")) {
		emit_reply();
		EMIT(SET(1, ifindex), SET(2, 0), CALL(BPF_FUNC_redirect), EXIT());
		emit_pass();
	} else if (!strcmp(what, "pass")) {
		emit_pass();
	} else {
		fprintf(stderr, "xdptool: what is %s?\n", what);
		return 2;
	}
	attach(ifindex, load());
	return 0;
}
