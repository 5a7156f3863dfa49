"""The paper's experiments: columns of Tables 1 and 2, running them, and reports beside the paper's figures."""
