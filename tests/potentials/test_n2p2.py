"""n2p2 models give n2p2's numbers, and whatever their settings, those of plain sums."""

import re
from functools import partial
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from ase import Atoms
from ase.data import atomic_numbers
from ase.units import Bohr, Hartree
from numpy.testing import assert_allclose

from stratal.descriptors.host_list import neighbor_list
from stratal.descriptors.structures import Structures
from stratal.errors import InputError
from stratal.potentials.compose import compose
from stratal.potentials.evaluate import evaluate
from stratal.potentials.foreign import read_n2p2
from stratal.potentials.library import Library
from stratal.potentials.stratum import Stratum

_evaluate = jax.jit(evaluate)

# In n2p2's order of sorting; in the file they are shuffled.
FUNCTIONS = {
    "H": ["2 O 0.5 0.0 7.0", "2 H 0.4 0.3 8.0", "3 H O 0.01 1 2.0 8.0 0.0"],
    "O": ["2 O 0.2 0.0 8.0", "2 H 0.5 0.0 8.0", "3 O H 0.02 -1 1.0 8.0 0.4",
          "9 H H 0.03 1 3.0 8.0"],
}  # fmt: skip
ACTIVATIONS = {
    "l": lambda x: x,
    "t": np.tanh,
    "s": lambda x: 1 / (1 + np.exp(-x)),
    "p": lambda x: np.log(1 + np.exp(x)),
    "r": lambda x: np.maximum(x, 0),
    "g": lambda x: np.exp(-(x**2) / 2),
    "c": np.cos,
    "S": lambda x: 1 - 1 / (1 + np.exp(-x)),
    "e": lambda x: np.exp(-x),
    "h": lambda x: x**2,
}


def results(stratum: Stratum, frames, elements=None):
    potential = compose({stratum.name: stratum}, elements or stratum.elements)
    with jax.enable_x64(True):
        structures = Structures.from_atoms(frames, potential.elements)
        neighbors = neighbor_list(structures, potential.cutoff)
        return jax.tree.map(np.asarray, _evaluate(potential, structures, neighbors))


@partial(jax.jit, static_argnums=(0, 1))
def features(descriptor, n_species, vectors, tiles, species):
    """Compiled once for all settings of networks."""
    return descriptor(vectors, tiles, species, n_species)


def energies(stratum: Stratum, atoms: Atoms, elements=None) -> np.ndarray:
    """Atomic energies alone."""
    potential: Any = compose({stratum.name: stratum}, elements or stratum.elements)
    with jax.enable_x64(True):
        structures = Structures.from_atoms(atoms, potential.elements)
        neighbors = neighbor_list(structures, potential.cutoff, n_neighbors=16)
        edges = neighbors.displacements(structures), neighbors.tile_species(structures)
        species = np.asarray(structures.species)
        found = features(potential.descriptor, len(potential.elements), *edges, species)
        of_network = [
            network((found - potential.minimum[s]) * potential.factor[s])
            for s, network in enumerate(potential.networks)
        ]
        return np.choose(species, np.array(of_network))


def test_numbers_are_those_of_n2p2(shared):
    folder = shared / "reference" / "n2p2" / "Cu2S_PBE"
    if not folder.is_dir():
        pytest.skip(f"no n2p2 reference: {folder} is absent")
    expected = np.load(folder / "expected.npz")
    frames = [
        Atoms(
            expected[f"numbers_{i}"],
            expected[f"positions_{i}"],
            cell=expected[f"cell_{i}"],
            pbc=expected[f"pbc_{i}"],
        )
        for i in range(int(expected["n"]))
    ]
    found = results(read_n2p2(folder), frames)
    start = 0
    for i, frame in enumerate(frames):
        own = slice(start, start := start + len(frame))
        forces = expected[f"forces_{i}"]
        assert_allclose(found.energy[i], expected[f"energy_{i}"], rtol=1e-12)
        assert_allclose(found.energies[own], expected[f"local_energy_{i}"], rtol=1e-11)
        assert_allclose(found.forces[own], forces, atol=1e-11 * np.abs(forces).max())
        xx, yy, zz, xy, yz, zx = expected[f"stress_{i}"]  # -dE/d(strain), eV
        virial = -found.stress[i] * frame.cell.volume
        # Theirs is a finite difference: 2e-8 eV.
        assert_allclose(virial, [[xx, xy, zx], [xy, yy, yz], [zx, yz, zz]], atol=1e-7)


