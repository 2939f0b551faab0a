"""The paper's one-dimensional experiment: data, models, training, figures."""
