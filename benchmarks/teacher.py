"""Properties of the Cu-Pd-Ag library beside those of the teacher that labelled its data.

The library comes from `cupdag_library.py`. Definitions are those of the reference values: elastic
constants by strains of 0.004, vacancies in 32 sites at fixed volume, surfaces of nine layers,
phonons in 2x2x2 cubic cells. The bounds are the default thresholds of `stratal validate`, whose
report is written to --output.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from reference import SHARED, arguments

SHOWN = ("Cu", "Cu-Pd", "Ag-Cu-Pd")  # strata in the gallery
OF_ELEMENTS = {  # of the reference: property, kind, unit
    "a_fcc": ("lattice constant a", "lattice", "Å"),
    "bulk_modulus_GPa": ("bulk modulus", "bulk_modulus", "GPa"),
    "C11_GPa": ("C11", "elastic", "GPa"),
    "C12_GPa": ("C12", "elastic", "GPa"),
    "C44_GPa": ("C44", "elastic", "GPa"),
    "bcc_minus_fcc_eV_per_atom": ("energy A2 above A1", "phase", "eV/atom"),
    "hcp_minus_fcc_eV_per_atom": ("energy A3 above A1", "phase", "eV/atom"),
    "sc_minus_fcc_eV_per_atom": ("energy Ah above A1", "phase", "eV/atom"),
    "diamond_minus_fcc_eV_per_atom": ("energy A4 above A1", "phase", "eV/atom"),
    "vacancy_eV_32": ("vacancy", "point_defect", "eV"),
    "surface_100_J_per_m2": ("surface 100", "surface", "J/m²"),
    "surface_110_J_per_m2": ("surface 110", "surface", "J/m²"),
    "surface_111_J_per_m2": ("surface 111", "surface", "J/m²"),
    "stacking_fault_mJ_per_m2": ("stacking fault", "fault", "mJ/m²"),
}


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("library", type=Path)
    parser.add_argument("--beside", type=Path, help="a second library, such as of full training")
    parser.add_argument("--output", type=Path, help="folder of the report")
    parser.add_argument("--gallery", type=Path, help="folder for some figures of the report")
    parser.add_argument(
        "--teacher", type=Path, default=SHARED / "reference" / "teacher" / "teacher_values.json"
    )
    options = parser.parse_args()
    from stratal.files import write_json
    from stratal.md.validation.run import validate
    from stratal.potentials import Library

    subjects = {"stratified": Library.open(options.library)}
    if options.beside:
        subjects["full"] = Library.open(options.beside)
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.output or Path(scratch)
        values = Path(scratch) / "teacher.json"
        write_json(values, as_values(json.loads(options.teacher.read_text())))
        found = validate(subjects, ("Cu", "Pd", "Ag"), folder, values)
        if options.gallery:
            write_gallery(folder / "report.html", options.gallery)
    print(f"{'stratum':9s} {'property':32s} {'teacher':>9s} {'own':>9s} {'off':>9s}")
    for row in found.rows:
        for name in subjects:
            own = row[name]
            mark = "" if own["light"] == "green" else f"  {own['light']}"
            print(
                f"{row['stratum']:9s} {row['property']:32s} {row['reference']:9.4g} "
                f"{own['value']:9.4g} {own['deviation']:+9.2f} {row['scale']}{mark}"
            )
    print_means(found.rows, list(subjects))
    for name in subjects:
        print(name, found.lights(name))


def print_means(rows: list[dict[str, Any]], subjects: list[str]) -> None:
    """Mean deviations without sign of each kind of property that the teacher has."""
    known = [row for row in rows if row[subjects[0]]["light"] != "none"]
    for kind in dict.fromkeys(row["kind"] for row in known):
        own = [row for row in known if row["kind"] == kind]
        means = [sum(abs(row[name]["deviation"]) for row in own) / len(own) for name in subjects]
        figures = "  ".join(f"{mean:9.2f}" for mean in means)
        print(f"mean of {len(own):2d} {kind:14s} {figures} {own[0]['scale']}")


def write_gallery(report: Path, folder: Path) -> None:
    """Figures of some strata as PNG."""
    import base64

    from stratal.report import Report

    folder.mkdir(parents=True, exist_ok=True)
    for section in Report.open(report).sections:
        for block in section.blocks:
            if section.title in SHOWN and block["kind"] == "figure":
                words = block["caption"].split(":")[0].rstrip(".").lower().replace(" of ", " ")
                name = "validation-" + words.split(" against the ")[0].replace(" ", "-") + ".png"
                (folder / name).write_bytes(base64.b64decode(block["png"]))


def as_values(teacher: dict[str, Any]) -> dict[str, Any]:
    """The reference as a file of values."""
    strata: dict[str, dict[str, Any]] = {}

    def add(stratum: str, name: str, kind: str, value: float, unit: str) -> None:
        one = strata.setdefault(stratum, {"values": {}, "chosen": {}})
        one["values"][name] = {"kind": kind, "value": value, "unit": unit}

    for symbol, values in teacher["elements"].items():
        for key, (name, kind, unit) in OF_ELEMENTS.items():
            add(symbol, name, kind, values[key], unit)
        for point in "XLW":
            for mode, value in enumerate(values[f"phonon_{point}_THz"]):
                add(symbol, f"phonon {point} {mode + 1}", "phonon", value, "THz")
        strata[symbol]["chosen"] = {symbol: "A1"}
    for name, values in teacher["formation_eV_per_atom"].items():
        from ase import Atoms

        pair = "-".join(sorted(set(Atoms(name.split()[1]).symbols)))
        add(pair, f"formation energy {name}", "formation", values["formation"], "eV/atom")
        add(pair, f"volume {name}", "volume", values["volume_per_atom"], "Å³/atom")
    return strata


if __name__ == "__main__":
    main()
