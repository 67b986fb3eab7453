"""What they decide: deliberation, ballots, ledger, consensus."""
