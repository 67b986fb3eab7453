"""What the population is: census microdata, weights, fidelity."""
