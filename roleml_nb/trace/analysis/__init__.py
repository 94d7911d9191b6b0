"""Analysis of traces: runs, and comparisons of them."""
