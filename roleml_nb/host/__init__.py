"""The host: one per process, in the notebook's kernel and in each engine, with its threads and
links.
"""
