"""Any picture in, the same picture restored."""
