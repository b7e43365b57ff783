# SPDX-License-Identifier: Apache-2.0
"""A laboratory of simulated BMCs for the end-to-end tests and the demo: real ipmi_sim processes
with our module on loopback, spoken to with real ipmitool. Everything lives in one temporary
folder and ends with the laboratory: only processes that it started itself are stopped, by their
pid. Tests in parallel do not meet: each has a loopback address of its own, made from its pid."""

import mmap
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

BUILD = os.path.abspath(os.environ.get("builddir", "."))
SOURCE = os.path.abspath(os.environ.get("srcdir", "."))
MODULE = os.path.join(BUILD, ".libs", "fwrecover_sim.so")
TOOL = os.path.join(BUILD, "fwrecover")
WITNESS = os.path.join(BUILD, ".libs", "witness.so")
IPMI_SIM = os.environ.get("IPMI_SIM") or "ipmi_sim"
OVMF = "/usr/share/OVMF"

COMPONENT = "8c3fd1a5-2f31-4c0e-9b6d-6f766d660001"
IANA = 32473
BASE = 0xC0
# lan.conf keeps 19 bytes of a password.
USER, PASSWORD = "ipmiusr", "a-19-byte-password!"
VARS_SIZE, FLASH_SIZE, BLOCK = 540672, 4194304, 4096

# Command numbers, states and pages of doc/WIRE.md.
GET_CAPABILITIES, START, ABORT, GET_STATUS, READ_PAGE = 0x00, 0x0B, 0x0C, 0x0D, 0x0F
CHECK, DRY_RUN, REPAIR = 0, 1, 2
STATES = ["idle", "checking", "negotiating", "holding", "hashing", "repairing", "verifying",
          "releasing", "trial", "backoff", "done", "failed"]
PAGE_LOG, PAGE_POLICY, PAGE_STATUS, PAGE_PEERS = range(4)
PING = bytes([6, 0, 0xFF, 6, 0, 0, 0x11, 0xBE, 0x80, 0, 0, 0])


def sanitizer():
    """The library that a build with AddressSanitizer has to find loaded; else nothing."""
    if not os.path.exists(MODULE) or b"libasan.so" not in read(MODULE):
        return ""
    run = subprocess.run(["gcc", "-print-file-name=libasan.so"], capture_output=True, text=True,
                         check=True)
    return os.path.realpath(run.stdout.strip())


class Failure(Exception):
    """A test failed; the text says how."""


def need(condition, text):
    if not condition:
        raise Failure(text)


def skip(reason):
    print(reason)
    sys.exit(77)


def need_programs(*extra):
    """Ends the test as skipped where something outside the project is missing."""
    for program in ("ipmitool", IPMI_SIM) + extra:
        if shutil.which(program) is None:
            skip(f"{program} is not installed")
    for file in (MODULE, TOOL):
        if not os.path.exists(file):
            skip(f"{os.path.basename(file)} is not part of this build")


def need_ovmf():
    for name in ("OVMF_VARS_4M.fd", "OVMF_CODE_4M.fd"):
        if not os.path.exists(os.path.join(OVMF, name)):
            skip(f"{OVMF}/{name} is not there: Debian package ovmf")


def ovmf(code="OVMF_CODE_4M.fd"):
    """The 4 MiB flash that QEMU boots from: variable store, then code."""
    flash = b""
    for name in ("OVMF_VARS_4M.fd", code):
        with open(os.path.join(OVMF, name), "rb") as file:
            flash += file.read()
    need(len(flash) == FLASH_SIZE, f"OVMF is {len(flash)} bytes, not 4 MiB")
    return flash


def read(path):
    with open(path, "rb") as file:
        return file.read()


def write(path, data, mode=0o644):
    with open(path, "wb" if isinstance(data, bytes) else "w") as file:
        file.write(data)
    os.chmod(path, mode)


SANITIZED = sanitizer()


class Status:
    """The detailed status page."""

    FIELDS = ("run tag sequence block_size blocks_total blocks_wrong blocks_fetched blocks_copied "
              "blocks_blank blocks_repaired blocks_refetched blocks_waived bytes_received "
              "bytes_preserved bad_block elapsed_ms log_start log_end").split()

    def __init__(self, page):
        self.state, self.reason, self.mode, self.donors = page[:4]
        values = struct.unpack("<I8s16I", page[4:80])
        for name, value in zip(self.FIELDS, values):
            setattr(self, name, value)

    @property
    def name(self):
        return STATES[self.state] if self.state < len(STATES) else str(self.state)


