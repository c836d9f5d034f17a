"""Properties of crystals, each one batched call: elasticity, phonons, defects, hulls."""
