"""Bands on their way to paths of least energy, on the host."""

from __future__ import annotations

from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np

from stratal.errors import InputError
from stratal.files import interruptible
from stratal.md.lists import Plan, at_a_time, hopeless, no_neighbors, wider
from stratal.md.paths.band import Bands, Program, as_vectors, run_block
from stratal.md.relaxation.entries import Entry, in_slots
from stratal.md.relaxation.fire import Fire
from stratal.md.relaxation.stages import Stage, plan_of, slot_sizes
from stratal.potentials.chunks import rows_within
from stratal.potentials.evaluate import Potential
from stratal.progress import Progress

BLOCK = 10  # steps between looks of the host
SKIN = 0.4  # Å
OVERLAP = 1e-3  # Å
LONGEST_STEP = 0.5  # Å, of a whole band


@dataclass(frozen=True)
class NEBConfig:
    """How a path is found; each field is a key of the ``[neb]`` table."""

    n_images: int = 5  # between the two ends
    fmax: float = 0.02  # eV/Å, of forces across the path
    spring: float = 1.0  # eV/Å²
    climb_below: float = 0.5  # eV/Å: the highest image climbs from there on; 0: never
    interpolation: str = "idpp"  # of the first path: idpp or linear
    max_steps: int = 1000

    def __post_init__(self) -> None:
        for key in ("n_images", "fmax", "spring", "max_steps"):
            if not getattr(self, key) > 0:
                raise InputError(f"neb.{key} = {getattr(self, key)}: give a number above 0.")
        if self.interpolation not in ("idpp", "linear"):
            raise InputError(f"neb.interpolation = {self.interpolation!r}: give idpp or linear.")


class Nudging:
    """Bands on their way, on the host."""

    def __init__(
        self, potential: Potential, entries: list[Entry], n_images: int, config: NEBConfig
    ) -> None:
        """Put all images into places; no neighbor list is built yet."""
        self.potential, self.entries, self.config = potential, entries, config
        self.n_images = n_images
        (size,) = slot_sizes(entries, potential, SKIN, most=1)
        stage = Stage(size, len(entries), tuple(range(len(entries))))
        plan = plan_of(stage, entries, potential, SKIN)
        shape = (len(entries), max(map(len, entries)))
        structures, freedom, _ = in_slots(
            dict(enumerate(entries)), shape, potential.elements, 0, "float64"
        )
        structures, free = jax.tree.map(jnp.asarray, (structures, freedom.atoms))
        n_bands = len(entries) // n_images
        is_inner = (jnp.arange(n_images) % (n_images - 1) != 0)[None, :, None]
        neighbors, needs, waiting = no_neighbors(structures, plan)
        vectors = as_vectors(structures.positions.reshape(n_bands, n_images, -1, 3))
        self.minimizer = Fire(longest_step=LONGEST_STEP)
        self.bands = Bands(
            structures=structures,
            neighbors=neighbors,
            needs=needs,
            waiting=waiting,
            free=free.reshape(n_bands, n_images, -1) & is_inner,
            minimizer=self.minimizer.init(vectors),
            energies=jnp.zeros((n_bands, n_images)),
            largest=jnp.full(n_bands, jnp.inf),
            climbs=jnp.zeros(n_bands, bool),
            running=jnp.ones(n_bands, bool),
            n_steps=jnp.zeros(n_bands, jnp.int32),
        )
        self.program = self.program_for(plan)

    def program_for(self, plan: Plan) -> Program:
        """What shapes the compiled block."""
        structures, config = self.bands.structures, self.config
        neighbors, _, _ = no_neighbors(structures, plan)
        n_systems = structures.n_systems
        return Program(
            plan=plan,
            n_images=self.n_images,
            minimizer=self.minimizer,
            spring=config.spring,
            fmax=config.fmax,
            climb_below=config.climb_below,
            n_rows=rows_within(self.potential, structures, neighbors),
            n_renewed=at_a_time(structures.n_atoms // n_systems, n_systems),
            n_steps=BLOCK,
        )

    def until_done(self) -> None:
        """Blocks of steps until all bands are at rest, out of steps, or Ctrl-C."""
        config = self.config
        with interruptible() as stop, Progress(config.max_steps, "path") as bar:
            while not stop.requested:
                self.block()
                done, largest = int(self.bands.n_steps.max()), float(self.bands.largest.max())
                bar.update(min(BLOCK, config.max_steps - done + BLOCK), force=largest)
                if not bool(self.bands.running.any()) or done >= config.max_steps:
                    break

    def block(self) -> None:
        """Some steps, done again where a neighbor list was too small.

        Raises:
            InputError: atoms that overlap or have flown apart.
        """
        while True:
            found = run_block(self.program, self.potential, self.bands)
            if not bool(found.neighbors.overflow.any()):
                break
            lost = hopeless(self.program.plan, found.neighbors, found.needs)
            if lost.any():
                self.refuse(int(np.flatnonzero(lost)[0]))
            structures = jax.tree.map(np.asarray, self.bands.structures)
            plan = wider(self.program.plan, found.needs, structures)
            neighbors, needs, waiting = no_neighbors(self.bands.structures, plan)
            self.bands = replace(self.bands, neighbors=neighbors, needs=needs, waiting=waiting)
            self.program = self.program_for(plan)
        bad = ~np.isfinite(np.asarray(found.energies)).ravel()
        bad |= np.asarray(found.needs.shortest) < OVERLAP
        if bad.any():
            self.refuse(int(np.flatnonzero(bad)[0]))
        self.bands = found

    def refuse(self, image: int) -> None:
        """Say which image has exploded."""
        band, number = divmod(image, self.n_images)
        raise InputError(
            f"path {band}, image {number}: exploded: atoms came too close or flew apart. Give ends "
            f"whose atoms are in the same order, or neb.interpolation = idpp."
        )

    def positions(self) -> list[np.ndarray]:
        """Of each image, ``(n_atoms, 3)``, Å, in the order that was given."""
        structures = self.bands.structures
        by_image = np.asarray(structures.positions).reshape(structures.n_systems, -1, 3)
        return [
            by_image[number, np.argsort(entry.order)] for number, entry in enumerate(self.entries)
        ]
