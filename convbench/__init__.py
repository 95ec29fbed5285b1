"""convbench: which convolution algorithm is fastest here, is it right, and did my last commit slow it down."""
