"""The `operator` command: reads and changes the ledger, draws on the terminal."""
