"""The kit for authors of subjects and for our own tests; shipped code never imports it."""
