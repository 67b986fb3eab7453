"""Figures as SVG, and page elements that the report and the viewer share."""
