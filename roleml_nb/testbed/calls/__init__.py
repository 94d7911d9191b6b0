"""Calls from the notebook, and the runs that they begin."""
