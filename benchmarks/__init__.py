"""Speed of this project against stock RecBole and RecTools, measured side by side in one run."""
