"""Raw files to atomic files: download, archives, readers, filters, conversion, checks."""
