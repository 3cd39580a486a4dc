"""Models that RecBole lacks; found by RecBole through recbole_plugin/registry.py."""
