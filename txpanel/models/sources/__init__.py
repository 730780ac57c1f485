"""Where models come from: the hub, a folder, a GGUF file, the user's package index. One module per source."""
