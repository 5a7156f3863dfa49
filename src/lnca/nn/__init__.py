"""The paper's section 3.1 as pure `torch.nn` modules: no files, no arithmetic on pictures outside them."""
