"""Other programs that move atoms by our potentials: LAMMPS, i-PI."""