class Peer:
    """An entry of the peers page."""

    MEDIA = "local lan wlan bluetooth serial icmb".split()

    def __init__(self, entry):
        self.peer, medium, self.reason, flags, self.tag, self.bytes, self.rate, self.round_trip = (
            struct.unpack("<BBBB8sIIH", entry[:22]))
        self.medium = self.MEDIA[medium]
        self.asked, self.serving, self.dropped, self.carries = (
            bool(flags >> bit & 1) for bit in range(4))


class Witness:
    """The page shared with tests/e2e/witness.c in one process at a time: what it did, and where
    it is to stop."""

    FIELDS = ("count stop_at torn at_exit with_sendmsg keep_offset keep_length last foreign "
              "trespass").split()
    KINDS = "erase program sync record record-sync rename remove ask".split()

    def __init__(self, folder, flash, image, keep=VARS_SIZE):
        path = os.path.join(folder, "witness")
        write(path, bytes(4096), 0o600)
        with open(path, "r+b") as file:
            self.page = mmap.mmap(file.fileno(), 4096)
        self.environment = {
            "LD_PRELOAD": f"{SANITIZED}:{WITNESS}" if SANITIZED else WITNESS,
            "WITNESS_PAGE": path, "WITNESS_FLASH": flash, "WITNESS_IMAGE": image}
        self.set("keep_length", keep)

    def get(self, field):
        return struct.unpack_from("<Q", self.page, 8 * self.FIELDS.index(field))[0]

    def set(self, field, value):
        struct.pack_into("<Q", self.page, 8 * self.FIELDS.index(field), value)

    def reset(self, stop_at=0, torn=False):
        """Everything counted is forgotten; the next process stops where it is told to."""
        keep = self.get("keep_length")
        self.page[:] = bytes(4096)
        self.set("keep_length", keep)
        self.set("stop_at", stop_at)
        self.set("torn", torn)

    @property
    def kinds(self):
        return dict(zip(self.KINDS, struct.unpack_from(f"<{len(self.KINDS)}Q", self.page,
                                                       8 * len(self.FIELDS))))

    @property
    def last(self):
        return self.KINDS[self.get("last")]

    @property
    def writes(self):
        """Operations that changed the flash."""
        return self.kinds["erase"] + self.kinds["program"]

    def need_clean(self, who):
        need(self.get("foreign") == 0, f"{who} wrote {self.get('foreign')} foreign bytes")
        need(self.get("trespass") == 0,
             f"{who} wrote {self.get('trespass')} bytes where nothing may be written")


def has_stopped(process):
    """Whether the process was stopped by its witness since we last asked; it must not end."""
    state = os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOHANG | os.WNOWAIT)
    need(state is None or state.si_code == os.CLD_STOPPED, "a process ended that should not")
    if state is not None:
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOHANG)
    return state is not None


