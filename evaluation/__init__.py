"""The measuring instrument: elicitation, utility fits, batteries, comparison, hiring audit."""
