# SPDX-License-Identifier: Apache-2.0
"""Network namespaces with cables between them (veth pairs), and a bad road: a relay for datagrams
that loses, delays, reorders, repeats and refuses those that are too long, by a seed. Names come from
the process id, and everything is taken away again; nothing leaves these namespaces."""

import ctypes
import errno
import heapq
import os
import random
import select
import socket
import subprocess
import threading
import time
from contextlib import contextmanager, nullcontext

CLONE_NEWNET = 0x40000000
LIBC = ctypes.CDLL(None, use_errno=True)


def run_ip(*words):
    """`ip` with these arguments; None, or what it complained of."""
    run = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    return None if run.returncode == 0 else run.stderr.strip() or f"status {run.returncode}"


@contextmanager
def inside(namespace):
    """Sockets and processes made meanwhile, by this thread, belong to the namespace."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    there = os.open(f"/run/netns/{namespace}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if LIBC.setns(there, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")
        yield
    finally:
        if LIBC.setns(home, CLONE_NEWNET) != 0:
            os._exit(99)  # never go on in the wrong place
        os.close(home)
        os.close(there)


class Net:
    """Namespaces, by short names; use as `with Net() as net:`."""

    def __init__(self):
        self.names = {}

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        for name in self.names.values():
            run_ip("netns", "delete", name)

    def add(self, short):
        """Makes one; None, or why not."""
        name = f"fwr{os.getpid()}{short}"
        complaint = run_ip("netns", "add", name)
        if complaint is None:
            self.names[short] = name
            complaint = self.ip(short, "link", "set", "lo", "up")
        return complaint

    def ip(self, short, *words):
        return run_ip("-n", self.names[short], *words)

    def must(self, short, *words):
        complaint = self.ip(short, *words)
        if complaint is not None:
            raise OSError(errno.EINVAL, f"ip {' '.join(words)}: {complaint}")

    def cable(self, one, other, network, mtu=1500):
        """Joins (namespace, interface) twice: the first has address NETWORK.1, the second .2."""
        self.must(one[0], "link", "add", one[1], "type", "veth", "peer", "name", other[1], "netns",
                  self.names[other[0]])
        for (short, interface), host in ((one, 1), (other, 2)):
            self.must(short, "addr", "add", f"{network}.{host}/24", "brd", "+", "dev", interface)
            self.must(short, "link", "set", interface, "mtu", str(mtu), "up")

    def inside(self, short):
        return inside(self.names[short])


class Here:
    """In the place of a Net, where no namespaces are needed."""

    @staticmethod
    def inside(_short):
        return nullcontext()


class Relay(threading.Thread):
    """A bad road between (namespace, address, port) and another such: it listens at the first, and
    sends on to the second from a socket of its own for each who calls. While it is `cut` nothing
    comes through, and nobody is told."""

    def __init__(self, net, near, far, seed, loss=0.0, delay=(0.0, 0.0), repeat=0.0, longest=None):
        super().__init__(daemon=True)
        self.net, self.far = net, far
        self.draw = random.Random(seed)
        self.loss, self.delay, self.repeat, self.longest = loss, delay, repeat, longest
        self.counts = dict.fromkeys(("came", "lost", "refused", "repeated", "overtaken"), 0)
        self.bytes = self.largest = 0
        self.waiting, self.order, self.last = [], 0, {}
        self.callers = {}  # our socket to the far side -> who calls
        self.ways = {}
        self.over = self.cut = False
        with net.inside(near[0]):
            self.near = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.near.bind((near[1], near[2]))

    def take(self, data, way, send):
        """One datagram, whatever becomes of it."""
        self.counts["came"] += 1
        self.bytes += len(data)
        self.largest = max(self.largest, len(data))
        if self.longest is not None and len(data) > self.longest:
            self.counts["refused"] += 1
            return
        if self.cut or self.draw.random() < self.loss:
            self.counts["lost"] += 1
            return
        copies = 1
        if self.draw.random() < self.repeat:
            self.counts["repeated"] += 1
            copies = 2
        for _ in range(copies):
            due = time.monotonic() + self.draw.uniform(*self.delay)
            self.counts["overtaken"] += due < self.last.get(way, 0)
            self.last[way] = max(due, self.last.get(way, 0))
            self.order += 1
            heapq.heappush(self.waiting, (due, self.order, data, send))

    def way_of(self, caller):
        if caller not in self.ways:
            with self.net.inside(self.far[0]):
                sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                sock.connect((self.far[1], self.far[2]))
            self.ways[caller] = sock
            self.callers[sock] = caller
        return self.ways[caller]

    @staticmethod
    def try_send(send, data):
        try:
            send(data)
        except OSError:
            pass  # nobody there, just now

    def run(self):
        while not self.over:
            wait = 0.05
            if self.waiting:
                wait = min(wait, max(0, self.waiting[0][0] - time.monotonic()))
            for sock in select.select([self.near, *self.callers], [], [], wait)[0]:
                try:
                    data, source = sock.recvfrom(65536)
                except OSError:
                    continue
                if sock is self.near:
                    self.take(data, "there", self.way_of(source).send)
                else:
                    back = self.callers[sock]
                    self.take(data, "back", lambda data, to=back: self.near.sendto(data, to))
            while self.waiting and self.waiting[0][0] <= time.monotonic():
                _, _, data, send = heapq.heappop(self.waiting)
                self.try_send(send, data)

    def stop(self):
        self.over = True
        self.join()
        for sock in (self.near, *self.callers):
            sock.close()

    def __str__(self):
        return ", ".join(f"{count} {what}" for what, count in self.counts.items()) + \
            f"; {self.bytes} bytes, the largest datagram {self.largest}"
