"""From ballots to consensus: aggregation (voting) rules, strata, uncertainty, ceiling."""