class Model:
    """A small random model: its files, and its energy by plain sums."""

    def __init__(self, seed=0, scaling=("scale_symmetry_functions",), activations="t p l", **more):
        self.rng = np.random.default_rng(seed)
        self.scaling, self.letters = scaling, activations.split()
        self.normalize = more.get("normalize", False)
        self.cutoff_type = more.get("cutoff_type", (1, 0.0))
        self.sizes = {
            z: [len(FUNCTIONS[z]), *more.get("nodes", {}).get(z, (3, 2)), 1] for z in "HO"
        }
        self.extra = more.get("extra", [])
        self.normalisation = more.get("normalisation", (0.0, 1.0))
        self.atom_energy = more.get("atom_energy", {"H": 0.0, "O": 0.0})
        rng = self.rng
        self.table = {
            z: np.sort(rng.uniform(0.1, 3, (len(f), 4)), axis=1) for z, f in FUNCTIONS.items()
        }
        self.weights = {
            z: [(rng.normal(size=(a, b)), rng.normal(size=b)) for a, b in pairwise(n)]
            for z, n in self.sizes.items()
        }

    def write(self, folder: Path) -> Path:
        folder.mkdir(exist_ok=True)
        mean, conv = self.normalisation
        lines = [
            "number_of_elements 2", "elements O H  # in any order",
            f"cutoff_type {self.cutoff_type[0]} {self.cutoff_type[1]}",
            "scale_min_short -0.5", "scale_max_short 1.5", *self.scaling,
            "global_hidden_layers_short 2", "global_nodes_short 3 2",
            f"global_activation_short {' '.join(self.letters)}", *self.extra,
            f"mean_energy {mean}", f"conv_energy {conv}", "conv_length 1.7",
            *(f"atom_energy {z} {value}" for z, value in self.atom_energy.items()),
            *(["normalize_nodes"] if self.normalize else []),
        ]  # fmt: skip
        functions = [f"symfunction_short {z} {f}" for z, own in FUNCTIONS.items() for f in own]
        self.rng.shuffle(functions)
        (folder / "input.nn").write_text("\n".join(lines + functions) + "\n")
        rows = [
            f"{e} {n} {low!r} {high!r} {mean!r} {sigma!r}"
            for e, z in enumerate("HO", 1)
            for n, (low, mean, sigma, high) in enumerate(self.table[z].tolist(), 1)
        ]
        (folder / "scaling.data").write_text("# head\n" + "\n".join(rows) + "\n")
        for z, layers in self.weights.items():
            values = [value for w, b in layers for value in (*w.ravel(), *b)]
            name = f"weights.{atomic_numbers[z]:03d}.data"
            text = "\n".join(f"{value!r} x" for value in map(float, values))
            (folder / name).write_text("# head\n" + text + "\n")
        return folder

    def scaled(self, g, z):
        low, mean, sigma, high = self.table[z].T
        if self.scaling == ():
            return g
        if self.scaling == ("center_symmetry_functions",):
            return g - mean
        if "scale_symmetry_functions_sigma" in self.scaling:
            return -0.5 + 2.0 * (g - mean) / sigma
        centre = mean if "center_symmetry_functions" in self.scaling else low
        return -0.5 + 2.0 * (g - centre) / (high - low)

    def energy(self, atoms: Atoms) -> float:
        """In the model's own units, of a cluster in them."""
        total = 0.0
        mean, conv = self.normalisation
        for i, z in enumerate(atoms.symbols):
            x = self.scaled(np.array([self.function(f, atoms, i) for f in FUNCTIONS[z]]), z)
            for (w, b), letter in zip(self.weights[z], self.letters_of(z), strict=True):
                x = (x @ w + b) / (len(x) if self.normalize else 1)
                x = ACTIVATIONS[letter](x)
            total += x[0] / conv + mean + self.atom_energy[z]
        return total

    def letters_of(self, z):
        return ["s", "c", "l"] if z == "O" and self.extra else self.letters

    def function(self, text: str, atoms: Atoms, i: int) -> float:
        kind, *words = text.split()
        others = [j for j in range(len(atoms)) if j != i]
        if kind == "2":
            eta, shift, rc = map(float, words[1:])
            found = [atoms.get_distance(i, j) for j in others if atoms.symbols[j] == words[0]]
            return sum(np.exp(-eta * (r - shift) ** 2) * self.fc(r, rc) for r in found)
        eta, sign, zeta, rc, *shift = map(float, words[2:])
        rs, total = (shift or [0.0])[0], 0.0
        for j, k in product(others, others):
            if j >= k or sorted(atoms.symbols[[j, k]]) != sorted(words[:2]):
                continue
            a, b = atoms.positions[j] - atoms.positions[i], atoms.positions[k] - atoms.positions[i]
            lengths = [np.linalg.norm(a), np.linalg.norm(b), np.linalg.norm(a - b)]
            used = lengths if kind == "3" else lengths[:2]
            cosine = a @ b / lengths[0] / lengths[1]
            total += (
                2 ** (1 - zeta) * (1 + sign * cosine) ** zeta
                * np.prod([np.exp(-eta * (r - rs) ** 2) * self.fc(r, rc) for r in used])
            )  # fmt: skip
        return total

    def fc(self, r, rc):
        """The cosine or the third polynomial."""
        inner = self.cutoff_type[1] * rc
        x = min(max((r - inner) / (rc - inner), 0.0), 1.0)
        if self.cutoff_type[0] == 1:
            return (np.cos(np.pi * x) + 1) / 2
        return 1 - 10 * x**3 + 15 * x**4 - 6 * x**5


