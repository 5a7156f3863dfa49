"""The same steps, faster: each path is checked against the plain rule, chosen in `select`."""
