"""What lnca is published as: a folder for each host, all made from the same facts (`facts.Facts`)."""
