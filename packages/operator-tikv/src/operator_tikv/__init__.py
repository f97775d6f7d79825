"""The TiKV subject and its deterministic simulator."""
