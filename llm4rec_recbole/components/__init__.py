"""The paper's five components, equation by equation: plain torch and NumPy, no RecBole."""
