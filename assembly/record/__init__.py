"""What an assembly records: ballots (votes), the ledger, settings, progress."""
