"""Figures as inline SVG: plain functions from numbers to a `Figure`, one kind a file."""