# Each setting of scaling, each activation, and what else changes energies.
SETTINGS = {
    "range": {},
    "not scaled": {"scaling": ()},
    "centered": {"scaling": ("center_symmetry_functions",)},
    "range and center": {"scaling": ("scale_symmetry_functions", "center_symmetry_functions")},
    "sigma": {"scaling": ("scale_symmetry_functions_sigma",), "activations": "g c l"},
    "more activations": {"activations": "S e l"},
    "and more": {"activations": "r h l"},
    "logistic, not linear": {"activations": "s p t", "atom_energy": {"H": 0.0, "O": 0.0}},
    "normalize_nodes": {"normalize": True, "cutoff_type": (6, 0.2)},
    "normalised data": {
        "normalisation": (-3.5, 7.25),
        "atom_energy": {"H": -0.5, "O": -75.0},
    },
    "per element": {
        "nodes": {"O": (4, 1)},
        "extra": [
            "element_nodes_short O 1 4", "element_nodes_short O 2 1",
            "element_activation_short O 1 s", "element_activation_short O 2 c",
        ],
    },
}  # fmt: skip


def molecule() -> Atoms:
    """In Bohr: two waters, not symmetric."""
    positions = np.random.default_rng(5).uniform(0, 5, (6, 3)) + np.arange(6)[:, None] * [1.3, 0, 0]
    return Atoms("OHHOHH", positions)


@pytest.mark.parametrize("name", SETTINGS)
def test_equals_plain_sums_whatever_the_settings(tmp_path, name):
    model = Model(3, **SETTINGS[name])
    model.write(tmp_path / "model")
    atoms = molecule()
    inside = atoms.copy()
    inside.positions = atoms.positions * Bohr
    if SETTINGS[name].get("activations", "l").endswith("t"):  # cannot be scaled, so eV and Å
        own = energies(read_n2p2(tmp_path / "model"), atoms)
        assert own.sum() == pytest.approx(model.energy(atoms), rel=1e-12)
        with pytest.raises(InputError, match="output activation"):
            read_n2p2(tmp_path / "model", energy_unit="hartree")
        return
    stratum = read_n2p2(tmp_path / "model", "bohr", "hartree")
    expected = model.energy(atoms) * Hartree
    assert energies(stratum, inside).sum() == pytest.approx(expected, rel=1e-11)
    # An element alone: the blocks of the other are left out of the composition.
    hydrogen = atoms[[1, 2, 4]]
    expected = model.energy(hydrogen) * Hartree
    alone = energies(stratum, inside[[1, 2, 4]], (1,)).sum()
    assert alone == pytest.approx(expected, rel=1e-11)