class Bmc:
    """One ipmi_sim process; its folder holds everything it reads and writes."""

    def __init__(self, lab, name, number):
        self.lab, self.name = lab, name
        self.folder = os.path.join(lab.folder, name)
        self.port = 20623 + number
        self.process = None
        self.machine = ""  # lines of lan.conf about a virtual machine
        # ipmi_sim's own leaks are none of ours; valgrind tells them apart, LeakSanitizer not.
        self.environment = ({"LD_PRELOAD": SANITIZED, "ASAN_OPTIONS": "detect_leaks=0"}
                            if SANITIZED else {})
        self.wrapper = []
        os.mkdir(self.folder)

    def path(self, name):
        return os.path.join(self.folder, name)

    @property
    def flash(self):
        return self.path("flash.bin")

    @property
    def log(self):
        path = self.path("bmc.log")
        return read(path).decode() if os.path.exists(path) else ""

    def configure(self, text, whole=False):
        """Writes the three files of a simulator; `text` is added to the module's, or is all
        of it."""
        write(self.path("board.conf"), text if whole else f"""
component {{
    uuid = "{COMPONENT}"
    manufacturer = 4753
    product = 3842
    hardware_revision = 1
}}
flash {{ file = "flash.bin" }}
store = "store"
log = "bmc.log"
{text}
""")
        write(self.path("lan.conf"), f"""
name "{self.name}"
set_working_mc 0x20
  startlan 1
    addr {self.lab.address} {self.port}
    priv_limit admin
    allowed_auths_callback none md2 md5 straight
    allowed_auths_user none md2 md5 straight
    allowed_auths_operator none md2 md5 straight
    allowed_auths_admin none md2 md5 straight
    guid a123456789abcdefa123456789abcd{self.port & 0xff:02x}
  endlan
  user 1 true "" "" user 10 none md2 md5 straight
  user 2 true "{USER}" "{PASSWORD}" admin 10 none md2 md5 straight
  user 3 true "fetch" "{PASSWORD}" user 10 none md2 md5 straight
{self.machine}
loadlib "{MODULE}" "{self.path('board.conf')}"
""", 0o600)
        write(self.path("bmc.emu"), """
mc_setbmc 0x20
mc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02
sel_enable 0x20 1000 0x0a
mc_enable 0x20
mc_add 0x30 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02
mc_enable 0x30
""")

    def donors(self, *others, suite=3):
        """Configuration lines that make others this BMC's donors."""
        write(self.path("password"), PASSWORD + "\n", 0o600)
        return "".join(f"""
donor "{other.name}" {{
    host = "{self.lab.address}"
    port = {other.port}
    user = "fetch"
    password_file = "password"
    suite = {suite}
}}
""" for other in others)

    def start(self, wait=True):
        command = self.wrapper + [IPMI_SIM, "-c", self.path("lan.conf"), "-f",
                                  self.path("bmc.emu"), "-s", self.path("state"), "-p"]
        need(not answers_ping(self.lab.address, self.port, 0.05),
             f"port {self.port} is somebody else's")
        with open(self.path("output"), "ab") as output:
            # Without -n the simulator reads commands: "quit" ends it with all its exit handlers.
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=output,
                                            stderr=subprocess.STDOUT,
                                            env={**os.environ, **self.environment})
        if wait:
            self.wait_ready()

    def wait_ready(self, seconds=60):
        end = time.monotonic() + seconds
        while not answers_ping(self.lab.address, self.port, 0.1):
            need(self.process.poll() is None,
                 f"{self.name} did not start:\n{self.output}")
            need(time.monotonic() < end, f"{self.name} does not answer:\n{self.output}")

    @property
    def output(self):
        return read(self.path("output")).decode(errors="replace")

    def kill(self):
        """As a power cut would."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        if self.process:
            self.process.wait()

    def ended(self, seconds):
        """The exit status of a simulator that ends by itself; 0 if it goes on."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            return 0

    def quit(self):
        """The orderly end; gives the exit status."""
        if self.process.poll() is None:
            self.process.stdin.write(b"quit\n")
            self.process.stdin.flush()
        return self.process.wait(120)

    # ---- IPMI ----

    def ipmitool_begin(self, *arguments, suite="3", level="ADMINISTRATOR"):
        return subprocess.Popen(
            ["ipmitool", "-I", "lanplus", "-C", suite, "-H", self.lab.address, "-p",
             str(self.port), "-U", USER, "-E", "-L", level, *arguments],
            env={**os.environ, "IPMI_PASSWORD": PASSWORD}, text=True, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def ipmitool(self, *arguments, check=True, **options):
        begun = self.ipmitool_begin(*arguments, **options)
        out, err = begun.communicate()
        run = subprocess.CompletedProcess(begun.args, begun.returncode, out, err)
        if check:
            need(run.returncode == 0, f"{self.name}: ipmitool {' '.join(arguments)}: {run.stderr}")
        return run

    def raw(self, command, data, **options):
        """An OEM command by `ipmitool raw`: the reply after the IANA number."""
        request = bytes([0x2E, BASE + command]) + IANA.to_bytes(3, "little") + data
        run = self.ipmitool("raw", *(f"0x{byte:02x}" for byte in request), **options)
        reply = bytes(int(byte, 16) for byte in run.stdout.split())
        if not options.get("check", True):
            return reply
        need(reply[:3] == IANA.to_bytes(3, "little"), f"no IANA number in {reply.hex()}")
        return reply[3:]

    def page(self, page, offset=0, length=900):
        reply = self.raw(READ_PAGE, struct.pack("<BBBBIH", 7, 0, page, 0, offset, length))
        need(reply[0] == 7, "cookie")
        return reply[2:]

    def status(self):
        return Status(self.page(PAGE_STATUS))

    def peers(self):
        page = self.page(PAGE_PEERS)
        count, size = page[0], page[1]
        need(len(page) == 4 + count * size, f"peers page of {len(page)} bytes")
        return [Peer(page[4 + i * size:4 + (i + 1) * size]) for i in range(count)]

    def short_status(self):
        """Get Status: state, reason, permille, fetched, reused, run."""
        reply = self.raw(GET_STATUS, bytes([9, 0]))
        need(reply[:2] == bytes([9, 0]), "cookie or slot")
        return struct.unpack("<BBHIII", reply[2:18])

    def begin(self, mode, run):
        reply = self.raw(START, struct.pack("<BBIB", 5, 0, run, mode))
        need(reply == bytes([5, 0]), f"Start answered {reply.hex()}")

    def wait_state(self, *names, seconds=120, every=0.05):
        end = time.monotonic() + seconds
        while True:
            status = self.status()
            if status.name in names:
                return status
            need(time.monotonic() < end,
                 f"{self.name} is still {status.name}, not {names}:\n{self.log}")
            time.sleep(every)

    def wait_log(self, text, seconds=60):
        end = time.monotonic() + seconds
        while text not in self.log:
            need(self.process.poll() is None, f"{self.name} ended:\n{self.output}")
            need(time.monotonic() < end, f'{self.name} never logged "{text}":\n{self.log}')
            time.sleep(0.02)


def run_client(program, arguments):
    """The output of somebody else's IPMI client; None where it is not installed."""
    path = shutil.which(program, path=os.environ["PATH"] + ":/usr/sbin")
    if path is None:
        return None
    run = subprocess.run([path, *arguments], capture_output=True, text=True, check=False,
                         stdin=subprocess.DEVNULL, timeout=60)
    return run.stdout.lower() + run.stderr


def answers_ping(address, port, seconds):
    """An RMCP presence ping (ASF 2.0 section 3.2.4.3)."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.settimeout(seconds)
        try:
            sock.connect((address, port))
            sock.send(PING)
            return len(sock.recv(64)) == 28
        except OSError:
            time.sleep(min(seconds, 0.01))
            return False


class Session15:
    """An IPMI 1.5 session without authentication: quick to ask Get Device ID often, and weak
    enough to be refused everything else."""

    def __init__(self, bmc):
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.settimeout(10)
        self.sock.connect((bmc.lab.address, bmc.port))
        self.id, self.sequence = 0, 0
        challenge = self.ask(0x39, bytes([0]) + USER.encode().ljust(16, b"\0"))
        self.id = struct.unpack_from("<I", challenge, 1)[0]
        session = self.ask(0x3A, bytes([0, 4]) + challenge[5:21] + struct.pack("<I", 1))
        self.id, self.sequence = struct.unpack_from("<II", session, 2)
        self.ask(0x3B, bytes([4]))

    def ask(self, command, data=b"", netfn=0x06, code=0):
        """One command, application by default; the reply from the completion code on."""
        reply = self.answer(command, data, netfn)
        need(reply[0] == code, f"command {command:02x}h: {reply.hex()}")
        return reply

    def answer(self, command, data, netfn=0x2E):
        head = bytes([0x20, netfn << 2])
        body = bytes([0x81, 0, command]) + data
        message = head + bytes([-sum(head) & 255]) + body + bytes([-sum(body) & 255])
        self.sock.send(bytes([6, 0, 0xFF, 7, 0]) + struct.pack("<IIB", self.sequence, self.id,
                                                              len(message)) + message)
        if self.sequence:
            self.sequence += 1
        reply = self.sock.recv(1024)[14:]
        need(reply[5] == command, f"command {command:02x}h: {reply.hex()}")
        return reply[6:-1]

    def close(self):
        self.ask(0x3C, struct.pack("<I", self.id))
        self.sock.close()


class Lab:
    """Use as `with Lab() as lab:`."""

    def __init__(self):
        pid = os.getpid()
        self.address = f"127.{1 + (pid >> 16) % 254}.{(pid >> 8) & 255}.{1 + (pid & 255) % 254}"
        self.folder = tempfile.mkdtemp(prefix="fwr-lab-")
        self.bmcs = []
        self.processes = []  # others that end with the laboratory

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        for bmc in self.bmcs:
            bmc.kill()
        for process in self.processes:
            process.kill()
            process.wait()
        shutil.rmtree(self.folder)

    def path(self, name):
        return os.path.join(self.folder, name)

    def bmc(self, name):
        self.bmcs.append(Bmc(self, name, len(self.bmcs)))
        return self.bmcs[-1]

    def tool(self, *arguments):
        run = subprocess.run([TOOL, *arguments], capture_output=True, text=True, check=False)
        need(run.returncode == 0, f"fwrecover {' '.join(arguments)}: {run.stdout}{run.stderr}")
        return run.stdout

    def key(self, name):
        """A release key and the trust set that believes it alone."""
        self.tool("key", "new", self.path(name + ".key"), self.path(name + ".pub"))
        self.tool("trust", "new", "-o", self.path(name + ".trust"), self.path(name + ".pub"))

    def image(self, name, flash, key, sequence, security_version=1, preserve=VARS_SIZE,
              extra=()):
        """Signs the flash content: NAME.raw and NAME.img, its envelope."""
        write(self.path(name + ".raw"), flash)
        self.tool("image", "create", "-o", self.path(name + ".img"), "-k",
                  self.path(key + ".key"), "-c", COMPONENT, "-m", "4753", "-p", "3842",
                  "--version", name, "--sequence", str(sequence), "--security-version",
                  str(security_version), *(("--preserve", f"0:{preserve}") if preserve else ()),
                  "--flash-size", str(len(flash)), *extra, self.path(name + ".raw"))

    def donor(self, name, flash, image, trust, extra=""):
        """A BMC that gives away what its own flash holds."""
        bmc = self.bmc(name)
        write(bmc.flash, flash)
        bmc.configure(f"""
roles = {{donor}}
trust = "{self.path(trust)}.trust"
installed = "{self.path(image)}.img"
{extra}
""")
        return bmc

    def victim(self, flash, donors, trust="release", extra="", preserve=VARS_SIZE):
        """A BMC that is to be repaired from the donors."""
        bmc = self.bmc("victim")
        write(bmc.flash, flash)
        bmc.configure(f"""
trust = "{self.path(trust)}.trust"
{f"preserve {{ offset = 0  length = {preserve} }}" if preserve else ""}
{bmc.donors(*donors)}
{extra}
""")
        return bmc


def damage(flash, seed, kinds=8):
    """A seeded pattern of damage outside the variable store, from one byte to many blocks."""
    state = seed * 2654435761 + 1

    def draw(below):
        nonlocal state
        state = (state * 6364136223846793005 + 1442695040888963407) % (1 << 64)
        return (state >> 33) % below

    flash = bytearray(flash)
    for _ in range(1 + draw(kinds)):
        length = (1, 17, BLOCK, 3 * BLOCK + 5, 64 * BLOCK)[draw(5)]
        start = VARS_SIZE + draw(FLASH_SIZE - VARS_SIZE - length)
        for at in range(start, start + length):
            flash[at] = flash[at] ^ 0xA5 if draw(3) else 0xFF
        flash[start] ^= 1
    return bytes(flash)


def bare_tool(witness=None):
    """The command itself, without libtool's script in front of it, and its environment."""
    program = os.path.join(BUILD, ".libs", "fwrecover")
    environment = {**os.environ, **(witness.environment if witness else {})}
    if not os.path.exists(program):
        return TOOL, environment
    return program, {**environment, "LD_LIBRARY_PATH": os.path.dirname(program)}


def main_parts(parts, at_once=3):
    """Runs the functions of a test, by name, side by side: each in a process and a laboratory of
    its own. Waiting for time-outs then costs little. Named arguments choose some of them."""
    sys.stdout.reconfigure(line_buffering=True)
    need_programs()
    if "--part" in sys.argv:
        main(parts[sys.argv[sys.argv.index("--part") + 1]])
        return
    options = [word for word in sys.argv[1:] if word.startswith("-")]
    waiting = [word for word in sys.argv[1:] if word in parts] or list(parts)
    running, failed = [], []
    try:
        while waiting or running:
            while waiting and len(running) < at_once:
                name = waiting.pop(0)
                with open(os.devnull, encoding="ascii") as nothing:
                    running.append((name, subprocess.Popen(
                        [sys.executable, "-B", sys.argv[0], *options, "--part", name],
                        stdin=nothing, stdout=subprocess.PIPE, text=True)))
            name, process = running.pop(0)
            print(process.communicate()[0], end="")
            if process.returncode == 77:
                sys.exit(77)
            if process.returncode != 0:
                failed.append(name)
    finally:
        for _, process in running:
            process.terminate()
            process.wait()
    if failed:
        print(f"failed: {', '.join(failed)}")
        sys.exit(1)


def main(test):
    """Runs a test function with a laboratory, and ends with what it says."""
    sys.stdout.reconfigure(line_buffering=True)
    need_programs()
    # So that nothing is left running when the harness loses its patience.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(99))
    with Lab() as lab:
        try:
            test(lab)
        except KeyboardInterrupt:
            sys.exit(99)
        except Failure as failure:
            print(f"FAILED: {failure}")
            for bmc in lab.bmcs:
                print(f"--- {bmc.name}'s log\n{bmc.log}")
            sys.exit(1)
