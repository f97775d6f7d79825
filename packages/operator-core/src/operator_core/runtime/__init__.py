"""The composition root: plugins, wiring, the loop, the demo."""