def test_survives_the_library_with_its_activations(tmp_path):
    stratum = read_n2p2(Model(1, activations="p c l").write(tmp_path / "model"))
    Library.create(tmp_path / "lib").add(stratum)
    opened = Library.open(tmp_path / "lib").stratum("O", "H")
    assert opened.physics_hash == stratum.physics_hash
    assert opened.trunks[8].activations == ("softplus", "cosine", "linear")
    np.testing.assert_array_equal(energies(opened, molecule()), energies(stratum, molecule()))
    usual = read_n2p2(Model(1, activations="t t l").write(tmp_path / "usual"))
    assert usual.trunks[8].activations == ()  # as in files from before there were others


@pytest.fixture
def folder(tmp_path):
    return Model(0).write(tmp_path / "model")


def refused(folder) -> str:
    with pytest.raises(InputError) as error:
        read_n2p2(folder)
    assert str(folder) in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    "name", ["input.nn", "scaling.data", "weights.001.data", "weights.008.data"]
)
def test_a_missing_cut_or_binary_file_is_named(folder, name):
    file = folder / name
    whole = file.read_bytes()
    file.unlink()
    assert name in refused(folder)
    file.write_bytes(b"\x89HDF\xff\xfe")
    assert name in refused(folder)
    file.write_text("")
    assert name in refused(folder)
    lines = whole.decode().splitlines()
    for kept in (len(lines) - 1, len(lines) // 2, 2):
        file.write_text("\n".join(lines[:kept]) + "\n")
        message = refused(folder)
        assert name in message or name == "input.nn"  # what is left of it asks for less


@pytest.mark.parametrize(
    "name, old, new, line",
    [
        ("input.nn", "elements O H", "elements O Xy", 2),
        ("input.nn", "elements O H", "elements O O", 2),
        ("input.nn", "number_of_elements 2", "number_of_elements 3", 1),
        ("input.nn", "cutoff_type 1 0.0", "cutoff_type 9", 3),
        ("input.nn", "cutoff_type 1 0.0", "cutoff_type 1 1.0", 3),
        ("input.nn", "scale_min_short -0.5", "scale_min_short nan", 4),
        ("input.nn", "scale_symmetry_functions", "use_electrostatics", 6),
        ("input.nn", "scale_symmetry_functions", "nnp_type 4G-HDNNP", 6),
        ("input.nn", "scale_symmetry_functions", "scale_min_short 0.1", 6),
        ("input.nn", "global_nodes_short 3 2", "global_nodes_short 3", 8),
        ("input.nn", "global_nodes_short 3 2", "global_nodes_short 3 0", 8),
        ("input.nn", "global_activation_short t p l", "global_activation_short t q l", 9),
        ("input.nn", "conv_energy 1.0", "conv_energy 0", 11),
        ("input.nn", " 2 O 0.5 0.0 7.0", " 12 O 0.5 0.0 7.0", None),
        ("input.nn", " 2 O 0.5 0.0 7.0", " 2 O 0.5 0.0", None),
        ("input.nn", " 2 O 0.5 0.0 7.0", " 2 Cu 0.5 0.0 7.0", None),
        ("input.nn", " 2 O 0.5 0.0 7.0", " 2 O 0.5 0.0 -7.0", None),
        ("input.nn", " -1 1.0 8.0", " -1 1.5 8.0", None),
        ("scaling.data", "1 1 ", "1 2 ", 2),
        ("scaling.data", "1 1 ", "1 1 inf ", 2),
        ("weights.001.data", "# head\n", "# head\nnonsense\n", 2),
        ("weights.001.data", "# head\n", "# head\n0.5\n", None),
    ],
)  # fmt: skip
def test_a_mistake_names_file_and_line(folder, name, old, new, line):
    file = folder / name
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))
    message = refused(folder)
    found = re.search(rf"{re.escape(name)}, line (\d+)", message)
    assert found, message
    assert line is None or int(found[1]) == line


def test_a_function_without_range_is_refused(folder):
    file = folder / "scaling.data"
    lines = file.read_text().splitlines()
    lines[2] = "1 2 0.5 0.5 0.5 0.0"
    file.write_text("\n".join(lines))
    assert "scaling.data, line 3" in refused(folder)


def test_unknown_units_are_refused(folder):
    with pytest.raises(InputError, match="bohr"):
        read_n2p2(folder, "inch")
    with pytest.raises(InputError, match="hartree"):
        read_n2p2(folder, "bohr", "joule")
