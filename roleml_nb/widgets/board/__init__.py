"""The board: a testbed drawn, and changed by hand."""
