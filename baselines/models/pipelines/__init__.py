"""Any two pipelines of diffusers as a pair of base models."""
