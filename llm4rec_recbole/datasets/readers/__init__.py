"""One module for each raw format; each yields events and items row by row."""
