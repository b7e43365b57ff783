# SPDX-License-Identifier: Apache-2.0
"""A serial line between two pseudo-terminals, for the end-to-end tests: what is written to one
end comes out of the other, unless the line is cut, noisy or echoing. A thread of the test."""

import errno
import os
import queue
import random
import select
import threading
import time
import tty

QUEUE = 1 << 16  # bytes under way to an end that does not read; more are lost, as on a line


class Wire:
    """`ends` are the two paths to open; they are links, and stay while devices come and go.
    With `baud` a character takes its time, 10 bits; without, none."""

    def __init__(self, folder, name, noise=0.0, echo=False, baud=0, seed=1):
        self.ends = [os.path.join(folder, f"{name}-{end}") for end in "ab"]
        self.noise, self.echo, self.baud = noise, echo, baud
        self.free = [0.0, 0.0]  # when each end's line has carried what is on it
        self.random = random.Random(seed)
        self.carried = [0, 0]  # bytes, by the end they came from
        self.masters, self.slaves = [], []
        self.pending = [b"", b""]
        self.orders, self.done = queue.Queue(), queue.Queue()
        self.wake = os.pipe()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        self.join()

    def join(self):
        """Plugs the line in."""
        self._order(self._join)

    def cut(self):
        """Both devices are gone, with what was under way."""
        self._order(self._cut)

    def close(self):
        self._order(None)
        self.thread.join()
        for handle in self.wake:
            os.close(handle)

    def _order(self, what):
        """The thread does it: nobody else may close what it waits for."""
        self.orders.put(what)
        os.write(self.wake[1], b"x")
        self.done.get()

    def _join(self):
        for end in self.ends:
            master, slave = os.openpty()
            tty.setraw(slave)  # nobody may echo before the device is opened
            os.set_blocking(master, False)
            self.masters.append(master)
            self.slaves.append(slave)
            os.symlink(os.ttyname(slave), end + ".new")
            os.rename(end + ".new", end)
        self.pending = [b"", b""]

    def _cut(self):
        for end in self.ends[:len(self.masters)]:
            os.unlink(end)
        for handle in self.masters + self.slaves:
            os.close(handle)
        self.masters, self.slaves = [], []

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        self.close()

    def _spoil(self, data):
        if not self.noise:
            return data
        out = bytearray()
        for byte in data:
            if self.random.random() < self.noise:
                kind = self.random.randrange(3)
                if kind == 0:
                    continue
                byte = self.random.randrange(256)
                if kind == 1:
                    out.append(byte)
            out.append(byte)
        return bytes(out)

    def _move(self, end):
        """What has arrived from one end is on its way to the other."""
        data = os.read(self.masters[end], 4096)
        self.carried[end] += len(data)
        targets = [1 - end] + ([end] if self.echo else [])
        for target in targets:
            self.pending[target] = (self.pending[target] + self._spoil(data))[:QUEUE]

    def _due(self, end):
        """How long the next bytes to this end are still on the line."""
        return max(0.0, self.free[end] - time.monotonic()) if self.baud else 0.0

    def _deliver(self, end):
        piece = self.pending[end][:16] if self.baud else self.pending[end]
        sent = os.write(self.masters[end], piece)
        self.pending[end] = self.pending[end][sent:]
        if self.baud:
            self.free[end] = max(self.free[end], time.monotonic() - 0.1) + sent * 10 / self.baud

    def _run(self):
        while True:
            waiting = [end for end in range(len(self.masters)) if self.pending[end]]
            writers = [self.masters[end] for end in waiting if not self._due(end)]
            wait = min((self._due(end) for end in waiting if self._due(end)), default=None)
            readable, writable, _ = select.select(self.masters + [self.wake[0]], writers, [], wait)
            for end, master in enumerate(self.masters):
                try:
                    if master in readable:
                        self._move(end)
                    if master in writable and self.pending[end]:
                        self._deliver(end)
                except OSError as error:
                    if error.errno not in (errno.EAGAIN, errno.EIO):
                        raise
            if self.wake[0] in readable:
                os.read(self.wake[0], 1)
                what = self.orders.get()
                (what or self._cut)()
                self.done.put(True)
                if what is None:
                    return
