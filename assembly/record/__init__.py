"""What an assembly leaves: ballots, ledger, settings, progress."""
