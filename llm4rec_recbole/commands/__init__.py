"""What `llm4rec` does with a trained model: recommend, explain, and measure explanations."""
