"""The population: census microdata, survey weights, margins, raking and fidelity checks."""
