"""Checks of names, numbers and arguments, and the texts of their errors."""
