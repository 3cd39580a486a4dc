"""Speed and memory: measured beside stock RecBole and RecTools in the same run, or alone."""
