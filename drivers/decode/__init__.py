"""Decodes raw answers into values, each with a quality or a reason. Pure."""
