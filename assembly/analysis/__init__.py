"""What the discussion did to votes, who moved whom, and how reliable the resulting labels are."""
