"""SVG figures for report, viewer and terminal, and parts of pages that the first two share."""
