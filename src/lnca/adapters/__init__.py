"""lnca's models inside other libraries. Each module adapts to one library, and only that module imports it.

Users of scikit-image can call `lnca.denoise`.
"""
