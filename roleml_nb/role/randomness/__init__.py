"""Random numbers that depend on one seed and on where they are drawn."""
