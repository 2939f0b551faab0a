"""Published models, and the embedded one, a folder for each family."""
