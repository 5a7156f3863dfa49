"""The contents of the folders for each host, all from the same facts (`facts.Facts`)."""
