"""LLM4Rec on RecBole: importing this package prepares RecBole, without importing it.

An import hook (recbole_compat/import_hook.py) applies the patches when RecBole is imported. So
`import llm4rec_recbole` costs milliseconds, and it is all that a user's own script needs.
"""

from __future__ import annotations

from llm4rec_recbole.recbole_compat.import_hook import install

#: The modules that patch RecBole. Patches of one RecBole module run in this order.
PATCH_MODULES = tuple(
    f"llm4rec_recbole.{name}"
    for name in (
        "recbole_compat.no_code_execution",
        "recbole_compat.changes_results",
        "recbole_compat.same_results",
        "recbole_plugin.reading",
        "recbole_plugin.fast_reading",
        "recbole_plugin.protocols",
        "recbole_plugin.sampling",
        "recbole_plugin.extensions",
        "recbole_plugin.quick_start",
    )
)

install(PATCH_MODULES)
