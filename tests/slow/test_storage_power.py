"""A power cut at any moment loses nothing that was acknowledged: writes are recorded, and the disk is made again.

The writer runs under strace. For random moments the files are rebuilt as a disk might hold them then: what was
synced is kept; of the rest each write is dropped, kept, or kept in part by sectors of 512 bytes. The shared-memory
file is left out, as after a real cut. The rebuilt database must open, be sound, and hold every acknowledged turn.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from optical_memory.storage import Store

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("strace") is None, reason="strace records the writes: install it"),
]
SECTOR, POINTS, TURNS = 512, 300, 120

WRITER = f"""
import os, sys
from optical_memory.storage import NewPage, Store, owner
from tests.storage.makers import NOW, turn
store = Store(sys.argv[1])
for n in range({TURNS}):
    with store.write() as writer:
        thread = writer.append(writer.new_thread("t", NOW), [turn(f"turn {{n}} " + "x" * 700)], NOW)
        if n % 10 == 9:
            (page,) = writer.add_pages(thread, [NewPage(thread.branch_id, n - 8, n + 1, "vivid", 1, 1)], NOW)
            writer.put_views(page.id, "vivid", [(9, 9, bytes([n]) * 9000)])
    os.write(1, f"ACK {{n + 1}}\\n".encode())
os._exit(0)  # no tidy close: the power goes
"""
CALL = re.compile(r"^\d+ +(\w+)\((.*)\) += (-?\d+)")


@dataclass
class Disk:
    """The files as they surely are (`synced`), and what was written since (`pending`: offset and bytes)."""

    synced: dict[str, bytearray] = field(default_factory=dict)
    pending: dict[str, list[tuple[int, bytes]]] = field(default_factory=dict)

    def write(self, name: str, at: int, data: bytes) -> None:
        self.pending.setdefault(name, []).append((at, data))

    def sync(self, name: str) -> None:
        for at, data in self.pending.pop(name, []):
            put(self.synced.setdefault(name, bytearray()), at, data)

    def truncate(self, name: str, size: int) -> None:
        self.sync(name)  # in the order of the file; a cut right before it is the point before
        del self.synced.setdefault(name, bytearray())[size:]

    def remove(self, name: str) -> None:
        self.synced.pop(name, None)
        self.pending.pop(name, None)

    def after_cut(self, dice: random.Random) -> dict[str, bytes]:
        """What a disk may hold when the power goes now."""
        files = {name: bytearray(data) for name, data in self.synced.items()}
        for name, writes in self.pending.items():
            kind = dice.choice(("dropped", "any", "sectors"))
            for at, data in writes if kind != "dropped" else ():
                for start, part in torn(data, kind == "sectors"):
                    if dice.random() < 0.5:
                        put(files.setdefault(name, bytearray()), at + start, part)
        return {name: bytes(data) for name, data in files.items()}


def torn(data: bytes, by_sector: bool) -> list[tuple[int, bytes]]:
    size = SECTOR if by_sector else max(1, len(data))
    return [(start, data[start : start + size]) for start in range(0, len(data), size)]


def put(file: bytearray, at: int, data: bytes) -> None:
    file.extend(bytes(max(0, at - len(file))))
    file[at : at + len(data)] = data


def recorded(folder: Path) -> list[tuple[str, str, str]]:
    """The writer's system calls: name, arguments, result."""
    trace = folder / "trace"
    calls = "trace=openat,close,pwrite64,fsync,fdatasync,ftruncate,unlink,write"
    command = ["strace", "-f", "-xx", "-s", "70000", "-e", calls, "-o", str(trace)]
    command += [sys.executable, "-c", WRITER, str(folder / "memory.db")]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": os.getcwd()})
    found = (CALL.match(line) for line in trace.read_text().splitlines())
    return [match.groups() for match in found if match]  # type: ignore[misc]


def raw(text: str) -> bytes:
    return bytes.fromhex("".join(re.findall(r"\\x([0-9a-f]{2})", text)))


class Replay:
    """Follows the calls; `step` says how many turns are acknowledged after each."""

    def __init__(self) -> None:
        self.disk, self.names, self.acknowledged = Disk(), dict[str, str](), 0

    def step(self, call: str, given: str, result: str) -> None:
        if int(result) < 0:
            return
        if call == "openat":
            name = raw(given.split('"')[1]).decode()
            if "memory.db" in name and not name.endswith(("-shm", ".lock")):
                self.names[result] = Path(name).name
        elif call == "unlink":
            self.disk.remove(Path(raw(given).decode()).name)
        else:
            self._on_file(call, given)

    def _on_file(self, call: str, given: str) -> None:
        descriptor = given.split(",", maxsplit=1)[0]
        name = self.names.get(descriptor)
        if call == "write" and descriptor == "1" and (told := raw(given).decode()).startswith("ACK"):
            self.acknowledged = int(told.split()[1])
        elif name is None:
            return
        elif call == "pwrite64":
            self.disk.write(name, int(given.rsplit(", ", 1)[1]), raw(given.split('"')[1]))
        elif call in {"fsync", "fdatasync"}:
            self.disk.sync(name)
        elif call == "ftruncate":
            self.disk.truncate(name, int(given.split(", ")[1]))
        elif call == "close":
            del self.names[descriptor]


def test_a_power_cut_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    """300 cuts: sound, without gaps, every image right, every acknowledged turn there."""
    calls, dice = recorded(tmp_path), random.Random(5)
    points = set(dice.sample(range(len(calls)), POINTS))
    replay, tried, ahead = Replay(), 0, 0
    for at, (call, given, result) in enumerate(calls):
        replay.step(call, given, result)
        if at in points:
            stored = survives(tmp_path / f"cut {at}", replay.disk.after_cut(dice), replay.acknowledged)
            tried, ahead = tried + 1, ahead + (stored > replay.acknowledged)
    print(f"{tried} cuts in {len(calls)} calls, {replay.acknowledged} turns acknowledged, {ahead} cuts kept one more")
    assert (tried, replay.acknowledged) == (POINTS, TURNS)


def survives(folder: Path, files: dict[str, bytes], acknowledged: int) -> int:
    """The number of turns after the cut, once everything was checked."""
    folder.mkdir()
    for name, data in files.items():
        if not name.startswith("."):
            (folder / name).write_bytes(data)
    store = Store(str(folder / "memory.db"))
    assert store.check() == []
    with store.read() as reader:
        thread = reader.thread("t")
        rows = reader.turns(reader.path(thread)) if thread else []
    store.close()
    shutil.rmtree(folder)
    assert [row.text.split()[1] for row in rows] == [str(n) for n in range(len(rows))]
    assert acknowledged <= len(rows) <= acknowledged + 1
    return len(rows)
