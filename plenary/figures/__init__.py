"""SVG figures for report, viewer and terminal."""
