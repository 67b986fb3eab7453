"""The citizens' assembly: deliberation, private ballots, the ledger and the consensus."""
