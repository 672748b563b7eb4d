"""Who answers: exact solvers, simple methods, and the ways to other modelling libraries."""
