"""lnca in napari: a widget that denoises image layers (docs/integrations/napari.md)."""
