"""MMDisCo (arXiv 2405.17842) as a library: it knows nothing of files, clips or particular base models."""
