# SPDX-License-Identifier: GPL-2.0-only
"""Runs in the guest: what Debian's python3-pyxs, a xenstore client that shares no code with Xen's, finds behind /dev/xen/xenbus."""
import copy
import errno
import sys
import threading

from pyxs import Client, PyXSError, Router
from pyxs.client import Monitor
from pyxs.connection import XenBusConnection

BASE = b"data/pyxs"


def error_of(call, *arguments):
    try:
        call(*arguments)
    except PyXSError as e:
        return e.args[0]
    return 0


def nodes(client):
    client[BASE] = b"top"
    client.mkdir(BASE + b"/empty")
    client[BASE + b"/long"] = b"x" * 2000
    assert client[BASE + b"/long"] == b"x" * 2000
    assert client[BASE + b"/empty"] == b""
    assert sorted(client.list(BASE)) == [b"empty", b"long"]
    assert [path for path, _, _ in client.walk(BASE)][0] == BASE
    del client[BASE + b"/long"]
    assert not client.exists(BASE + b"/long")
    domain = client.get_domain_path(int(client[b"domid"]))
    assert client[domain + b"/" + BASE] == b"top"
    assert client.get_perms(BASE)
    client.set_perms(BASE, [b"b" + client[b"domid"]])
    assert client.get_perms(BASE) == [b"b" + client[b"domid"]]


def refusals(client):
    assert error_of(client.read, BASE + b"/none") == errno.ENOENT
    assert error_of(client.write, b"/local/domain/0/pyxs", b"1") == errno.EACCES
    assert client[BASE] == b"top", "the connection goes on after a refusal"


def many_at_once(client):
    """One connection, eight threads, each with its own requests in flight."""
    wrong = []

    def ask(number):
        mine = copy.copy(client)
        path = BASE + b"/thread-%d" % number
        for i in range(40):
            mine[path] = b"%d.%d" % (number, i)
            if mine[path] != b"%d.%d" % (number, i):
                wrong.append(number)
    threads = [threading.Thread(target=ask, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def transactions(client):
    """Two at once on one connection: the second to commit has lost; one rolled back leaves nothing."""
    one, two = copy.copy(client), copy.copy(client)
    assert one.transaction() != two.transaction()
    one[BASE] = one[BASE] + b"-one"
    two[BASE] = two[BASE] + b"-two"
    assert client[BASE] == b"top"
    assert one.commit()
    assert not two.commit()
    assert client[BASE] == b"top-one"
    one.transaction()
    one[BASE + b"/gone"] = b"1"
    one.rollback()
    assert not client.exists(BASE + b"/gone")


def watches(client):
    """pyxs does without them on a XenBus, which was said to break the protocol; here they are by the protocol."""
    with Monitor(copy.copy(client)) as monitor:
        events = monitor.wait()
        monitor.watch(BASE, b"token")
        assert tuple(next(events)) == (BASE, b"token"), "each watch fires once when it is set"
        client[BASE + b"/watched"] = b"1"
        assert tuple(next(events)) == (BASE + b"/watched", b"token")
    assert not monitor.watched


def main():
    with Client(router=Router(XenBusConnection())) as client:
        assert client.router.connection.path == "/dev/xen/xenbus"
        for part in (nodes, refusals, many_at_once, transactions, watches):
            part(client)
            print(part.__name__, "ok", flush=True)
        del client[BASE]
    return 0


if __name__ == "__main__":
    sys.exit(main())
