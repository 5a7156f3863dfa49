"""The paper's section 3.1 as pure `torch.nn` modules, without files."""
