"""The parts of results/report.html, one a file: each turns what was read into HTML."""
