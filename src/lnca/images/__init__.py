"""Reading and writing picture files at their own bit depth, with all their metadata. Imports no torch."""
