"""Where the order of Cu3Au is lost: Monte Carlo at several temperatures side by side.

Effective medium theory, atoms on the sites of the crystal; the order parameter is the intensity of
a superlattice peak, 1 of the perfect crystal. Takes about a minute.
"""

import tempfile

import numpy as np

from stratal.md import MCConfig, run_mc
from stratal.md.properties.prototypes import prototype
from stratal.potentials.analytic import EMT

crystal = prototype("L12", ["Au", "Cu"], volume=13.3) * (3, 3, 3)
temperatures = (200.0, 400.0, 600.0, 800.0, 1000.0, 1200.0)
config = MCConfig(
    sweeps=200,
    temperatures=temperatures,
    wavevectors=((3, 0, 0), (0, 3, 0), (0, 0, 3)),
    frame_every=0,
    precision="float32",
)
with tempfile.TemporaryDirectory() as folder:
    record = run_mc([crystal], EMT.for_elements([29, 79]), config, folder).record()

late = slice(100, None)
gold = record.symbols.index("Au")
peaks = record.structure_factors[late, :, :, gold].mean(axis=(0, 2))
perfect = len(crystal) / 16  # (N / 4)² / N
order = record.short_range_order[late, :, 0, gold, gold].mean(axis=0)
print(f"{'T (K)':>6} {'peak':>6} {'Au-Au':>7} {'eV/atom':>9}")
energies = record.energy[late].mean(axis=0) / len(crystal)
for row in zip(temperatures, peaks / perfect, order, energies, strict=True):
    print("{:6.0f} {:6.3f} {:7.3f} {:9.4f}".format(*row))
assert np.isclose(peaks[0] / perfect, 1.0, atol=0.05)
