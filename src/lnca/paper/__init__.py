"""The paper's experiments: the columns of Tables 1 and 2, running them, reporting them beside the paper's figures."""
