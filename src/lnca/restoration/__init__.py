"""Restores pictures and films of any kind and size."""
