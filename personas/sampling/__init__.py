"""Drawing a panel: probability sampling, swap selection, quotas, sortition (citizens' lottery)."""
