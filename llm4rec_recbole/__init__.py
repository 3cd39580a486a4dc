"""LLM4Rec on RecBole: importing this package readies RecBole, without importing it.

The mends wait in an import hook (recbole_plugin/hook.py) until RecBole itself is imported, so
`import llm4rec_recbole` costs milliseconds and is all a user's own script needs.
"""

from __future__ import annotations

from llm4rec_recbole.recbole_compat.import_hook import install

install()
