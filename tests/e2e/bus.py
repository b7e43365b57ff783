# SPDX-License-Identifier: Apache-2.0
"""The bus program for tests: fwrecover_icmb_bus as a process, its nodes as raw terminals, its
statistics as dictionaries. Ends the one process it started."""
import json
import os
import select
import subprocess
import termios
import time

import lab as e2e
from lab import need

PROGRAM = os.path.join(e2e.BUILD, "fwrecover_icmb_bus")


def need_program():
    if not os.path.exists(PROGRAM):
        e2e.skip("fwrecover_icmb_bus is not part of this build")


class Node:
    """One end of the bus, as a program sees its serial line."""

    def __init__(self, path):
        self.path = path
        self.fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)

    def write(self, data):
        need(os.write(self.fd, data) == len(data), f"{self.path} did not take it all")

    def read(self, count, seconds=20):
        """So many characters, or those that came in that time."""
        got, end = b"", time.monotonic() + seconds
        while len(got) < count:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.fd], [], [], left)[0]:
                break
            got += os.read(self.fd, count - len(got))
        return got

    def flush(self):
        """Takes back what has not been sent."""
        termios.tcflush(self.fd, termios.TCOFLUSH)

    def close(self):
        os.close(self.fd)


class Bus:
    """`with Bus(folder, 3, "--speed", "10") as bus`: links in `folder`, always with --json."""

    def __init__(self, folder, nodes, *options):
        self.folder, self.count = folder, nodes
        self.process = subprocess.Popen(
            [PROGRAM, "--nodes", str(nodes), "--link", folder, "--json", *options],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.lines = []
        while not self.lines or self.lines[-1] != "ready":
            line = self.process.stdout.readline()
            need(line, "fwrecover_icmb_bus did not start")
            self.lines.append(line.strip())

    def path(self, node):
        return os.path.join(self.folder, f"node{node}")

    def open(self, node):
        """A node that is there: one that the program has noticed."""
        end = Node(self.path(node))
        stop = time.monotonic() + 20
        while not self.stats()["nodes"][node]["open"]:
            need(time.monotonic() < stop, f"node {node} was opened and is not there")
        return end

    def wait_closed(self, node):
        stop = time.monotonic() + 20
        while self.stats()["nodes"][node]["open"]:
            need(time.monotonic() < stop, f"node {node} was closed and is still there")

    def say(self, order):
        """An order; what it printed before "ok"."""
        self.process.stdin.write(order + "\n")
        self.process.stdin.flush()
        said = []
        while not said or said[-1] != "ok":
            line = self.process.stdout.readline()
            need(line, f"no answer to {order}")
            said.append(line.strip())
        return said[:-1]

    def stats(self):
        return json.loads(self.say("stats")[0])

    def quit(self):
        """The statistics at the end."""
        out, _ = self.process.communicate("quit\n", timeout=60)
        need(self.process.returncode == 0, f"the bus ended with {self.process.returncode}")
        return json.loads(out.strip().splitlines()[-1])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            stream.close()
