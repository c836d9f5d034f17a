"""A real Slurm on this machine: a controller and two virtual nodes of one core, no systemd.

Everything listens on the loopback device and lives in one folder. It needs root and Debian's
packages ``slurm-wlm`` and ``munge``, which it installs where ``apt-get`` is.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

PACKAGES = ("slurm-wlm", "munge", "libpmix2")
NODES = ("n1", "n2")
CONFIGURATION = """
ClusterName=tests
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
SlurmctldPort=26817
SrunPortRange=26900-26999
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=1,sched_interval=1,batch_sched_delay=0
MpiDefault=pmi2
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SwitchType=switch/none
ReturnToService=2
SlurmdParameters=config_overrides
KillWait=3
MinJobAge=600
SlurmdTimeout=30
InactiveLimit=0
JobRequeue=1
{nodes}
PartitionName=cpu Nodes={names} Default=YES MaxTime=INFINITE State=UP OverSubscribe=NO
"""


class Cluster:
    """The running daemons."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("state", *(f"spool-{node}" for node in NODES)):
            (folder / name).mkdir(parents=True)
        host = os.uname().nodename.split(".")[0]
        nodes = "\n".join(
            f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={26818 + n} CPUs=1 "
            f"RealMemory=4000"
            for n, node in enumerate(NODES)
        )
        configuration = CONFIGURATION.format(
            host=host, folder=folder, nodes=nodes, names=",".join(NODES)
        )
        (folder / "slurm.conf").write_text(configuration)
        self.environment = {"SLURM_CONF": str(folder / "slurm.conf")}

    def start(self) -> None:
        """Start what is not running, and wait until the nodes are idle."""
        start_munge()
        self.run("slurmctld")
        for node in NODES:
            self.run("slurmd", "-N", node)
        wait_for(lambda: self.run("sinfo", "-h", "-o", "%t %D").split() == ["idle", "2"], 60)

    def stop(self) -> None:
        """End all jobs and daemons."""
        self.run("scancel", "-u", "root")
        for name in ("slurmd-n1", "slurmd-n2", "slurmctld"):
            self.kill(name)

    def kill(self, daemon: str) -> None:
        """SIGKILL a daemon, as if the machine were gone."""
        file = self.folder / f"{daemon}.pid"
        if file.exists():
            number = int(file.read_text())
            try:
                os.kill(number, signal.SIGKILL)
            except ProcessLookupError:
                return

    def run(self, *command: str) -> str:
        """What a command prints; nothing if it fails."""
        done = subprocess.run(
            command,
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            timeout=60,
        )
        return done.stdout


def why_not() -> str:
    """Why there can be no Slurm here; empty if there can be. Installs it where that is possible."""
    if os.geteuid() != 0:
        return "Slurm's daemons need root"
    if shutil.which("slurmctld") and shutil.which("munged"):
        return ""
    if not shutil.which("apt-get"):
        return "Slurm is not installed, and there is no apt-get to install it with"
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (
        ["update", "-qq"],
        ["install", "-y", "-qq", "--no-install-recommends", *PACKAGES],
    ):
        done = subprocess.run(
            ["apt-get", *command], env=environment, capture_output=True, text=True
        )
        if done.returncode:
            return f"apt-get {command[0]} fails: {done.stderr.strip().splitlines()[-1:]}"
    return ""


def start_munge() -> None:
    """The daemon that vouches for users, unless it runs."""
    if subprocess.run(["munge", "-n"], capture_output=True).returncode == 0:
        return
    key = Path("/etc/munge/munge.key")
    for folder, mode in (("/run/munge", "0755"), ("/var/log/munge", "0700"),
                         ("/var/lib/munge", "0700"), ("/etc/munge", "0700")):  # fmt: skip
        subprocess.run(
            ["install", "-d", "-o", "munge", "-g", "munge", "-m", mode, folder], check=True
        )
    if not key.exists():
        key.write_bytes(os.urandom(128))
        shutil.chown(key, "munge", "munge")
        key.chmod(0o400)
    command = [
        "setpriv",
        "--reuid=munge",
        "--regid=munge",
        "--clear-groups",
        shutil.which("munged"),
    ]
    subprocess.run([part for part in command if part], check=True, capture_output=True)


def wait_for(condition, seconds: float, step: float = 0.2) -> None:
    """Until it is so."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not so after {seconds} s"
        time.sleep(step)
