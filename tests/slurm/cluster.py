"""A throw-away SLURM of several nodes on this machine: loopback only, no systemd, no cgroups, gone when its owner is.

`/etc/slurm/slurm.conf` is a link that exists only while the cluster is up. It has to be there, because the jobstep
plugin strips SLURM_CONF from the environment of its inner `srun`; and it must not stay, because with a dead controller
every call of Snakemake waits nine seconds for it.
"""

import fcntl
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

NODES = ("n1", "n2", "n3")
LINK = Path("/etc/slurm/slurm.conf")
PORT = 17000
NAME = "scaling-lab-test"

SLURM_CONF = """\
ClusterName={name}
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={root}/munge/socket
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SlurmdParameters=config_overrides
DefMemPerCPU=500
ReturnToService=2
StateSaveLocation={root}/state
SlurmdSpoolDir={root}/spool.%n
SlurmctldPidFile={root}/run/slurmctld.pid
SlurmdPidFile={root}/run/slurmd.%n.pid
SlurmctldLogFile={root}/log/slurmctld.log
SlurmdLogFile={root}/log/slurmd.%n.log
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
SlurmdTimeout=15
MessageTimeout=30
KillWait=5
MinJobAge=300
SchedulerParameters=bf_interval=2,sched_interval=2
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
GresTypes=gpu
{accounting}
NodeName=n[1-3] NodeHostname={host} NodeAddr=127.0.0.1 Port=[{ports}] CPUs=4 RealMemory=16000 Gres=gpu:2
PartitionName=cpu Nodes=n[1-3] Default=YES DefaultTime=10 PriorityTier=1 State=UP
PartitionName=urgent Nodes=n[1-3] DefaultTime=10 PriorityTier=10 State=UP
"""

NO_ACCOUNTING = "AccountingStorageType=accounting_storage/none\nJobAcctGatherType=jobacct_gather/none"

ACCOUNTING = """\
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=localhost
AccountingStoragePort={port}
AccountingStoragePass={root}/munge/socket
AccountingStorageTRES=gres/gpu
AccountingStoreFlags=job_comment
JobAcctGatherType=jobacct_gather/linux"""

