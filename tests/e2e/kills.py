# SPDX-License-Identifier: Apache-2.0
"""One kill: a board with a damaged flash and its donors, a recovery, a process that is killed at
a given operation, and everything that must be so afterwards. Used by sim_kills for many of them.
The operations are counted by tests/e2e/witness.c in the process that recovers."""
import json
import os
import shutil
import signal
import struct
import subprocess
import time
import zlib

import lab as e2e
from lab import BLOCK, need

BATCH, LANES = 8, 2
SEQUENCE, SECURITY = 7, 3
PATIENCE = 120
BOOTED = "0x04 0x02 0x41 0x04 0x0f 0x01 0x6f 0xc2 0x13 0xff".split()
WRITES = ("erase", "program", "record")


# ---- what is repaired ----

def own_variables(good):
    """The board's variable store, which is no other board's."""
    own = bytearray(good)
    own[0x1000:0x1100] = b"this board's own variables      " * 8
    return bytes(own)


def damaged(flash):
    """40 blocks all over the chip, blank ones among them, but not the last: that is the guard
    block, and must not be seen whole again before all the others are."""
    blocks = range(e2e.VARS_SIZE // BLOCK, e2e.FLASH_SIZE // BLOCK - 1)
    full = [n for n in blocks if flash[n * BLOCK:(n + 1) * BLOCK] != b"\xff" * BLOCK]
    blank = sorted(set(blocks) - set(full))
    flash = bytearray(flash)
    for n in full[::len(full) // 30][:30] + blank[::len(blank) // 10][:10]:
        for at in range(n * BLOCK, n * BLOCK + 64):
            flash[at] ^= 0x5A
    return bytes(flash)


def record(store, kind):
    """What a record of the directory store holds (lib/store/dir.c); None when there is none."""
    found = []
    for copy in "ab":
        path = os.path.join(store, f"{kind}-0.{copy}")
        data = e2e.read(path) if os.path.exists(path) else b""
        if len(data) < 28 or data[:4] != b"FWRS":
            continue
        length, counter, check = struct.unpack_from("<IQI", data, 12)
        content = data[28:28 + length]
        if check == zlib.crc32(data[:24] + content):
            found.append((counter, content))
    return max(found)[1] if found else None


def floors(store):
    """Security version and sequence in the board's store; None: none yet."""
    found = record(store, "floors")
    return None if found is None else struct.unpack_from("<II", found, 17)


def forget(path):
    if os.path.exists(path):
        os.remove(path)


# ---- the board and its donors ----

class Ground:
    """Donors and a board, used for one kill after the other. A kill_… method gives a row of the
    table: who, the operation, what the recovery was at, which operation was to come, blocks still
    wrong then, blocks fetched twice, milliseconds from the kill to the repaired flash."""

    def __init__(self, lab):
        self.lab = lab
        self.good = own_variables(e2e.ovmf())
        self.before = damaged(self.good)
        lab.key("release")
        lab.image("v7", e2e.ovmf(), "release", SEQUENCE, SECURITY)
        self.donors = [lab.donor(name, e2e.ovmf(), "v7", "release", "serve { transfers = 16 }")
                       for name in ("alpha", "beta")]
        self.victim = lab.victim(self.before, [])
        self.store = self.victim.path("store")
        self.witness = e2e.Witness(lab.folder, self.victim.flash, lab.path("v7.raw"))
        self.password = lab.path("password")
        e2e.write(self.password, e2e.PASSWORD + "\n", 0o600)
        self.boards = 0

    @staticmethod
    def start_donor(donor):
        forget(donor.path("bmc.log"))
        donor.start()
        donor.wait_log("verified and offered")

    def new_board(self, donors, itself=True, boot_proof=0):
        """As it left the factory, but with a damaged flash; not started."""
        victim = self.victim
        victim.kill()
        # Each death leaves a transfer and a session, which keep their places for half a minute.
        if self.boards % 10 == 0:
            for donor in self.donors:
                donor.kill()
                self.start_donor(donor)
        self.boards += 1
        shutil.rmtree(self.store, ignore_errors=True)
        forget(victim.path("bmc.log"))
        e2e.write(victim.flash, self.before)
        victim.configure(f"""
trust = "{self.lab.path('release')}.trust"
preserve {{ offset = 0  length = {e2e.VARS_SIZE} }}
recovery {{
    lanes = {LANES}
    batch = {BATCH}
    rounds = 255
    backoff_ms = 100
    boot_proof = {boot_proof}
}}
start {{ scan = {str(itself).lower()}  repair = true }}
{victim.donors(*donors)}
""")
        victim.environment = self.witness.environment

    # ---- watching ----

    def stopped(self, process, over):
        """Until the witness stops the process: true; or it is over without: false."""
        end = time.monotonic() + PATIENCE
        while not e2e.has_stopped(process):
            if over():
                return False
            need(time.monotonic() < end, f"neither stopped nor repaired:\n{self.victim.log}")
            time.sleep(0.002)
        return True

    def repaired(self):
        return "done: " in self.victim.log

    def rest(self, *states):
        """Waits until the board has nothing left to do; `states` besides that may be reached."""
        end = time.monotonic() + PATIENCE
        while True:
            status = self.victim.status()
            if status.name in states or status.name == "done" and status.reason == 0:
                return status
            need(status.name != "failed" and time.monotonic() < end,
                 f"{status.name}, reason {status.reason}:\n{self.victim.log}")
            time.sleep(0.02)

    def check_whole(self):
        need(e2e.read(self.victim.flash) == self.good, "the flash is not as expected")
        need(floors(self.store) == (SECURITY, SEQUENCE), f"the floors are {floors(self.store)}")
        self.witness.need_clean("the recovery")

    def state(self, log):
        """What the recovery was at, from the last words of its log."""
        said = [("done:", "done"), ("host released", "confirming"),
                ("root verified", "committing"), ("writing begins", "writing"),
                ("host held", "hashing"), ("asking ", "negotiating"), ("provisioned", "scanning")]
        latest = max(said, key=lambda pair: log.rfind(pair[0]))
        return latest[1] if latest[0] in log else "provisioning"

    def operation(self, torn):
        kind = self.witness.last
        return kind + " torn" if torn and kind in WRITES else kind

    def corpse(self):
        """What a power cut would leave now: gives the blocks that are still wrong."""
        flash = e2e.read(self.victim.flash)
        need(flash[:e2e.VARS_SIZE] == self.good[:e2e.VARS_SIZE], "the variables were written to")
        wrong = [at for at in range(0, len(flash), BLOCK)
                 if flash[at:at + BLOCK] != self.good[at:at + BLOCK]]
        if flash[:-BLOCK] != self.before[:-BLOCK] and wrong:
            need(flash[-BLOCK:] != self.good[-BLOCK:], "half an image stood with its guard block")
        if wrong:
            need(floors(self.store) is None, "the floors rose too early")
        return wrong

    def again(self, fetched, wrong, guard_kept):
        """Blocks that came a second time although the flash already held them: what the journal
        named as in flight. A guard block in the store need not come again."""
        needed = sum(self.good[at:at + BLOCK] != b"\xff" * BLOCK for at in wrong
                     if not (guard_kept and at == len(self.good) - BLOCK))
        twice = max(0, fetched - needed)
        need(twice <= BATCH, f"{twice} blocks were fetched again, at most {BATCH} are in flight")
        return twice

    def row(self, who, point, state="done", kind="", wrong="", twice=0, since=None):
        return {"who": who, "point": point, "operations": self.witness.get("count"),
                "state": state, "kind": kind, "wrong": wrong, "twice": twice,
                "ms": round(1000 * (time.monotonic() - since)) if since else 0}

    # ---- the board dies ----

    def revive(self, who, point, torn, *states):
        """Kills the board where it stands and lets it come back."""
        kind, state = self.operation(torn), self.state(self.victim.log)
        self.victim.kill()
        since = time.monotonic()
        wrong = self.corpse()
        guard_kept = record(self.store, "guard") is not None
        self.victim.start()
        status = self.rest(*states)
        twice = self.again(status.blocks_fetched, wrong, guard_kept)
        return self.row(who, point, state, kind, len(wrong), twice, since)

    def kill_victim(self, point, torn):
        self.new_board(self.donors)
        self.witness.reset(point, torn)
        self.victim.start(wait=False)
        if self.stopped(self.victim.process, self.repaired):
            row = self.revive("victim", point, torn)
        else:
            row = self.row("victim", point)
        self.victim.wait_ready()
        self.rest()
        self.check_whole()
        return row

    def kill_trial(self, point, torn):
        """Points count from the end of the repair: what follows is the trial's own."""
        self.new_board(self.donors, boot_proof=600)
        self.witness.reset()
        self.victim.start(wait=False)
        self.stopped(self.victim.process, lambda: "host released" in self.victim.log)
        self.rest("trial")
        need(floors(self.store) is None, "the floors rose before the boot was proven")
        base = self.witness.get("count")
        self.witness.set("torn", torn)
        self.witness.set("stop_at", base + point)
        proof = self.victim.ipmitool_begin("raw", *BOOTED)
        if point and self.stopped(self.victim.process, self.repaired):
            row = self.revive("trial", point, torn, "trial")
        else:
            row = self.row("trial", point)
        proof.kill()
        proof.communicate()
        if self.rest("trial").name == "trial":
            self.victim.ipmitool("raw", *BOOTED)
        self.rest()
        self.check_whole()
        return {**row, "operations": self.witness.get("count") - base}

    # ---- a donor dies ----

    def serving(self, donors, log):
        """The donor that was accepted last, else the first."""
        names = [line.split("accepting ")[1].split(":")[0] for line in log.splitlines()
                 if "accepting " in line]
        return next((d for d in donors if names and d.name == names[-1]), donors[0])

    def kill_donor(self, point, torn, who="donor"):
        donors = self.donors[:1] if who == "only" else self.donors
        self.new_board(donors)
        self.witness.reset(point)
        self.victim.start(wait=False)
        donor, since, state, kind = None, None, "done", ""
        if self.stopped(self.victim.process, self.repaired):
            kind, state = self.operation(False), self.state(self.victim.log)
            donor = self.serving(donors, self.victim.log)
            donor.kill()
            since = time.monotonic()
            self.victim.process.send_signal(signal.SIGCONT)
            if who == "only":
                time.sleep(0.3)
                self.start_donor(donor)
        self.victim.wait_ready()
        twice = self.rest().blocks_refetched
        row = self.row(who, point, state, kind, "", twice, since)
        self.check_whole()
        if donor is not None and who != "only":
            self.start_donor(donor)
        return row

    def kill_only(self, point, torn):
        return self.kill_donor(point, torn, "only")

    # ---- a pushed repair ----

    def push(self):
        return self.tool("push", "-H", f"{self.lab.address}:{self.victim.port}", "-U",
                         e2e.USER, "-f", self.password, "-C", "3", self.lab.path("v7.img"),
                         self.lab.path("v7.raw"))

    def kill_push(self, point, torn):
        """The board dies while a console pushes; the console, deaf to that, is killed as well."""
        self.new_board([], itself=False)
        self.victim.start()
        self.witness.reset(point, torn)
        console = self.push()
        if self.stopped(self.victim.process, lambda: console.poll() is not None):
            kind, state = self.operation(torn), self.state(self.victim.log)
            self.victim.kill()
            since = time.monotonic()
            self.ended(console, signal.SIGKILL)
            wrong = self.corpse()
            guard_kept = record(self.store, "guard") is not None
            self.victim.start()
            # With nothing wrong left it finishes by itself and wants nothing pushed.
            if wrong:
                self.ended(self.push())
            status = self.rest()
            row = self.row("push", point, state, kind, len(wrong),
                           self.again(status.blocks_fetched, wrong, guard_kept), since)
        else:
            self.ended(console)
            row = self.row("push", point)
            self.rest()
        self.check_whole()
        return row

    # ---- the tools ----

    def tool(self, *arguments, name="tool", witness=None):
        """fwrecover in the background; what it says is in NAME.out and NAME.err."""
        program, environment = e2e.bare_tool(witness)
        with open(self.lab.path(name + ".out"), "wb") as out, \
                open(self.lab.path(name + ".err"), "wb") as err:
            process = subprocess.Popen([program, *arguments], stdin=subprocess.DEVNULL, stdout=out,
                                       stderr=err, env=environment)
        self.lab.processes.append(process)
        return process

    def said(self, name="tool.err"):
        return e2e.read(self.lab.path(name)).decode(errors="replace")

    def ended(self, process, kill=None):
        """Ends a tool, or waits for its good end."""
        if kill:
            process.send_signal(kill)
        status = process.wait(PATIENCE)
        self.lab.processes.remove(process)
        need(kill or status == 0, f"a tool ended with {status}:\n{self.said()}")

    def recover(self, ports):
        return self.tool("recover", "--json", "-t", self.lab.path("release.trust"), "-s",
                         self.store, "--component", e2e.COMPONENT, "-m", "4753", "-p", "3842",
                         "-r", "1", "--preserve", f"0:{e2e.VARS_SIZE}", "-U", "fetch", "-f",
                         self.password, "-C", "3", "--lanes", str(LANES), "--rounds", "254",
                         *(word for port in ports for word in ("-d", f"{self.lab.address}:{port}")),
                         self.victim.flash, witness=self.witness)

    def recovered(self, tool):
        self.ended(tool)
        return json.loads(self.said("tool.out"))

    def new_flash(self, point, torn):
        self.new_board([])
        os.mkdir(self.store, 0o700)
        self.witness.reset(point, torn)
        self.witness.set("with_sendmsg", 1)

    def stopped_tool(self, tool):
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            state = os.waitid(os.P_PID, tool.pid,
                              os.WSTOPPED | os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if state is not None:
                return state.si_code == os.CLD_STOPPED and e2e.has_stopped(tool)
            time.sleep(0.002)
        raise e2e.Failure(f"neither stopped nor ended:\n{self.said()}")

    def kill_recover(self, point, torn):
        ports = [donor.port for donor in self.donors]
        self.new_flash(point, torn)
        tool = self.recover(ports)
        if self.stopped_tool(tool):
            kind, state = self.operation(torn), self.state(self.said())
            self.ended(tool, signal.SIGKILL)
            since = time.monotonic()
            wrong = self.corpse()
            guard_kept = record(self.store, "guard") is not None
            report = self.recovered(self.recover(ports))
            twice = self.again(report["blocks_fetched"], wrong, guard_kept)
            row = self.row("recover", point, state, kind, len(wrong), twice, since)
        else:
            self.recovered(tool)
            row = self.row("recover", point)
        self.check_whole()
        return row

    def serve(self, name):
        """A console that gives the image away; its process and port."""
        process = self.tool("serve", "-t", self.lab.path("release.trust"), "-l",
                            f"{self.lab.address}:0", "-U", "fetch", "-f", self.password, "-C", "3",
                            self.lab.path("v7.img"), self.lab.path("v7.raw"), name=name)
        end = time.monotonic() + PATIENCE
        while "serving" not in self.said(name + ".out"):
            need(process.poll() is None and time.monotonic() < end,
                 f"serve did not start:\n{self.said(name + '.err')}")
            time.sleep(0.005)
        return process, int(self.said(name + ".out").split(":")[-1])

    def kill_serve(self, point, torn):
        self.new_flash(point, False)
        serving = [self.serve(name) for name in ("one", "two")]
        tool = self.recover([port for _, port in serving])
        kind, state, since = "", "done", None
        if self.stopped_tool(tool):
            kind, state = self.operation(False), self.state(self.said())
            # Named by its address, the one that was accepted last is the one in use.
            accepted = [line for line in self.said().splitlines() if line.startswith("accepting ")]
            used = [each for each in serving if accepted and f":{each[1]}:" in accepted[-1]]
            dead = (used or serving)[0]
            serving.remove(dead)
            self.ended(dead[0], signal.SIGKILL)
            since = time.monotonic()
            tool.send_signal(signal.SIGCONT)
        report = self.recovered(tool)
        row = self.row("serve", point, state, kind, "", report["blocks_refetched"], since)
        self.check_whole()
        for process, _ in serving:
            self.ended(process, signal.SIGTERM)
        return row
