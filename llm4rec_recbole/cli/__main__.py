"""`python -m llm4rec_recbole.cli COMMAND …` is the command `llm4rec COMMAND …`."""

import sys

from llm4rec_recbole.cli.run import llm4rec

if __name__ == "__main__":
    sys.exit(llm4rec())
