"""A potential as the driver of an i-PI server: it is sent positions and answers with forces.

i-PI (Litman et al., J. Chem. Phys. 161, 062504 (2024)) moves the atoms, in path integrals and
replica exchange too. Messages and their units are ASE's; one compiled program serves all steps.
"""

from __future__ import annotations

import socket
import time
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.calculators.calculator import BaseCalculator
from ase.calculators.socketio import IPIProtocol, SocketClosed, actualunixsocketname

from stratal.errors import InputError
from stratal.potentials.evaluate import Potential
from stratal.potentials.sources import calculator_from
from stratal.progress import Progress, progress

PORT = 31415  # i-PI's own default
RETRY = 0.2  # s between two attempts to connect
UNANSWERED = 10.0  # s until an attempt fails


def drive(
    atoms: Atoms,
    source: str | Path | Potential | BaseCalculator,
    unix: str | None = None,
    host: str = "localhost",
    port: int = PORT,
    patience: float = 60.0,
    precision: str = "float64",
) -> int:
    """Answer an i-PI server with energies, forces and virials until it ends.

    The protocol carries no elements: ``atoms`` has to list them in the server's order. Positions
    and cell are the server's.

    Args:
        atoms: elements, and along which cell vectors they are periodic.
        source: folder of a library, ``emt``, a potential, or any ASE calculator.
        unix: address of the server's Unix socket; ``host`` and ``port`` otherwise.
        host: name of the server's machine.
        port: of the server.
        patience: how long to wait for a server that does not listen yet, s.
        precision: ``"float64"`` or ``"float32"``.

    Returns:
        How many configurations were evaluated.

    Raises:
        InputError: no server, one with another number of atoms, elements that are not covered,
            what the calculator refuses.
    """
    atoms = atoms.copy()
    atoms.calc = calculator_from(source, atoms.numbers, precision)
    with (
        connected(unix, host, port, patience) as connection,
        progress(None, "configurations evaluated") as bar,
    ):
        try:
            answer(IPIProtocol(connection), atoms, bar)
        except (SocketClosed, ConnectionError):
            pass  # a server that is gone has ended as well
    return bar.done


def answer(server: IPIProtocol, atoms: Atoms, bar: Progress[None]) -> None:
    """Answer until the server says EXIT; see `drive`."""
    answers: tuple[float, np.ndarray, np.ndarray] | None = None
    while (message := server.recvmsg()) != "EXIT":
        if message == "STATUS":
            server.sendmsg("HAVEDATA" if answers else "READY")
        elif message == "POSDATA":
            cell, _, positions = server.recvposdata()
            answers = evaluated(atoms, cell, positions)
            bar.update()
        elif message == "GETFORCE" and answers:
            server.sendforce(*answers)
            answers = None
        else:
            raise InputError(f"the server says {message!r}: that is not i-PI's protocol.")


def evaluated(
    atoms: Atoms, cell: np.ndarray, positions: np.ndarray
) -> tuple[float, np.ndarray, np.ndarray]:
    """Energy (eV), forces (eV/Å) and virial ``(3, 3)`` (eV), which is 0 without boundaries.

    Raises:
        InputError: another number of atoms.
    """
    if len(positions) != len(atoms):
        raise InputError(
            f"the server sends {len(positions)} atoms, the structure has {len(atoms)}. Give the "
            f"structure from which the server starts."
        )
    atoms.cell, atoms.positions = cell, positions
    energy, forces = float(atoms.get_potential_energy()), atoms.get_forces()
    if not atoms.pbc.any():
        return energy, forces, np.zeros((3, 3))
    return energy, forces, -atoms.get_volume() * np.asarray(atoms.get_stress(voigt=False))


def connected(unix: str | None, host: str, port: int, patience: float) -> socket.socket:
    """A connection to a server that listens, or will within ``patience`` seconds.

    Raises:
        InputError: nobody listens, an unknown host.
    """
    deadline = time.monotonic() + patience
    while True:
        try:
            return unix_socket(unix) if unix else inet_socket(host, port)
        except socket.gaierror as error:
            raise InputError(f"host {host!r}: {error.strerror}. Correct the name.") from error
        except OSError as error:
            if time.monotonic() > deadline:
                raise InputError(nobody_listens(unix, host, port, patience, error)) from error
        time.sleep(RETRY)


def unix_socket(address: str) -> socket.socket:
    """Connect to i-PI's file of this address."""
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(actualunixsocketname(address))
    except OSError:
        connection.close()
        raise
    return connection


def inet_socket(host: str, port: int) -> socket.socket:
    """Connect to a port; what is sent in pieces does not wait until each is acknowledged."""
    connection = socket.create_connection((host, port), UNANSWERED)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else 40 ms in each step
    connection.settimeout(None)
    return connection


def nobody_listens(unix: str | None, host: str, port: int, patience: float, error: OSError) -> str:
    """The sentence for a server that is not there, with what to write in i-PI's input."""
    where = f"socket {actualunixsocketname(unix)}" if unix else f"{host}, port {port}"
    name, mode = (unix, "unix") if unix else (host, "inet")
    more = "" if unix else f" <port>{port}</port>"
    return (
        f"{where}: no server after {patience:g} s ({error.strerror or error}). Start one, `i-pi "
        f"input.xml`, with <ffsocket name='stratal' mode='{mode}'> <address>{name}</address>{more} "
        f"</ffsocket> in its input (pip install ipi)."
    )
