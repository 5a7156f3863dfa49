"""lnca's models in others' tools: each module speaks one library's language, and alone imports it.

`lnca.denoise` is the function for those who use scikit-image.
"""
