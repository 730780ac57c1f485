"""The bar on top: model, prompt, examples, sampling, generate."""
