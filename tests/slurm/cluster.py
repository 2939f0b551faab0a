"""A Slurm of this machine alone: munged, slurmctld and a slurmd for each of some nodes, in one folder.

python -m tests.slurm.cluster FOLDER        # starts it, says what to export, and ends it with Ctrl-C
"""

from __future__ import annotations

import getpass
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "scontrol", "squeue")
NODES = 4
CONFIGURATION = """\
ClusterName=one
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock
CryptoType=crypto/munge
SlurmctldPort={port}
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmdSpoolDir={folder}/spool/%n
StateSaveLocation={folder}/state
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
JobRequeue=1
KillWait=20
MinJobAge=3600
SchedulerParameters=bf_interval=1
NodeName=n[1-{nodes}] NodeHostname={host} NodeAddr=127.0.0.1 Port=[{first}-{last}] CPUs=2 State=UNKNOWN
PartitionName=all Nodes=n[1-{nodes}] Default=YES MaxTime=INFINITE State=UP
"""


def why_not() -> str:
    """Why there can be no Slurm here; "" if there can."""
    path = f"{os.environ.get('PATH', '')}{os.pathsep}/usr/sbin"
    missing = [name for name in PROGRAMS if shutil.which(name, path=path) is None]
    return f"no Slurm: {', '.join(missing)} are not installed (make slurm)" if missing else ""


def _free_ports(count: int) -> int:
    """The first of so many ports in a row that nobody listens at."""
    for first in range(20000 + os.getpid() % 5000, 60000, count + 1):
        with suppress(OSError):
            for port in range(first, first + count):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
            return first
    raise OSError("no free ports")


@contextmanager
def cluster(folder: Path, nodes: int = NODES) -> Iterator[dict[str, str]]:
    """Run a Slurm for the block.

    Args:
        folder: Its keys, states and logs; every user must be able to enter it.
        nodes: How many, all of them this machine.

    Yields:
        The environment variables that name it.
    """
    for name in ("state", "spool"):
        (folder / name).mkdir(parents=True)
    key = folder / "munge.key"
    key.write_bytes(secrets.token_bytes(128))
    key.chmod(0o600)
    host, port = socket.gethostname().partition(".")[0], _free_ports(nodes + 1)
    about = {"folder": folder, "host": host, "user": getpass.getuser(), "nodes": nodes}
    ports = {"port": port, "first": port + 1, "last": port + nodes}
    conf = folder / "slurm.conf"
    conf.write_text(CONFIGURATION.format(**about, **ports))
    env = {"SLURM_CONF": str(conf), "PATH": f"{os.environ['PATH']}{os.pathsep}/usr/sbin"}
    munge = [f"--{name}={folder}/{file}" for name, file in MUNGE_FILES.items()]
    commands = [["munged", "--foreground", "--force", *munge], ["slurmctld", "-D", "-c", "-f", str(conf)]]
    commands += [["slurmd", "-D", "-N", f"n{k}", "-f", str(conf)] for k in range(1, nodes + 1)]
    running: list[subprocess.Popen[bytes]] = []
    try:
        for command in commands:
            log = (folder / f"{Path(command[0]).name}.{len(running)}.said").open("wb")
            running.append(subprocess.Popen(command, env=os.environ | env, stdout=log, stderr=log))
            time.sleep(1 if len(running) < 3 else 0)
        _await_nodes(env, nodes)
        yield env
    finally:
        subprocess.run(["scancel", "--user", getpass.getuser()], env=os.environ | env, capture_output=True)
        time.sleep(3)  # steps outlive the daemons that started them
        for process in reversed(running):
            process.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                process.wait(10)
            process.kill()


MUNGE_FILES = {
    "key-file": "munge.key",
    "socket": "munge.sock",
    "pid-file": "munged.pid",
    "log-file": "munged.log",
    "seed-file": "seed",
}


def _await_nodes(env: dict[str, str], nodes: int) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        shown = subprocess.run(
            ["sinfo", "-h", "-N", "-o", "%T"], env=os.environ | env, capture_output=True, text=True
        ).stdout.split()
        if shown == ["idle"] * nodes:
            return
        time.sleep(0.5)
    raise TimeoutError(f"the nodes are {shown}, not idle")


if __name__ == "__main__":
    with cluster(Path(sys.argv[1]).resolve()) as names:
        print("\n".join(f"export {name}={value}" for name, value in names.items()), flush=True)
        with suppress(KeyboardInterrupt):
            signal.pause()
