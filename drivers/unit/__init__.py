"""One poll of one unit: its blocks, its identity, how plausible its values are."""
