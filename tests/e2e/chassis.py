# SPDX-License-Identifier: Apache-2.0
"""BMCs of the laboratory on the bus: their configuration, bridge commands by ipmitool, and the
meter that holds what a recovery cost on the wire against what the line could bring at most."""
import os
import re
import time

import lab as e2e
from lab import need

BITS = 10  # of a character
# Data of a Read Blocks packet; what a reply has before its payload: completion code and cookie.
REQUEST, REPLY_HEAD = 14, 2


def icmb(bus, node, address, packet=None, extra=""):
    """The section that puts a BMC on the bus."""
    return f"""
icmb {{
    device = "{bus.path(node)}"
    {f"address = {address:#06x}" if address else ""}
    {f"packet = {packet}" if packet else ""}
    connector = "slot {node}"
    {extra}
}}
"""


def neighbour(name, address):
    """The section that makes a node of the bus a donor."""
    return f'donor "{name}" {{ icmb = {address:#06x} }}\n'


def bridge(bmc, *data, check=True, level="ADMINISTRATOR"):
    """A bridge command by ipmitool: the reply behind the completion code, or None."""
    run = bmc.ipmitool("raw", "0x02", *(f"{byte:#04x}" for byte in data), check=check, level=level)
    if run.returncode != 0:
        return None
    return bytes(int(byte, 16) for byte in run.stdout.split())


def wait_address(bmc, address=None, seconds=20):
    """The address on the bus, when there is one (or that one)."""
    end = time.monotonic() + seconds
    while True:
        if bridge(bmc, 0x00) == b"\x01":
            got = int.from_bytes(bridge(bmc, 0x02), "little")
            if address in (None, got):
                return got
        need(time.monotonic() < end, f"{bmc.name} has no address on the bus:\n{bmc.log}")
        time.sleep(0.1)


def assumed():
    """The constants of lib/link/icmb/assumed.h that are plain numbers."""
    text = e2e.read(os.path.join(e2e.SOURCE, "lib/link/icmb/assumed.h")).decode()
    return {name: int(value, 0)
            for name, value in re.findall(r"^#define ICMB_(\w+) +(0x\w+|\d+)\b", text, re.M)}


class Meter:
    """What a recovery cost on the bus, in characters, and what it might have cost at least."""

    def __init__(self, bus, packet):
        c = assumed()
        self.bus, self.packet = bus, packet
        self.gap, self.gap_reply = c["GAP"], c["GAP_REPLY"]
        escaped = len({c["START"], c["STOP"], c["HAND"], c["ESCAPE"]}) / 256
        around = c["HEADER"] + c["CHECKSUM"]  # what may need escapes; start and stop do not
        self.exchange = (2 * 2 + (2 * around + REQUEST + packet) * (1 + escaped) +
                         self.gap + self.gap_reply)
        self.block = packet - REPLY_HEAD
        self.before = bus.stats()
        # Bytes a second: whole blocks, one exchange after the other, and nothing else.
        characters = self.before["speed"] * self.before["baud"] / BITS
        self.limit = characters * self.block / self.exchange

    def stop(self, *statuses):
        """Called when the recovery is over, with the recipients' last words."""
        after = self.bus.stats()
        self.characters, self.packets, self.collisions = (
            after[key] - self.before[key] for key in ("characters", "packets", "collisions"))
        self.payload = sum(status.bytes_received for status in statuses)
        self.seconds = max(status.elapsed_ms for status in statuses) / 1000
        # Nearly every packet is a request or its reply, so that they share the gaps evenly.
        self.taken = self.characters + self.packets * (self.gap + self.gap_reply) / 2
        self.by_clock = self.payload / self.seconds / self.limit
        self.by_wire = self.payload / self.block * self.exchange / self.taken
        return self

    def __str__(self):
        return (f"{self.seconds:.2f} s, {self.characters} characters in {self.packets} packets "
                f"({self.collisions} collided); payload {self.payload} bytes, "
                f"{self.payload / self.seconds:.0f} B/s of {self.limit:.0f} that packets of "
                f"{self.packet} allow: {100 * self.by_clock:.1f} % by the clock, "
                f"{100 * self.by_wire:.1f} % by the wire's own account")
