"""Drawing a panel: sampling, quotas, sortition."""
