"""Records become events: one line of JSON each, in the shape of Elastic Defend's."""
