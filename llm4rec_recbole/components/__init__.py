"""The paper's five components, as plain torch and NumPy: nothing here knows RecBole."""
