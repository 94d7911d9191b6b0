"""Engines and their hosts, from the notebook's side: start, link, watch and stop them."""