SLURMDBD_CONF = """\
AuthType=auth/munge
AuthInfo=socket={root}/munge/socket
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort={port}
SlurmUser=root
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={database_port}
StorageUser=slurm
StoragePass=slurm
StorageLoc=slurm_acct_db
PidFile={root}/run/slurmdbd.pid
LogFile={root}/log/slurmdbd.log
"""


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 120) -> None:
    """Poll until `condition` holds.

    Raises:
        TimeoutError: naming `what` was waited for.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds:.0f} s: {what}")
        time.sleep(0.1)


def call(*command: str, check: bool = True, conf: Path | None = None) -> str:
    """Standard output of a command that must succeed; `conf` is a configuration beside which it finds others."""
    environment = os.environ | ({"SLURM_CONF": str(conf)} if conf else {})
    result = subprocess.run(command, text=True, capture_output=True, check=False, timeout=300, env=environment)
    if check and result.returncode:
        raise RuntimeError(f"{' '.join(command)}: {result.stderr.strip()}")
    return result.stdout


@dataclass(frozen=True)
class Cluster:
    """Three nodes of 4 processors and 2 pretended GPUs, with partitions `cpu` and `urgent`, which preempts it."""

    root: Path
    accounting: bool = False

    @property
    def conf(self) -> Path:
        """slurm.conf, with gres.conf beside it."""
        return self.root / "etc" / "slurm.conf"

    def start(self) -> None:
        """Start everything; what an owner that was killed left behind is stopped first."""
        if LINK.exists() and not LINK.is_symlink():
            raise RuntimeError(f"{LINK} is not ours: this machine has a SLURM of its own")
        self.stop()
        for folder in ("etc", "run", "log", "state", "munge"):
            (self.root / folder).mkdir(parents=True)
        self._start_munge()
        self._write_configuration()
        if self.accounting:
            self._start_accounting()
        LINK.unlink(missing_ok=True)
        LINK.symlink_to(self.conf)
        self.start_controller()
        for node in NODES:
            self.start_node(node)
        self.wait_until_idle()

    def wait_until_idle(self) -> None:
        """Until no node has a job, and all are up."""
        wait_until(lambda: list(self.nodes().values()) == ["idle"] * len(NODES), "all nodes idle", 180)

    def stop(self) -> None:
        """End what uses the cluster and every daemon that a pid file names; remove the link and the folder."""
        if LINK.is_symlink() and LINK.readlink().is_relative_to(self.root):
            self.clear()
            LINK.unlink()
        for path in sorted((self.root / "run").glob("*.pid"), key=_stopping_order):
            with suppress(FileNotFoundError):  # a daemon that ends well removes its own
                if text := path.read_text().strip():
                    _end(int(text))
        shutil.rmtree(self.root, ignore_errors=True)

    def clear(self) -> None:
        """End what uses the cluster: each Snakemake, each job, and what they started and left (no cgroups)."""
        for path in (self.root / "run").glob("*.user"):
            with suppress(ProcessLookupError):
                os.killpg(int(path.name.removesuffix(".user")), signal.SIGKILL)
            path.unlink()
        call("timeout", "5", "scancel", "--user=root", check=False)
        for process in processes_with(f"SLURM_CLUSTER_NAME={NAME}"):
            _kill(process)

    def note_user(self, group: int) -> None:
        """Remember a process group that uses the cluster: it is ended with it, also when its owner is killed."""
        (self.root / "run" / f"{group}.user").touch()

    def start_controller(self) -> None:
        """Start slurmctld from its saved state."""
        call("slurmctld", conf=self.conf)
        wait_until(lambda: "UP" in call("scontrol", "ping", check=False), "slurmctld answers")

    def stop_controller(self) -> None:
        """Stop slurmctld as its service would."""
        _end(int((self.root / "run" / "slurmctld.pid").read_text()))

    def controller_cpu_s(self) -> float:
        """Processor seconds that slurmctld has spent."""
        pid = (self.root / "run" / "slurmctld.pid").read_text().strip()
        user, system = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def start_node(self, node: str) -> None:
        """Start the slurmd of a node."""
        call("slurmd", "-N", node, conf=self.conf)

    def lose_node(self, node: str) -> None:
        """Kill a node's daemon and everything that runs on it, as a power cut would."""
        daemon = int((self.root / "run" / f"slurmd.{node}.pid").read_text())
        os.kill(daemon, signal.SIGKILL)
        for job in call("squeue", "--noheader", f"--nodelist={node}", "--format=%i").split():
            stewards = [int(pid) for pid in call("pgrep", "-f", rf"^slurmstepd: \[{job}\.", check=False).split()]
            for process in (*stewards, *processes_with(f"SLURM_CLUSTER_NAME={NAME}", f"SLURM_JOB_ID={job}")):
                _kill(process)

    def nodes(self) -> dict[str, str]:
        """State by node."""
        lines = call("sinfo", "--noheader", "-N", "-p", "cpu", "-o", "%N %T", check=False).splitlines()
        return dict(line.split() for line in lines)

    def jobs(self, *options: str) -> list[tuple[str, str, str]]:
        """(id, state, comment) of the jobs that SLURM remembers."""
        lines = call("squeue", "--noheader", "--states=all", "--format=%i|%T|%k", *options).splitlines()
        return [tuple(line.split("|", 2)) for line in lines]  # type: ignore[misc]

    def _start_munge(self) -> None:
        folder = self.root / "munge"
        self.root.chmod(0o755)
        folder.chmod(0o711)
        shutil.chown(folder, "munge", "munge")
        as_munge = ("runuser", "-u", "munge", "--")
        call(*as_munge, "/usr/sbin/mungekey", "--create", f"--keyfile={folder}/key")
        files = {
            "key-file": "key",
            "socket": "socket",
            "pid-file": "munged.pid",
            "log-file": "log",
            "seed-file": "seed",
        }
        call(*as_munge, "/usr/sbin/munged", *(f"--{option}={folder}/{name}" for option, name in files.items()))
        (self.root / "run" / "munged.pid").symlink_to(folder / "munged.pid")

    def _write_configuration(self) -> None:
        values = {
            "name": NAME,
            "root": self.root,
            "host": socket.gethostname().split(".")[0],
            "controller_port": PORT,
            "ports": f"{PORT + 1}-{PORT + 3}",
            "accounting": ACCOUNTING.format(root=self.root, port=PORT + 4) if self.accounting else NO_ACCOUNTING,
        }
        self.conf.write_text(SLURM_CONF.format(**values))
        self._make_gpus()

    def _make_gpus(self) -> None:
        """GPUs that can be counted and handed out: files that are /dev/null (SLURM refuses a count without files)."""
        lines = []
        for node in NODES:
            for index in range(2):
                os.mknod(self.root / f"{node}gpu{index}", stat.S_IFCHR | 0o666, os.makedev(1, 3))
            lines.append(f"NodeName={node} Name=gpu File={self.root}/{node}gpu[0-1]\n")
        (self.root / "etc" / "gres.conf").write_text("".join(lines))

    def _start_accounting(self) -> None:
        self._start_database()
        conf = self.root / "etc" / "slurmdbd.conf"
        conf.write_text(SLURMDBD_CONF.format(root=self.root, port=PORT + 4, database_port=PORT + 5))
        conf.chmod(0o600)
        call("slurmdbd", conf=self.conf)
        sacctmgr = partial(call, "sacctmgr", "--immediate", "--quiet", conf=self.conf)
        wait_until(lambda: "Cluster" in sacctmgr("list", "cluster", check=False), "slurmdbd answers")
        sacctmgr("add", "cluster", NAME)
        sacctmgr("add", "account", "lab")
        sacctmgr("add", "user", "root", "Account=lab", check=False)  # root may exist as administrator

    def _start_database(self) -> None:
        data, socket_path = self.root / "mysql", self.root / "mysql.socket"
        data.mkdir()
        shutil.chown(data, "mysql", "mysql")
        self.root.chmod(0o777)  # mariadbd makes its socket here
        install = (
            "mariadb-install-db",
            "--user=mysql",
            f"--datadir={data}",
            "--auth-root-authentication-method=socket",
        )
        call(*install, "--skip-test-db")
        command = ["mariadbd", "--no-defaults", "--user=mysql", f"--datadir={data}", f"--socket={socket_path}"]
        with (self.root / "log" / "mariadb.log").open("w") as log:
            database = subprocess.Popen(
                [*command, "--bind-address=127.0.0.1", f"--port={PORT + 5}", "--innodb-buffer-pool-size=64M"],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        (self.root / "run" / "mariadbd.pid").write_text(str(database.pid))
        wait_until(lambda: not _fails("mysqladmin", "-S", str(socket_path), "ping"), "MariaDB answers")
        statements = (
            "create database slurm_acct_db; create user 'slurm'@'%' identified by 'slurm';"
            " grant all on slurm_acct_db.* to 'slurm'@'%';"
        )
        call("mysql", "-S", str(socket_path), "-e", statements)


@contextmanager
def only_cluster() -> Iterator[None]:
    """Wait until no other process of this machine, which has one /etc/slurm, has a cluster."""
    with Path("/tmp/scaling-lab-slurm.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def stop_when_owner_dies(cluster: Cluster) -> int:
    """Start a process that stops the cluster as soon as this one is gone, even by SIGKILL; the pipe that tells it."""
    reading, writing = os.pipe()
    script = [sys.executable, __file__, str(cluster.root)]
    subprocess.Popen(
        script, stdin=reading, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    os.close(reading)
    return writing


def _fails(*command: str) -> bool:
    return subprocess.run(command, capture_output=True, check=False, timeout=60).returncode != 0


def _stopping_order(path: Path) -> int:
    order = ("slurmd", "slurmctld", "slurmdbd", "mariadbd", "munged")
    return order.index(path.name.split(".")[0])


def _end(pid: int) -> None:
    """SIGTERM, then SIGKILL to a process that has not ended after five seconds."""
    for number, seconds in ((signal.SIGTERM, 5), (signal.SIGKILL, 5)):
        if not _kill(pid, number):
            return
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if not _alive(pid):
                return
            time.sleep(0.05)


def _kill(pid: int, number: int = signal.SIGKILL) -> bool:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def _alive(pid: int) -> bool:
    """False for a zombie, too: whoever inherited a daemon may reap it late."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def processes_with(*variables: str) -> list[int]:
    """Processes that were started with all these variables, `NAME=value`, in their environment."""
    wanted, found = set(variables), []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):  # it ended, or is another user's
            if wanted <= set(path.read_text(errors="replace").split("\0")):
                found.append(int(path.parent.name))
    return found


if __name__ == "__main__":
    sys.stdin.read()  # until the owner's end of the pipe is closed
    Cluster(Path(sys.argv[1])).stop()
