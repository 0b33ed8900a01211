"""Wire languages, one file each, in both roles; pure."""
