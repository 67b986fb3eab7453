"""From ballots to consensus: rules, strata, uncertainty, ceiling."""
