"""Files made to harm whoever reads them, and what is said of each."""
