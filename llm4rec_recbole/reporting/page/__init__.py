"""The report page and its sections."""
