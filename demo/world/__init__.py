"""The parts of the demo's seeded world; `demo.data` is its public face."""
